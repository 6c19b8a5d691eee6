"""The rules as a table, on whole files, and against headers that mean nothing."""

import os
import re
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, config
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import Tag
from small_images import code, encoded, file_of, mammogram

from dicom_node.analyzing.accept import header_answers, judge_header, judge_study, look, rules
from dicom_node.analyzing.explain import explain, files_in
from dicom_node.analyzing.image_rules import IMAGE_RULES
from dicom_node.analyzing.rules import Judged, Terms
from dicom_node.eligibility import Accept, Modifier
from dicom_node.facts import shown
from dicom_node.shipped import shipped
from dicom_node.vocabulary import IMPLANT_DISPLACED, KINDS, MODIFIERS, NEVER_READ
from inference.bundle import Kind

ROOT = shipped("config").parent
FOUR = ("RCC", "LCC", "RMLO", "LMLO")
SMALL = Accept(rows_min=16, brightest_min=0)
TERMS = Terms(SMALL, FOUR)
SECRET = "Mueller^Käthe"  # noqa: S105 - a name that no sentence may tell


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def test_every_code_is_there_once_and_has_its_words() -> None:
    codes = [rule.code for rule in rules()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[IS]\d\d", code) for code in codes)
    assert all(rule.name and rule.asks and rule.plain for rule in rules())


def test_the_administrators_page_has_the_table_of_the_code() -> None:
    told = page("administration")
    for rule in rules():
        keys = ", ".join(f"`{key}`" for key in rule.keys)
        row = f"| {rule.code} | {rule.asks} | {keys}"
        assert f"{row.rstrip()} |" in told
    listed = re.findall(r"^\| ([IS]\d\d) \|", told, re.MULTILINE)
    assert sorted(listed) == [rule.code for rule in rules()]


def test_the_radiologists_page_has_a_plain_line_for_every_code() -> None:
    told = page("radiologist")
    assert [rule.code for rule in rules() if f"| {rule.code} | {rule.plain} |" not in told] == []


def test_every_key_steers_a_rule_and_the_settings_page_names_it() -> None:
    steered = {key: [rule.code for rule in rules() if key in rule.keys] for key in _keys()}
    assert [key for key, codes in steered.items() if not codes] == []
    assert {key for rule in rules() for key in rule.keys} == set(_keys())
    told = page("configuration")
    for key, codes in steered.items():
        (row,) = re.findall(rf"^\| `{key}` \|.*$", told, re.MULTILINE)
        assert set(codes) <= set(row.split("|")[-2].replace(" ", "").split(",")), row


def _keys() -> list[str]:
    return list(Accept.model_fields)


def test_the_settings_name_every_modifier_that_may_be_read() -> None:
    assert set(get_args(Modifier)) == set(MODIFIERS.values()) - NEVER_READ - {IMPLANT_DISPLACED}


def test_a_card_can_name_no_kind_that_the_rules_do_not_know() -> None:
    assert set(get_args(Kind)) <= {*KINDS.values(), "synthetic_2d"}


# --- files --------------------------------------------------------------------------------------


def written(folder: Path, name: str, image: Dataset) -> Path:
    path = folder / name
    path.write_bytes(file_of(image))
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "this is no DICOM file"),
        (b"\0" * 128 + b"DICM", "the file has no header"),
        (b"a letter to the admin", "this is no DICOM file"),
        (
            b"\0" * 128
            + b"DICM"
            + b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\x10\0\0\0",
            "the header cannot be parsed",
        ),
        (
            b"\0" * 128 + b"DICM" + b"\x08\x00\x05\x00ZZ\x04\x00abcd",
            "the header cannot be parsed",
        ),
    ],
)
def test_a_file_that_is_no_image_is_a_sentence(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    judged = look(path, TERMS)
    assert judged.declined is not None
    assert judged.declined.code == "I00"
    assert judged.declined.sentence.startswith(said)
    (broken,), studies = explain([path], TERMS)
    assert studies == []
    assert [(rule.code, bool(answer)) for rule, answer in broken.answers] == [("I00", True)]


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    judged = look(tmp_path / "gone.dcm", TERMS)
    assert str(judged.declined) == "I00: the file cannot be read: No such file or directory"


def test_a_file_that_is_too_large_is_declined_before_it_is_decoded(tmp_path: Path) -> None:
    image = mammogram()
    image.add_new(0x00091001, "OB", bytes(1 << 20))
    path = written(tmp_path, "large.dcm", image)
    small = Terms(Accept(rows_min=16, brightest_min=0, max_image_megabytes=1), FOUR)
    judged = look(path, small)
    assert str(judged.declined) == "I23: its file is larger than 1 MB"
    assert judged.mammogram is None
    assert look(path, TERMS).declined is None


def test_pixels_that_are_not_as_the_header_says_are_declined(tmp_path: Path) -> None:
    dark = look(written(tmp_path, "dark.dcm", mammogram()), Terms(Accept(rows_min=16), FOUR))
    assert str(dark.declined) == (
        "I18: its highest pixel is at 6% of what BitsStored holds, not 66% or more"
    )
    short = written(tmp_path, "short.dcm", mammogram(PixelData=bytes(16)))
    assert str(look(short, TERMS).declined).startswith("I18: the pixels cannot be decoded")
    unsized = written(tmp_path, "unsized.dcm", mammogram(ImagerPixelSpacing=None))
    assert str(look(unsized, TERMS).declined).startswith("I18: neither ImagerPixelSpacing nor")


def test_every_rule_answers_for_a_file_and_not_only_the_first_that_is_broken(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    written(folder, "good.dcm", mammogram("RCC", StudyInstanceUID="2.25.7"))
    written(
        folder, "bad.dcm", mammogram(StudyInstanceUID="2.25.7", PartialView="YES", Modality="CR")
    )
    (folder / "notes.txt").write_text("not for the model")
    (broken,), (seen,) = explain([folder], TERMS)
    assert broken.path.name == "notes.txt"
    bad, good = seen.files
    assert str(bad.judged.declined) == "I02: Modality is CR, not MG"
    answers = {rule.code: answer for rule, answer in bad.answers}
    assert [code for code, answer in answers.items() if answer] == ["I02", "I14"]
    assert answers["I18"] is None  # pixels are looked at only where the header is fine
    assert [answer for _, answer in good.answers] == [""] * (len(IMAGE_RULES) + 3)
    assert [one.view for one in seen.study.accepted] == ["RCC"]
    assert seen.study.declined is None


# --- headers that mean nothing ------------------------------------------------------------------

# What the rules ask for, and sequences among it.
ASKED = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "Modality", "PresentationIntentType"),
    *("BodyPartExamined", "PatientID", "PatientName", "PatientBirthDate", "PatientAge"),
    *("PatientSex", "StudyDate", "Manufacturer", "ImageType", "QualityControlImage"),
    *("LossyImageCompression", "Rows", "Columns", "NumberOfFrames", "PhotometricInterpretation"),
    *("SamplesPerPixel", "BitsAllocated", "BitsStored", "ImageLaterality", "Laterality"),
    *("ViewPosition", "ViewCodeSequence", "ViewModifierCodeSequence", "PartialView"),
    *("PartialViewCodeSequence", "BreastImplantPresent", "ExposureStatus", "SeriesDescription"),
    *("EstimatedRadiographicMagnificationFactor", "DetectorType", "ConversionType"),
    *("ContrastBolusAgent", "ContrastBolusAgentSequence", "AnatomicRegionSequence"),
    *("SharedFunctionalGroupsSequence", "AcquisitionDate", "AcquisitionTime"),
)
VALUES = st.one_of(
    st.none(),
    st.sampled_from(["", "  ", "YES", "L", "MLO", "CC", "MG", "Y", "-", "\\", "1e999", "nan", "0"]),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.lists(st.text(max_size=4), max_size=3),
    st.just([code("399162004", SECRET)]),
    st.just([Dataset()]),
    st.just([]),
)
REPRESENTATIONS = st.sampled_from(
    ["LO", "CS", "US", "DS", "IS", "SQ", "UI", "OB", "PN", "AS", "UN"]
)


@st.composite
def headers(draw: st.DrawFn) -> Dataset:
    """Spoil some attributes of a good header, in value and in kind of value."""
    image = mammogram(draw(st.sampled_from(FOUR)), PatientName=SECRET)
    for keyword in draw(st.lists(st.sampled_from(ASKED), min_size=1, max_size=6)):
        value, vr, tag = draw(VALUES), draw(REPRESENTATIONS), Tag(keyword)
        if isinstance(value, bytes):  # as it lies in a file, converted when it is asked for
            image[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
            continue
        try:
            image[tag] = DataElement(tag, vr, value)
        except Exception:  # noqa: BLE001, S112 - such a value cannot even be made
            continue
    return image


@settings(max_examples=300)
@given(st.lists(headers(), min_size=1, max_size=4))
def test_no_header_stops_the_judgement_or_is_quoted(images: list[Dataset]) -> None:
    everything = Accept(
        rows_min=1,
        brightest_min=0,
        incomplete_studies=False,
        age_min=40,
        detectors=("DIRECT",),
        manufacturers=("Paper",),
    )
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        for accept in (SMALL, everything):
            terms = Terms(accept, FOUR)
            judged = [Judged(image, judge_header(image, terms)) for image in images]
            study = judge_study(judged, terms)
            told = [one.declined for one in study.images] + [study.declined]
    for declined in (one for one in told if one is not None):
        assert declined.code in {rule.code for rule in rules()}
        assert "Mueller" not in declined.sentence


READ = ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "RescaleSlope")
READ += ("RescaleIntercept", "PresentationLUTShape", "ImagerPixelSpacing", "PixelSpacing")
READ += (
    "PixelRepresentation",
    "HighBit",
    "SpecificCharacterSet",
    "PixelData",
    "ModalityLUTSequence",
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Write a good image as a file, some of its elements with other bytes or another type."""
    image = mammogram(PatientName=SECRET, WindowCenter=2048, WindowWidth=4096)
    spoiled = draw(
        st.dictionaries(
            st.sampled_from([Tag(keyword) for keyword in ASKED + READ]),
            st.tuples(REPRESENTATIONS, st.one_of(st.binary(max_size=16), PLAUSIBLE)),
            min_size=1,
            max_size=4,
        )
    )
    head = Dataset()
    head.SOPClassUID, head.SOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    whole = bytearray(file_of(head)[: -len(encoded(head))])
    for tag in sorted({*image.keys(), *spoiled}):
        if tag not in spoiled:
            one = Dataset()
            one.add(image[tag])
            whole += encoded(one)
            continue
        vr, value = spoiled[tag]
        value += b" " * (len(value) % 2)
        long = vr in {"SQ", "OB", "UN"}
        size = struct.pack("<HI", 0, len(value)) if long else struct.pack("<H", len(value))
        whole += struct.pack("<HH", tag.group, tag.element) + vr.encode() + size + value
    return bytes(whole)


PLAUSIBLE = st.sampled_from(
    [b"", b"0", b"-1", b"nan", b"1e400", b"YES", b"L", b"MLO", SECRET.encode(), b"1\\2\\3"]
)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(content=files())
def test_no_file_stops_the_judgement_or_is_quoted(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "spoiled.dcm"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        broken, studies = explain([path], TERMS)
    (seen,) = broken or studies[0].files
    declined = [seen.judged.declined, *(study.study.declined for study in studies)]
    told = [one.sentence for one in declined if one is not None]
    told += [answer for _, answer in seen.answers if answer]
    assert [sentence for sentence in told if "Mueller" in sentence] == []
    assert seen.judged.declined is not None or studies[0].study.accepted


def test_a_pipe_in_a_folder_is_no_file_to_wait_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to("nowhere")
    assert list(files_in([tmp_path])) == [tmp_path / "gone"]


def test_files_of_every_kind_and_fault_that_pydicom_brings_are_judged() -> None:
    folder = Path(pydicom.__file__).parent / "data"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        broken, studies = explain([folder], TERMS)
    seen = [*broken, *(one for study in studies for one in study.files)]
    assert len(seen) == len(list(files_in([folder]))) > 100
    declined = [one.judged.declined for one in seen]
    assert {one.code for one in declined if one is not None} == {"I00", "I01"}
    assert None not in declined


def test_only_words_of_the_standard_are_shown() -> None:
    assert shown("FOR PROCESSING") == "FOR PROCESSING"
    assert shown("") == "missing"
    for value in (SECRET, "mueller", "DOE JANE", "DOE", "19650412", "A^B", "CC\n"):
        assert shown(value) == "a word that is not known"


CODED = (
    *("Modality", "PresentationIntentType", "BodyPartExamined", "ImageType", "QualityControlImage"),
    *("LossyImageCompression", "PhotometricInterpretation", "ImageLaterality", "Laterality"),
    *("ViewPosition", "PartialView", "BreastImplantPresent", "ExposureStatus", "DetectorType"),
    *("ConversionType", "PatientSex", "PresentationLUTShape", "PixelIntensityRelationship"),
)
CODES = (
    *("ViewCodeSequence", "ViewModifierCodeSequence", "PartialViewCodeSequence"),
    *("AnatomicRegionSequence", "AcquisitionContextSequence", "ContrastBolusAgentSequence"),
)
LIKE_CODES = ("DOE JANE", "DOE", "ZQ7", "ZQ7-1234", "ZQ19370422", "19370422", "QD-0C0FFE")


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize("name", LIKE_CODES)
def test_A5_a_name_that_looks_like_a_code_is_repeated_nowhere(
    name: str, figure: Callable[[str], None]
) -> None:
    images = [mammogram("LCC", **{keyword: name}) for keyword in CODED]
    images += [mammogram("LCC", **{keyword: [code(name, name)]}) for keyword in CODES]
    without_codes = mammogram("LCC", ViewPosition=name)
    del without_codes.ViewCodeSequence
    inside = mammogram("LCC")
    inside.ViewCodeSequence[0].ViewModifierCodeSequence = [code(name, name)]
    images += [without_codes, inside]
    judged = [Judged(one, judge_header(one, TERMS)) for one in images]
    answers = [said for one in images for _, said in header_answers(one, TERMS) if said]
    studies = [judge_study([one], TERMS).declined for one in judged]
    told = answers + [one.sentence for one in studies if one is not None]
    assert sum("not known" in said or "not a code" in said for said in answers) > 9
    assert [sentence for sentence in told if name in sentence.upper()] == []
    figure(f"{name!r} in {len(images)} coded places: in 0 of {len(told)} sentences")
