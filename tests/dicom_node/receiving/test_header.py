"""What an arriving image says of itself is read from any encoding, without its pixels."""

import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ImplicitVRLittleEndian,
)
from small_images import code, encoded, mammogram

from dicom_node.receiving.contexts import TRANSFER_SYNTAXES
from dicom_node.receiving.header import IDENTIFIERS, read_header, view_of
from dicom_node.receiving.structure import Unsound
from dicom_node.spool import data_set_offset


def written(path: Path, image: Dataset, syntax: UID) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = image.SOPClassUID
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        write_file_meta_info(file, meta)
        file.write(encoded(image, syntax))
    return path


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_the_header_is_read_from_every_transfer_syntax(tmp_path: Path, syntax: UID) -> None:
    image = mammogram("RMLO")
    path = written(tmp_path / "image.dcm", image, syntax)
    header = read_header(path, syntax)
    assert [header[keyword].value for keyword in IDENTIFIERS] == [
        image[keyword].value for keyword in IDENTIFIERS
    ]
    assert view_of(header) == "RMLO"
    assert "PixelData" not in header
    assert path.read_bytes()[data_set_offset(path) :] == encoded(image, syntax)


BIG = 16 << 20
TOO_LONG = "is longer than any such element"
OPEN = 0xFFFFFFFF


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, size) + value


def in_items(value: bytes) -> bytes:
    """Put elements into items of a sequence, all without length."""
    item = implicit(0xFFFEE000, value + implicit(0xFFFEE00D, b""), OPEN)
    return item + implicit(0xFFFEE0DD, b"")


def costly() -> Iterator[tuple[int, bytes, int | None, str]]:
    """Make elements that cost much where they are read: tag, value, length, and what is said."""
    yield (0x00080018, b"1." * (BIG // 2), None, TOO_LONG)
    yield (0x00080018, b"\\" * BIG, None, TOO_LONG)
    yield (0x00080005, b"\\" * BIG, None, TOO_LONG)
    yield (0x00080008, b"\\" * BIG, None, TOO_LONG)
    yield (0x00185101, b"CC" * (BIG // 2), None, TOO_LONG)
    yield (0x00540220, in_items(implicit(0x00080100, bytes(BIG))), OPEN, TOO_LONG)
    yield (0x00540220, in_items(implicit(0x00080100, b"") * 9000), OPEN, TOO_LONG)
    yield (0x00191001, bytes(BIG), None, "")
    yield (0x00081140, in_items(implicit(0x00191001, bytes(BIG))), OPEN, "")
    yield (0x00081140, in_items(implicit(0x00080100, b"") * 90_000), OPEN, "")


def test_R2_what_a_header_may_hold_costs_the_listener_next_to_nothing(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    costs = [cost(tmp_path, *one) for one in costly()]
    most, seconds = max(peak for peak, _ in costs), max(seconds for _, seconds in costs)
    figure(
        f"{len(costs)} headers of up to {BIG >> 20} MB in one element: at most +{most >> 10} KiB "
        f"and {seconds:.2f} s of a core each"
    )
    assert most < 8 << 20


def cost(folder: Path, tag: int, value: bytes, length: int | None, said: str) -> tuple[int, float]:
    """Read a header with such an element; return what it took of memory and of a core."""
    image, syntax = mammogram(), ImplicitVRLittleEndian
    image.remove_private_tags()
    if tag in image:
        del image[tag]
    path = written(folder / "image.dcm", mammogram(), syntax)
    start = data_set_offset(path)
    before = encoded(image[:tag], syntax) if tag > min(image.keys()) else b""
    behind = encoded(image[tag:], syntax)
    content = path.read_bytes()[:start] + before + implicit(tag, value, length) + behind
    path.write_bytes(content)
    del content, before, behind
    tracemalloc.start()
    began, fault = time.thread_time(), ""
    try:
        header = read_header(path, syntax)
        assert view_of(header) == "LCC"
        assert [str(header[one].value) for one in IDENTIFIERS if Tag(one) != tag] == [
            str(image[one].value) for one in IDENTIFIERS if one in image
        ]
    except Unsound as found:
        fault = str(found)
    seconds, peak = time.thread_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said in fault
    assert bool(said) == bool(fault)
    return peak, seconds


def described(**said: object) -> Dataset:
    header = Dataset()
    header.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    for keyword, value in said.items():
        setattr(header, keyword, value)
    return header


CC, MLO = code("399162004", "cranio-caudal"), code("399368009", "medio-lateral oblique")
OLD_CC, OLD_MLO = code("R-10242", "cranio-caudal"), code("R-10226", "medio-lateral oblique")
LATERAL = code("399352003", "latero-medial")
SPOT = code("399162004", "cranio-caudal")
SPOT.ViewModifierCodeSequence = [code("399055006", "Spot compression")]


@pytest.mark.parametrize(
    ("said", "view"),
    [
        ({"ImageLaterality": "L", "ViewCodeSequence": [CC]}, "LCC"),
        ({"ImageLaterality": "R", "ViewCodeSequence": [MLO]}, "RMLO"),
        ({"Laterality": "R", "ViewCodeSequence": [OLD_CC]}, "RCC"),
        ({"Laterality": "L", "ViewCodeSequence": [OLD_MLO]}, "LMLO"),
        ({"ImageLaterality": "L", "Laterality": "R", "ViewCodeSequence": [CC]}, "LCC"),
        ({"ImageLaterality": "", "Laterality": "R", "ViewCodeSequence": [CC]}, "RCC"),
        ({"ImageLaterality": "L", "ViewPosition": "MLO"}, "LMLO"),
        ({"Laterality": "L", "ViewCodeSequence": [Dataset()], "ViewPosition": "CC"}, "LCC"),
        ({"ImageLaterality": "L", "ViewPosition": "CC", "ViewCodeSequence": []}, "LCC"),
        ({"ImageLaterality": "L", "ViewPosition": "CC", "ViewCodeSequence": [LATERAL]}, ""),
        ({"ImageLaterality": "L", "ViewPosition": "ML"}, ""),
        ({"ImageLaterality": "L"}, ""),
        ({"ImageLaterality": "B", "ViewCodeSequence": [CC]}, ""),
        ({"ImageLaterality": ["L", "R"], "ViewCodeSequence": [CC]}, ""),
        ({"ViewCodeSequence": [CC]}, ""),
        ({"ImageLaterality": "L", "ViewCodeSequence": [SPOT]}, ""),
        ({"ImageLaterality": "L", "ViewCodeSequence": [CC], "QualityControlImage": "YES"}, ""),
        (
            {
                "ImageLaterality": "L",
                "ViewCodeSequence": [CC],
                "ViewModifierCodeSequence": [code("R-102D6", "Magnification")],
            },
            "",
        ),
        (
            {
                "ImageLaterality": "L",
                "ViewCodeSequence": [CC],
                "ImageType": ["ORIGINAL", "PRIMARY", "STEREO_SCOUT"],
            },
            "",
        ),
        ({"ImageLaterality": "L", "ViewCodeSequence": [Dataset()]}, ""),
        ({}, ""),
        (
            {
                "SOPClassUID": DigitalMammographyXRayImageStorageForProcessing,
                "ImageLaterality": "L",
                "ViewCodeSequence": [CC],
            },
            "",
        ),
    ],
)
def test_a_view_is_named_by_its_code_and_its_side(said: dict[str, object], view: str) -> None:
    assert view_of(described(**said)) == view


def test_a_value_that_cannot_be_read_names_no_view() -> None:
    header = described(ImageLaterality="L")
    header.add_new("ViewCodeSequence", "LO", "no sequence at all")
    assert view_of(header) == ""
