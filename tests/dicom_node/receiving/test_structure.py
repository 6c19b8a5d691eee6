"""A data set that is not whole, or not what it says, is refused before pydicom guesses at it."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)
from small_images import PIXELS, encoded, mammogram

from dicom_node.receiving.contexts import TRANSFER_SYNTAXES
from dicom_node.receiving.structure import DEEPEST, MOST_ELEMENTS, Unsound, check
from dicom_node.spool import data_set_offset

E, IMPLICIT, BIG = ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian


def written(folder: Path, content: bytes, syntax: UID = E) -> Path:
    """Write a data set behind the file meta of the node."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    meta.TransferSyntaxUID = syntax
    path = folder / "arrived.dcm"
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        write_file_meta_info(file, meta)
        file.write(content)
    return path


def fault(folder: Path, content: bytes, syntax: UID = E) -> str:
    """Say what is wrong with a data set, or nothing."""
    try:
        check(written(folder, content, syntax), syntax)
    except Unsound as found:
        return str(found)
    return ""


def element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    if vr in {b"SQ", b"OB", b"OW", b"UN"}:
        return struct.pack("<HH2sHI", group, number, vr, 0, size) + value
    return struct.pack("<HH2sH", group, number, vr, size) + value


def item(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content) if length is None else length) + content


OPEN = 0xFFFFFFFF
ITEM_END, SEQUENCE_END = (
    struct.pack("<HHI", 0xFFFE, 0xE00D, 0),
    struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
)


def nested(depth: int) -> bytes:
    """Put sequences into each other, all of them without length."""
    beginning = element(0x0008, 0x1140, b"SQ", b"", OPEN) + item(b"", OPEN)
    return beginning * depth + (ITEM_END + SEQUENCE_END) * depth


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_what_devices_send_is_sound_in_every_transfer_syntax(tmp_path: Path, syntax: UID) -> None:
    assert fault(tmp_path, encoded(mammogram(), syntax), syntax) == ""


@pytest.mark.parametrize("syntax", [E, IMPLICIT, BIG])
def test_no_data_set_is_sound_that_was_cut_off(tmp_path: Path, syntax: UID) -> None:
    whole = encoded(mammogram(), syntax)
    ends = {len(whole) - 1, len(whole) - 300, len(whole) // 2, 100, 61, 9, 7, 1, 0}
    sound = {end for end in ends if not fault(tmp_path, whole[:end], syntax)}
    assert sound == set()


@pytest.mark.parametrize(
    ("really", "said"),
    [(IMPLICIT, E), (E, IMPLICIT), (BIG, E), (E, BIG), (IMPLICIT, BIG), (BIG, IMPLICIT)],
    ids=lambda syntax: syntax.keyword,
)
def test_another_encoding_than_was_agreed_on_is_not_guessed_at(
    tmp_path: Path, really: UID, said: UID
) -> None:
    assert fault(tmp_path, encoded(mammogram(), really), said)


@pytest.mark.parametrize("odd", [JPEGLosslessSV1, E])
def test_pixels_are_compressed_where_the_transfer_syntax_says_so(tmp_path: Path, odd: UID) -> None:
    other = E if odd is JPEGLosslessSV1 else JPEGLosslessSV1
    said = "its pixels are compressed or not, its transfer syntax says otherwise"
    assert fault(tmp_path, encoded(mammogram(), odd), other) == said


def test_an_icon_need_not_be_compressed_with_its_image(tmp_path: Path) -> None:
    image, icon = mammogram(), Dataset()
    icon.Rows = icon.Columns = 16
    icon.add_new("PixelData", "OW", PIXELS)
    image.IconImageSequence = [icon]
    assert fault(tmp_path, encoded(image, JPEGLosslessSV1), JPEGLosslessSV1) == ""
    icon.add_new("PixelData", "OB", encapsulate([PIXELS]))
    icon["PixelData"].is_undefined_length = True
    assert fault(tmp_path, encoded(image, JPEGLosslessSV1), JPEGLosslessSV1) == ""


def test_sequences_are_followed_as_deep_as_anybody_nests_them(tmp_path: Path) -> None:
    assert fault(tmp_path, nested(DEEPEST // 2)) == ""
    for depth in (DEEPEST, 10_000):
        assert (
            fault(tmp_path, nested(depth)) == f"its sequences are nested more than {DEEPEST} deep"
        )


@pytest.mark.parametrize("syntax", [E, IMPLICIT])
@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_of_either_length_are_sound(
    tmp_path: Path,
    syntax: UID,
    undefined: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    image, inner, middle = mammogram(), Dataset(), Dataset()
    inner.CodeValue = "1"
    middle.AnatomicRegionSequence = Sequence([inner, Dataset()])
    image.ProcedureCodeSequence = Sequence([middle, inner])
    for one in (image["ProcedureCodeSequence"], middle["AnatomicRegionSequence"]):
        one.is_undefined_length = undefined
    inner.is_undefined_length_sequence_item = undefined  # type: ignore[attr-defined]
    assert fault(tmp_path, encoded(image, syntax), syntax) == ""


PRIVATE = element(0x0019, 0x0010, b"LO", b"MAKER 1 ")

UNSOUND = {
    "nothing": b"",
    "a text": b"no data set at all, but of an even length",
    "a whole file": bytes(128) + b"DICM" + encoded(mammogram()),
    "zeros behind its end": encoded(mammogram()) + bytes(512),
    "rubbish behind its end": encoded(mammogram()) + b"rubbish!" * 9,
    "a few bytes behind its end": encoded(mammogram()) + b"\x10\x00\x10",
    "another image behind its end": encoded(mammogram()) * 2,
    "file meta": element(0x0002, 0x0010, b"UI", b"1.2.840.10008.1.2.1.99") + encoded(mammogram()),
    "a length of the file meta": element(0x0002, 0x0000, b"UL", b"\xff\xff\xff\x7f")
    + encoded(mammogram()),
    "a command": element(0x0000, 0x0100, b"US", b"\1\0") + encoded(mammogram()),
    "group FFFF": encoded(mammogram()) + element(0xFFFF, 0x0001, b"LO", b"AB"),
    "an element twice": element(0x0010, 0x0020, b"LO", b"ONE ") * 2,
    "an item without sequence": item(b""),
    "the end of an item without one": ITEM_END,
    "the end of a sequence without one": SEQUENCE_END,
    "a sequence without end": element(0x0008, 0x1140, b"SQ", b"", OPEN) + item(b""),
    "an item without end": element(0x0008, 0x1140, b"SQ", b"", OPEN) + item(b"", OPEN),
    "an element where an item is to be": element(0x0008, 0x1140, b"SQ", PRIVATE),
    "an item longer than its sequence": element(0x0008, 0x1140, b"SQ", item(PRIVATE, 500)),
    "an element longer than its item": element(
        0x0008, 0x1140, b"SQ", item(element(0x0008, 0x1150, b"UI", b"1.2", 64))
    )
    + encoded(mammogram()),
    "a sequence longer than all": element(0x0008, 0x1140, b"SQ", b"", 1 << 30),
    "a text without length": element(0x0008, 0x1140, b"UN", b"", OPEN)
    + element(0x0010, 0x0020, b"OB", b"", OPEN),
    "a value of 4 GiB": element(0x7FE0, 0x0010, b"OW", bytes(8), 0xFFFFFFFE),
    "a VR of small letters": b"\x10\x00\x10\x00pn\x04\x00A^B ",
    "a VR that there is not": b"\x10\x00\x10\x00ZZ\x04\x00A^B ",
    "a VR of zeros": b"\x10\x00\x10\x00\x00\x00\x04\x00A^B ",
}


@pytest.mark.parametrize("content", UNSOUND.values(), ids=UNSOUND)
def test_what_cannot_be_told_for_sure_is_refused(tmp_path: Path, content: bytes) -> None:
    assert fault(tmp_path, content)


SOUND = {
    "group lengths": element(0x0008, 0x0000, b"UL", bytes(4)) + encoded(mammogram()),
    "private elements": encoded(mammogram(PixelData=None)) + PRIVATE,
    "private elements without creator": element(0x0019, 0x1001, b"LO", b"AB"),
    "an odd length": element(0x0010, 0x0020, b"LO", b"ODD"),
    "empty values": element(0x0010, 0x0020, b"LO", b"") + element(0x0010, 0x1000, b"SQ", b""),
    "padding behind the pixels": encoded(mammogram()) + element(0xFFFC, 0xFFFC, b"OB", bytes(300)),
    "elements that are not in order": element(0x0010, 0x0020, b"LO", b"AB")
    + element(0x0008, 0x0060, b"CS", b"MG"),
    "an unknown sequence": element(0x0019, 0x1001, b"UN", b"", OPEN)
    + item(struct.pack("<HHI", 0x0019, 0x1002, 2) + b"AB")
    + SEQUENCE_END,
    "a megabyte of private bytes": element(0x0019, 0x1001, b"OB", bytes(1 << 20)),
    "an item of an empty sequence": element(0x0008, 0x1140, b"SQ", item(b"")),
}


@pytest.mark.parametrize("content", SOUND.values(), ids=SOUND)
def test_what_is_unusual_and_clear_is_taken(tmp_path: Path, content: bytes) -> None:
    assert fault(tmp_path, content) == ""


def test_a_sound_data_set_has_not_a_million_elements(tmp_path: Path) -> None:
    many = item(b"") * (MOST_ELEMENTS + 1)
    said = f"it has more than {MOST_ELEMENTS} elements"
    assert fault(tmp_path, element(0x0008, 0x1140, b"SQ", many)) == said


def test_pixels_in_fragments_end(tmp_path: Path) -> None:
    whole = encoded(mammogram(), JPEGLosslessSV1)
    assert fault(tmp_path, whole[:-8], JPEGLosslessSV1) == "it is cut off"
    assert fault(tmp_path, whole[:-20], JPEGLosslessSV1) == "it is cut off"
    odd = element(0x7FE0, 0x0010, b"OB", item(b"", OPEN) + SEQUENCE_END, OPEN)
    assert fault(tmp_path, odd, JPEGLosslessSV1) == "a fragment of its pixels has no length"


def test_the_place_of_a_data_set_is_not_for_the_data_set_to_say(tmp_path: Path) -> None:
    plain = written(tmp_path, encoded(mammogram()))
    wanted = data_set_offset(plain)
    assert data_set_offset(written(tmp_path, UNSOUND["a length of the file meta"])) == wanted
    (tmp_path / "other.dcm").write_bytes(b"something else")
    with pytest.raises(ValueError, match="no file of the spool"):
        data_set_offset(tmp_path / "other.dcm")


BASE = encoded(mammogram())


@given(st.data())
def test_no_bytes_make_the_walk_stumble(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    content = bytearray(BASE)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(max_size=12))
        content[at : at + data.draw(st.integers(0, 12))] = piece
    syntax = data.draw(st.sampled_from([E, IMPLICIT, BIG, JPEGLosslessSV1]))
    fault(folder, bytes(content), syntax)  # it answers, or says Unsound; nothing else
