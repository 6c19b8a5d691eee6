"""What real headers have wrong, in the bytes that they have it in, and what is made of it."""

from io import BytesIO

import numpy as np
import pytest
from pydicom import config, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.reporting.tidy import tidy
from inference.mammogram import Projection, Side


def written(header: Dataset, **values: tuple[str, bytes] | None) -> Dataset:
    """Read a header back from a file, with these VRs and bytes in it, not yet understood."""
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    with config.disable_value_validation():
        header.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    read = dcmread(buffer)
    for keyword, value in values.items():
        tag = Tag(keyword)
        read.pop(tag, None)
        if value is not None:
            vr, content = value
            content += b" " * (len(content) % 2)
            read[tag] = RawDataElement(tag, vr, len(content), content, 0, False, True)
    return read


LONG = b"Image processing 4.7.11, detector calibration 2.03, acquisition 9.1.0.118"
ONE: list[tuple[str, str, bytes, object]] = [
    # keyword, VR in the file, bytes, what is read (None: left out)
    ("PatientBirthDate", "DA", b"00000000", ""),
    ("PatientBirthDate", "DA", b"0000-00-00", ""),
    ("PatientBirthDate", "DA", b"1965-04-12", "19650412"),
    ("StudyDate", "DA", b"2025.09.01", "20250901"),
    ("StudyTime", "TM", b"000000.000", "000000.000"),  # midnight is a time
    ("StudyTime", "TM", b"10:15:00.000", "101500.000"),
    ("StudyTime", "TM", b"101500.123456789", "101500.123456"),
    ("StudyTime", "TM", b"245961", ""),
    ("StudyTime", "TM", b"10150", ""),
    ("AcquisitionDateTime", "DT", b"20250901101500.000", "20250901101500.000"),
    ("AcquisitionDateTime", "DT", b"20250901101500+0200", "20250901101500+0200"),
    ("AcquisitionDateTime", "DT", b"00000000000000", ""),
    ("AcquisitionDateTime", "DT", b"2025-09-01T10:15", ""),
    ("PatientAge", "AS", b"60Y", "060Y"),
    ("PatientAge", "AS", b"60", None),
    ("PatientSex", "CS", b"female", "F"),
    ("SoftwareVersions", "LO", LONG, LONG[:64].decode().strip()),
    ("ManufacturerModelName", "LO", LONG, LONG[:64].decode().strip()),
    ("StationName", "SH", b"MAMMOGRAPHY ROOM NUMBER 2", "MAMMOGRAPHY ROOM"),
    ("StudyDescription", "LO", b"MAMMO\\SCREENING", "MAMMO/SCREENING"),
    ("StudyDescription", "LO", b"MAMMO\0\x07\tSCREEN", "MAMMOSCREEN"),
    ("PatientComments", "LT", b"one\\two\r\nthree\x07", "one\\two\r\nthree"),
    ("Manufacturer", "LO", b"PHANTOM\\PHANTOM IMAGING", "PHANTOM/PHANTOM IMAGING"),
    ("Manufacturer", "LO", b"\\", ""),
    ("PatientID", "LO", b"A" * 70, "A" * 70),  # by this the patient is found
    ("AccessionNumber", "SH", b"A" * 30, "A" * 30),
    ("PatientName", "PN", b"A" * 70 + b"^B", "A" * 70 + "^B"),
    ("PatientName", "LO", b"Phantom^Ada", "Phantom^Ada"),
    ("PatientName", "UN", b"Phantom^Ada", "Phantom^Ada"),
    ("PatientName", "PN", b"Phantom^Ada\0", "Phantom^Ada"),
    ("PatientID", "UN", b"P1", "P1"),
    ("SeriesNumber", "IS", b"1.0", 1),
    ("SeriesNumber", "IS", b"1.5", None),
    ("SeriesNumber", "IS", b"99999999999", None),
    ("PatientWeight", "DS", b"63,5", 63.5),
    ("PatientWeight", "DS", b"NaN", None),
    ("PatientWeight", "DS", b"63.50000000000000001", 63.5),
    ("PatientWeight", "DS", b"N/A", None),
    ("SeriesInstanceUID", "UI", b"1.2.3 \0 ", "1.2.3"),
    ("SeriesInstanceUID", "UI", b"my series", "my series"),  # kept, and the proof will say so
    ("FrameOfReferenceUID", "UI", b"^^^^", None),
    ("FrameOfReferenceUID", "UI", b"\0\0", None),
    ("PatientSize", "DS", b"1.65\\1", None),
    ("PatientSize", "DS", b"\\", None),
    ("ReferringPhysicianName", "PN", b"House\\Wilson", "House"),
    ("ReferringPhysicianName", "PN", b"x" * 300, "x" * 64),
    ("ReferringPhysicianName", "PN", b"A^B^C^D^E^F=G", "A^B^C^D^E=G"),
    ("PatientName", "PN", b"\\", ""),
    ("AccessionNumber", "SH", b"\\", ""),
    ("AccessionNumber", "SH", b"\\A1", "A1"),
    ("ManufacturerModelName", "LO", b"   ", None),
    ("LossyImageCompression", "CS", b"NO", None),
    ("TimezoneOffsetFromUTC", "SH", b"+0200", "+0200"),
    ("TimezoneOffsetFromUTC", "SH", b"UTC+2", None),
    ("ImageLaterality", "CS", b"LEFT", "L"),
    ("ImageLaterality", "CS", b"r", "R"),
    ("PatientOrientation", "CS", b"A\\R", ["A", "R"]),
    ("PatientOrientation", "CS", b"p\\fl", ["P", "FL"]),
    ("PatientOrientation", "CS", b"A", None),
    ("PatientOrientation", "CS", b"A\\R\\F", None),
    ("PatientOrientation", "CS", b"X\\Y", None),
    ("ImagerPixelSpacing", "DS", b"0,07\\0,07", [0.07, 0.07]),
    ("ImagerPixelSpacing", "DS", b"0.07", None),
    ("ImagerPixelSpacing", "DS", b"0\\0", None),
    ("ImagerPixelSpacing", "DS", b"0.0700000000000000066\\0.0700000000000000066", [0.07, 0.07]),
]


@pytest.mark.parametrize(("keyword", "vr", "content", "meant"), ONE)
def test_a_value_is_repaired_or_left_out(
    headers: list[Dataset], keyword: str, vr: str, content: bytes, meant: object
) -> None:
    clean = tidy(written(headers[0], **{keyword: (vr, content)}))
    said = clean.get(keyword)
    if isinstance(meant, list):
        assert list(said) == meant
    elif meant is None:
        assert said is None or said == ""
    else:
        assert said == meant
    assert tidy(clean) == clean


WINDOWS: list[tuple[str, dict[str, tuple[str, bytes] | None], dict[str, object]]] = [
    (
        "without a width",
        {"WindowWidth": ("DS", b"0")},
        {"WindowCenter": None, "WindowWidth": None},
    ),
    ("with a width below nothing", {"WindowWidth": ("DS", b"-4096")}, {"WindowCenter": None}),
    ("narrower than LINEAR may be", {"WindowWidth": ("DS", b"0.5")}, {"WindowCenter": None}),
    (
        "that narrow, and LINEAR_EXACT",
        {"WindowWidth": ("DS", b"0.5"), "VOILUTFunction": ("CS", b"LINEAR_EXACT")},
        {"WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"},
    ),
    (
        "of three, of which one has no width",
        {
            "WindowCenter": ("DS", b"2048\\2000\\1900"),
            "WindowWidth": ("DS", b"4096\\0\\3000"),
            "WindowCenterWidthExplanation": ("LO", b"NORMAL\\HARDER\\SOFTER"),
        },
        {
            "WindowCenter": [2048, 1900],
            "WindowWidth": [4096, 3000],
            "WindowCenterWidthExplanation": ["NORMAL", "SOFTER"],
        },
    ),
    (
        "of more centers than widths",
        {"WindowCenter": ("DS", b"2048\\2000"), "WindowWidth": ("DS", b"4096")},
        {"WindowCenter": 2048, "WindowWidth": 4096},
    ),
    (
        "with more names than windows",
        {"WindowCenterWidthExplanation": ("LO", b"NORMAL\\HARDER")},
        {"WindowCenter": 2048, "WindowCenterWidthExplanation": None},
    ),
    (
        "with an empty function",
        {"VOILUTFunction": ("CS", b"")},
        {"WindowCenter": 2048, "VOILUTFunction": None},
    ),
    (
        "with a function in small letters",
        {"VOILUTFunction": ("CS", b"sigmoid")},
        {"WindowCenter": 2048, "VOILUTFunction": "SIGMOID"},
    ),
    (
        "with a function of the maker's",
        {"VOILUTFunction": ("CS", b"MY_CURVE")},
        {"WindowCenter": None, "VOILUTFunction": None},
    ),
    ("without a center", {"WindowCenter": None}, {"WindowWidth": None}),
]


@pytest.mark.parametrize(("what", "said", "left"), WINDOWS)
def test_a_window_is_left_only_where_it_can_be_applied(
    headers: list[Dataset],
    what: str,
    said: dict[str, tuple[str, bytes] | None],
    left: dict[str, object],
) -> None:
    clean = tidy(written(headers[0], **said))
    for keyword, value in left.items():
        assert clean.get(keyword) == value, what
    assert tidy(clean) == clean


def table(*descriptor: int, entries: int = 4096) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", list(descriptor))
    item.add_new("LUTData", "OW", np.arange(entries, dtype="<u2").tobytes())
    return item


def test_a_table_is_left_where_there_is_no_window_and_where_it_is_one(
    headers: list[Dataset],
) -> None:
    header = headers[0]
    header.VOILUTSequence = [table(4096, 0, 12)]
    assert "VOILUTSequence" not in tidy(written(header))
    no_window = written(header, WindowCenter=None, WindowWidth=None)
    assert len(tidy(no_window).VOILUTSequence) == 1
    no_window.VOILUTSequence = [table(4096, 0)]
    assert "VOILUTSequence" not in tidy(no_window)
    no_window.VOILUTSequence = [table(4096, 0, 12, entries=0)]
    assert "VOILUTSequence" not in tidy(no_window)


@pytest.mark.parametrize(
    ("photometric", "shape", "meant"),
    [
        (b"MONOCHROME1", None, "INVERSE"),
        (b"MONOCHROME1", b"IDENTITY", "INVERSE"),
        (b"MONOCHROME1", b"INVERSE", "INVERSE"),
        (b"MONOCHROME2", None, "IDENTITY"),
        (b"MONOCHROME2", b"", "IDENTITY"),
        (b"MONOCHROME2", b"INVERSE", "INVERSE"),  # said once is enough, and it is not contradicted
    ],
)
def test_which_end_of_the_scale_is_white_stands_in_both_places(
    headers: list[Dataset], photometric: bytes, shape: bytes | None, meant: str
) -> None:
    said = {"PresentationLUTShape": None if shape is None else ("CS", shape)}
    header = written(headers[0], PhotometricInterpretation=("CS", photometric), **said)
    assert tidy(header).PresentationLUTShape == meant


def region(code: str) -> Dataset:
    item, modifier = Dataset(), Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "76752008", "SCT", "Breast"
    modifier.CodeValue, modifier.CodingSchemeDesignator = code, "SCT"
    modifier.CodeMeaning = "Side"
    item.AnatomicRegionModifierSequence = [modifier]
    return item


def of_frames(side: str) -> Dataset:
    group, anatomy = Dataset(), Dataset()
    anatomy.FrameLaterality = side
    group.FrameAnatomySequence = [anatomy]
    return group


@pytest.mark.parametrize(
    ("places", "side"),
    [
        ({"Laterality": "R"}, "R"),
        ({"AnatomicRegionSequence": [region("24028007")]}, "R"),
        ({"AnatomicRegionSequence": [region("G-A101")]}, "L"),
        ({"SharedFunctionalGroupsSequence": [of_frames("L")]}, "L"),
        ({"Laterality": "L", "AnatomicRegionSequence": [region("7771000")]}, "L"),
        ({"Laterality": "R", "AnatomicRegionSequence": [region("7771000")]}, None),
        ({"ImageLaterality": "R", "Laterality": "L"}, "R"),
        ({"Laterality": "B"}, None),
        ({}, None),
    ],
)
def test_the_side_is_found_wherever_it_is_said_and_never_guessed(
    headers: list[Dataset], places: dict[str, object], side: str | None
) -> None:
    header = headers[0]
    del header.ImageLaterality
    for keyword, value in places.items():
        setattr(header, keyword, value)
    assert tidy(written(header)).get("ImageLaterality") == side


@pytest.mark.parametrize("keyword", ["PixelSpacing", "NominalScannedPixelSpacing"])
def test_the_spacing_of_a_film_is_taken_where_a_digitizer_says_it(
    headers: list[Dataset], keyword: str
) -> None:
    header = written(headers[0], ImagerPixelSpacing=None, **{keyword: ("DS", b"0.05\\0.05")})
    assert list(tidy(header).ImagerPixelSpacing) == [0.05, 0.05]


def test_sequences_of_nothing_and_items_of_half_a_code_are_left_out(
    headers: list[Dataset],
) -> None:
    header = headers[0]
    whole, half = Dataset(), Dataset()
    whole.CodeValue, whole.CodingSchemeDesignator, whole.CodeMeaning = "1", "99X", "Mammography"
    half.CodeMeaning = "Mammography"
    header.ProcedureCodeSequence = [whole, half, Dataset()]
    header.RequestAttributesSequence = []
    header.IssuerOfAccessionNumberSequence = Sequence([Dataset()])
    header.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([Dataset(), half])
    clean = tidy(written(header))
    assert [item.CodeValue for item in clean.ProcedureCodeSequence] == ["1"]
    for keyword in ("RequestAttributesSequence", "IssuerOfAccessionNumberSequence"):
        assert keyword not in clean
    assert "ViewModifierCodeSequence" not in clean.ViewCodeSequence[0]


def test_dates_and_words_in_items_are_repaired_too(headers: list[Dataset]) -> None:
    step = headers[0].RequestAttributesSequence[0]
    with config.disable_value_validation():
        step.RequestedProcedureDescription = "x" * 80
        step.ScheduledProcedureStepStartDate = "0000-00-00"
    (clean,) = tidy(written(headers[0])).RequestAttributesSequence
    assert clean.RequestedProcedureDescription == "x" * 64
    assert clean.ScheduledProcedureStepStartDate == ""
    assert clean.RequestedProcedureID == "RP1"


def test_an_orientation_that_nobody_wrote_is_not_made_up(headers: list[Dataset]) -> None:
    for header in headers:
        del header.PatientOrientation
        assert header.ImageLaterality in set(Side)
        assert header.ViewCodeSequence[0].CodeMeaning
        assert not tidy(written(header)).PatientOrientation
    assert len(headers) == len(Side) * len(Projection)
