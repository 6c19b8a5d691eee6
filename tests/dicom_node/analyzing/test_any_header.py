"""R3: whatever an image's header says, every rule has an answer."""

from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.filereader import read_dataset
from small_images import mammogram

from dicom_node.analyzing.accept import header_answers, judge_header
from dicom_node.analyzing.rules import Terms
from dicom_node.eligibility import Accept
from dicom_node.errors import Declined
from dicom_node.receiving.header import VIEW_ATTRIBUTES, view_of

TERMS = Terms(Accept(), ("RCC", "LCC", "RMLO", "LMLO"))
SEEN = {"headers": 0}
KEYWORDS = sorted(
    {
        *VIEW_ATTRIBUTES,
        *("SOPClassUID", "Modality", "PresentationIntentType", "BodyPartExamined", "PatientID"),
        *("StudyDate", "Manufacturer", "PatientName", "Rows", "Columns", "NumberOfFrames"),
        *("BitsAllocated", "BitsStored", "SamplesPerPixel", "PhotometricInterpretation"),
        *("EstimatedRadiographicMagnificationFactor", "PartialView", "BreastImplantPresent"),
        *("ExposureStatus", "SeriesDescription", "DetectorType", "LossyImageCompression"),
        *("ContrastBolusAgent", "PatientAge", "PatientSex", "PatientBirthDate", "WindowWidth"),
    }
)
VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"nan ",
            b"1e400 ",
            b"-inf",
            b"\\\\\\",
            b"9" * 200,
            b"L\\R ",
            b"\0\0",
            b"\xff" * 9,
            b"1.2.3.4\\5 ",
        ]
    ),
)
VRS = st.sampled_from(
    ["UN", "LO", "CS", "DS", "IS", "US", "SL", "FD", "UI", "PN", "DA", "OB", "SQ"]
)


def raw(keyword: str, vr: str, value: bytes) -> bytes:
    """Encode an element with any VR and any bytes, as explicit little endian has it."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr.encode()
    if vr in {"UN", "OB", "SQ"}:
        return head + b"\0\0" + len(value).to_bytes(4, "little") + value
    return head + len(value).to_bytes(2, "little") + value


def header_with(elements: dict[str, tuple[str, bytes]]) -> Dataset:
    """Read a header with these elements in place of a good one's."""
    image = mammogram()
    for keyword in elements:
        if keyword in image:
            delattr(image, keyword)
    content = b"".join(raw(name, *said) for name, said in elements.items())
    odd = read_dataset(BytesIO(content), is_implicit_VR=False, is_little_endian=True)
    for element in odd._dict.values():
        image._dict[element.tag] = element
    return image


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(KEYWORDS), st.tuples(VRS, VALUES), max_size=6))
def judge_any(elements: dict[str, tuple[str, bytes]]) -> None:
    try:
        header = header_with(elements)
    except Exception:  # noqa: BLE001 - no header at all: I00
        return
    view_of(header)
    for _, sentence in header_answers(header, TERMS):
        assert isinstance(sentence, str)
    assert isinstance(judge_header(header, TERMS), Declined | None)
    SEEN["headers"] += 1


@pytest.mark.filterwarnings("ignore")
def test_R3_every_rule_answers_whatever_a_header_says(figure: Callable[[str], None]) -> None:
    judge_any()
    figure(f"{SEEN['headers']} headers of any values under any VR: every rule answered")
    assert SEEN["headers"] > 100
