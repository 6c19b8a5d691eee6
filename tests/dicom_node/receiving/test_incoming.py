"""A disk that fills up while an image arrives is told by the answer, never by an exception."""

from pathlib import Path

import pytest

from dicom_node.receiving.incoming import IncomingFile

FULL = "No space left on device"


@pytest.fixture
def on_a_full_disk(tmp_path: Path) -> IncomingFile:
    path = tmp_path / "image.dcm"
    path.symlink_to("/dev/full")
    return IncomingFile(path)


def test_a_disk_that_is_full_at_a_write_is_remembered(on_a_full_disk: IncomingFile) -> None:
    block = bytes(1 << 20)
    assert on_a_full_disk.write(block) == len(block)
    assert on_a_full_disk.write(block) == len(block)
    on_a_full_disk.close()
    assert (on_a_full_disk.trouble, on_a_full_disk.tell()) == (FULL, 2 << 20)


def test_a_disk_that_is_full_at_the_last_bytes_is_remembered(
    on_a_full_disk: IncomingFile,
) -> None:
    on_a_full_disk.write(b"few enough to wait in the buffer")
    assert on_a_full_disk.trouble is None
    on_a_full_disk.close()
    assert on_a_full_disk.trouble == FULL
    on_a_full_disk.discard()
    assert not Path(on_a_full_disk.name).is_symlink()


def test_what_was_written_before_the_disk_was_full_gives_its_room_back(tmp_path: Path) -> None:
    incoming = IncomingFile(tmp_path / "image.dcm")
    incoming.write(bytes(1 << 20))
    incoming._give_up(OSError(28, FULL))
    incoming.close()
    assert Path(incoming.name).stat().st_size == 0
