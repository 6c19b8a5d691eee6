"""Files are written whole or not at all, and nothing leads out of the spool."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from dicom_node.spool import Spool, digest_of

DIGEST = "a" * 64


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    return spool


def files_in(spool: Spool) -> list[str]:
    return sorted(
        str(path.relative_to(spool.folder)) for path in spool.folder.rglob("*") if path.is_file()
    )


def test_what_is_written_is_read_and_nothing_else_is_left(spool: Spool) -> None:
    sha256 = spool.write("cases/1/abc/findings.json", b"{}")
    assert sha256 == hashlib.sha256(b"{}").hexdigest()
    assert spool.read("cases/1/abc/findings.json", sha256) == b"{}"
    assert files_in(spool) == ["cases/1/abc/findings.json"]


def test_writing_again_replaces_the_whole_file(spool: Spool) -> None:
    spool.write("cases/1/a", b"a longer content")
    assert spool.read("cases/1/a", spool.write("cases/1/a", b"short")) == b"short"


def test_a_file_for_which_there_is_no_room_leaves_no_half_of_it(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        spool.write("cases/1/a", b"content")
    assert files_in(spool) == []


def test_changed_bytes_are_refused(spool: Spool) -> None:
    sha256 = spool.write("cases/1/a", b"content")
    spool.path("cases/1/a").write_bytes(b"CONTENT")
    with pytest.raises(ValueError, match="not the file that the ledger describes"):
        spool.read("cases/1/a", sha256)


def test_a_file_that_is_gone_is_no_silence(spool: Spool) -> None:
    with pytest.raises(FileNotFoundError):
        spool.read("cases/1/a", "0" * 64)


@pytest.mark.parametrize("name", ["../out", "cases/../../out", "/etc/passwd", "cases/1/../../../x"])
def test_no_name_leads_out_of_the_spool(spool: Spool, name: str) -> None:
    with pytest.raises(ValueError, match="outside the spool"):
        spool.path(name)
    with pytest.raises(ValueError, match="outside the spool"):
        spool.write(name, b"")


def test_a_link_leads_out_of_the_spool_no_more_than_a_name(spool: Spool, tmp_path: Path) -> None:
    (spool.folder / "cases" / "link").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="outside the spool"):
        spool.path("cases/link/file")


def test_an_image_is_named_by_a_hash_whatever_its_uid_says(spool: Spool) -> None:
    name = spool.image_name("../../etc/passwd", DIGEST)
    assert spool.path(name).is_relative_to(spool.folder / "images")
    assert name != spool.image_name("1.2.3", DIGEST)
    assert name == spool.image_name("../../etc/passwd", DIGEST)
    assert name != spool.image_name("../../etc/passwd", "b" * 64), "no name has two contents"


def test_two_holders_of_a_case_write_different_files(spool: Spool) -> None:
    assert spool.case_name(1, "a" * 32, "x") != spool.case_name(1, "b" * 32, "x")


def test_an_arrived_file_is_moved_to_its_place(spool: Spool) -> None:
    arrived = spool.incoming / "1.dcm"
    arrived.write_bytes(b"pixels")
    spool.take(arrived, spool.image_name("1.2.3", DIGEST))
    assert files_in(spool) == [spool.image_name("1.2.3", DIGEST)]


def test_half_received_files_are_forgotten_and_kept_ones_are_not(spool: Spool) -> None:
    for number in range(3):
        (spool.incoming / f"{number}.dcm").write_bytes(b"half")
    spool.write(spool.image_name("1.2.3", DIGEST), b"whole")
    assert spool.forget_incoming() == 3
    assert spool.forget_incoming() == 0
    assert files_in(spool) == [spool.image_name("1.2.3", DIGEST)]


def test_what_is_set_aside_keeps_its_bytes_and_is_kept_once(spool: Spool) -> None:
    for content in (b"another", b"another", b"a third"):
        arrived = spool.incoming / "0.dcm"
        arrived.write_bytes(content)
        place = spool.set_aside(arrived, "1.2.3", hashlib.sha256(content).hexdigest())
        assert spool.path(place).read_bytes() == content
        assert not arrived.exists()
    assert len(list(spool.quarantine.iterdir())) == 2


def test_a_digest_may_leave_out_the_start_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"meta" + b"data" * 1000)
    assert digest_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest_of(path, skip=4) == hashlib.sha256(b"data" * 1000).hexdigest()


def test_free_room_is_told_in_bytes(spool: Spool) -> None:
    assert spool.free_bytes() > 1 << 20
