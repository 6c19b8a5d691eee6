"""A disk that fills up while an image arrives is told by the answer, never by an exception."""

from pathlib import Path

import pytest
from blake3 import blake3
from pydicom import dcmread
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)
from pynetdicom.dsutils import create_file_meta, encode_file_meta
from small_images import encoded, mammogram

from dicom_node.receiving.incoming import IncomingFile
from dicom_node.spool import data_set_digest, data_set_offset

FULL = "No space left on device"


@pytest.fixture
def on_a_full_disk(tmp_path: Path) -> IncomingFile:
    path = tmp_path / "image.dcm"
    path.symlink_to("/dev/full")
    return IncomingFile(path)


def test_a_disk_that_is_full_at_a_write_is_remembered(on_a_full_disk: IncomingFile) -> None:
    block = memoryview(bytes(1 << 20))
    on_a_full_disk.write(block)
    on_a_full_disk.write(block)
    on_a_full_disk.close()
    assert (on_a_full_disk.trouble, on_a_full_disk.size) == (FULL, 2 << 20)
    on_a_full_disk.discard()
    assert not on_a_full_disk.path.is_symlink()


def test_what_was_written_before_the_disk_was_full_gives_its_room_back(tmp_path: Path) -> None:
    incoming = IncomingFile(tmp_path / "image.dcm")
    incoming.write(memoryview(bytes(1 << 20)))
    incoming._give_up(OSError(28, FULL))
    incoming.close()
    assert incoming.path.stat().st_size == 0


def test_a_disk_that_is_gone_is_remembered_too(tmp_path: Path) -> None:
    incoming = IncomingFile(tmp_path / "gone" / "incoming" / "image.dcm")
    incoming.write(memoryview(b"12"))
    incoming.discard()
    assert incoming.trouble == "No such file or directory"


def test_an_image_that_is_refused_already_is_counted_and_not_written(tmp_path: Path) -> None:
    incoming = IncomingFile(tmp_path / "image.dcm", ValueError("whatever it is"))
    incoming.write(memoryview(bytes(1 << 20)))
    incoming.close()
    assert incoming.size == 1 << 20
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sop_uid", ["1.2.3", "1.2.34", "2.25." + "1" * 59])
def test_what_stands_before_a_data_set_is_what_pynetdicom_would_write(
    tmp_path: Path, sop_uid: str
) -> None:
    incoming = IncomingFile(tmp_path / "image.dcm")
    uids = (DigitalMammographyXRayImageStorageForPresentation, UID(sop_uid))
    incoming.begin(*uids, ExplicitVRLittleEndian)
    incoming.close()
    meta = create_file_meta(
        sop_class_uid=uids[0], sop_instance_uid=uids[1], transfer_syntax=ExplicitVRLittleEndian
    )
    assert incoming.path.read_bytes() == bytes(128) + b"DICM" + encode_file_meta(meta)


def test_the_file_is_whole_and_its_digest_that_of_its_data_set(tmp_path: Path) -> None:
    image = mammogram()
    sent = encoded(image)
    incoming = IncomingFile(tmp_path / "image.dcm")
    sop_class = DigitalMammographyXRayImageStorageForPresentation
    incoming.begin(sop_class, image.SOPInstanceUID, ExplicitVRLittleEndian)
    for start in range(0, len(sent), 100):
        incoming.write(memoryview(sent)[start : start + 100])
    incoming.close()
    assert incoming.path.read_bytes()[data_set_offset(incoming.path) :] == sent
    assert incoming.digest == "blake3:" + blake3(sent).hexdigest() == data_set_digest(incoming.path)
    kept = dcmread(incoming.path)
    assert kept.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert kept.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
