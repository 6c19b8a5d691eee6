from io import BytesIO

import numpy as np
import pytest
from pydicom import config, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.reporting.tidy import PATIENT_AND_STUDY, tidy

YAMADA = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def through_a_file(header: Dataset) -> Dataset:
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    with config.disable_value_validation():
        header.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer)


def put(header: Dataset, keyword: str, written: bytes) -> None:
    """Put a value into the header as a file would hold it, unchecked."""
    tag, padded = Tag(keyword), written + b" " * (len(written) % 2)
    vr = dictionary_VR(tag)
    header[tag] = RawDataElement(tag, vr, len(padded), padded, 0, False, True)


def test_a_japanese_name_arrives_in_utf_8(headers: list[Dataset]) -> None:
    header = headers[0]
    header.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    header.PatientName = YAMADA
    header.StudyDescription = "乳房"
    header.RequestAttributesSequence[0].RequestedProcedureDescription = "乳房"
    clean = tidy(through_a_file(header))
    assert clean.SpecificCharacterSet == "ISO_IR 192"
    again = through_a_file(clean)
    assert str(again.PatientName) == YAMADA
    assert again.StudyDescription == "乳房"
    assert again.RequestAttributesSequence[0].RequestedProcedureDescription == "乳房"


def test_a_latin_1_name_arrives_in_utf_8(headers: list[Dataset]) -> None:
    headers[0].SpecificCharacterSet = "ISO_IR 100"
    headers[0].PatientName = "Müller^Jörg"
    again = through_a_file(tidy(through_a_file(headers[0])))
    assert str(again.PatientName) == "Müller^Jörg"


@pytest.mark.parametrize("keyword", PATIENT_AND_STUDY)
def test_what_must_be_there_is_there_empty(headers: list[Dataset], keyword: str) -> None:
    del headers[0][keyword]
    assert tidy(headers[0]).get(keyword) == ""


@pytest.mark.parametrize(
    ("keyword", "written", "repaired"),
    [
        ("PatientBirthDate", "00000000", ""),
        ("PatientBirthDate", "1965.04.12", "19650412"),
        ("PatientBirthDate", "unknown", ""),
        ("StudyDate", "20250231", ""),
        ("StudyTime", "10:15:00", "101500"),
        ("StudyTime", "2561", ""),
        ("StudyTime", "101500.123", "101500.123"),
        ("PatientSex", "W", "F"),
        ("PatientSex", "female", "F"),
        ("PatientSex", "?", "O"),
    ],
)
def test_values_that_are_none_are_repaired_or_blanked(
    headers: list[Dataset], keyword: str, written: str, repaired: str
) -> None:
    put(headers[0], keyword, written.encode())
    assert tidy(through_a_file(headers[0])).get(keyword) == repaired


@pytest.mark.parametrize(
    ("written", "repaired"),
    [
        ("060Y", "060Y"),
        ("60Y", "060Y"),
        ("0060y", "060Y"),
        ("6M", "006M"),
        ("60", None),
        ("", None),
    ],
)
def test_an_age_has_three_digits_and_a_unit_or_is_left_out(
    headers: list[Dataset], written: str, repaired: str | None
) -> None:
    put(headers[0], "PatientAge", written.encode())
    assert tidy(through_a_file(headers[0])).get("PatientAge") == repaired


def test_a_long_decimal_string_is_shortened(headers: list[Dataset]) -> None:
    put(headers[0], "ImagerPixelSpacing", b"0.07000000000000000666\\0.07000000000000000666")
    spacing = tidy(headers[0]).ImagerPixelSpacing
    assert [float(value) for value in spacing] == [0.07, 0.07]
    assert all(len(str(value)) <= 16 for value in spacing)


def test_an_unreadable_value_is_left_out(headers: list[Dataset]) -> None:
    put(headers[0], "PatientWeight", b"N/A")
    assert "PatientWeight" not in tidy(headers[0])


def test_one_way_of_showing_the_image_is_left(headers: list[Dataset]) -> None:
    header = headers[0]
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 12]
    table.add_new("LUTData", "OW", np.arange(4096, dtype="<u2").tobytes())
    header.VOILUTSequence = [table]
    header.VOILUTFunction = ""
    clean = tidy(header)
    assert "VOILUTSequence" not in clean
    assert "VOILUTFunction" not in clean
    assert clean.WindowCenter == 2048
    del header.WindowWidth
    assert "WindowCenter" not in tidy(header)
    assert "VOILUTSequence" in tidy(header)


def test_the_side_is_where_builders_look_for_it(headers: list[Dataset]) -> None:
    header = headers[0]
    header.Laterality = header.ImageLaterality
    del header.ImageLaterality
    assert tidy(header).ImageLaterality == "R"


def test_the_spacing_is_where_builders_look_for_it(headers: list[Dataset]) -> None:
    header = headers[0]
    header.PixelSpacing = header.ImagerPixelSpacing
    del header.ImagerPixelSpacing
    assert list(tidy(header).ImagerPixelSpacing) == [0.07, 0.07]
    header.PixelSpacing = [0, 0]
    assert "ImagerPixelSpacing" not in tidy(header)


@pytest.mark.parametrize("orientation", ["A", "", ["A", ""], None])
def test_half_an_orientation_is_none(headers: list[Dataset], orientation: object) -> None:
    headers[0].PatientOrientation = orientation
    assert not tidy(headers[0]).PatientOrientation


def test_pixels_and_private_elements_stay_behind(headers: list[Dataset]) -> None:
    header = headers[0]
    header.add_new(0x7FE00010, "OW", b"\0\0")
    header.private_block(0x0019, "SOMEBODY", create=True).add_new(1, "LO", "secret")
    clean = tidy(header)
    assert "PixelData" not in clean
    assert not any(element.tag.is_private for element in clean)


def test_the_header_given_is_left_as_it_was(headers: list[Dataset]) -> None:
    del headers[0].AccessionNumber
    before = headers[0].to_json()
    tidy(headers[0])
    assert headers[0].to_json() == before


def test_tidying_twice_changes_nothing(headers: list[Dataset]) -> None:
    once = tidy(headers[0])
    assert tidy(once) == once


def test_identifiers_are_not_shortened(headers: list[Dataset]) -> None:
    put(headers[0], "AccessionNumber", b"A" * 30)
    assert tidy(headers[0]).AccessionNumber == "A" * 30
