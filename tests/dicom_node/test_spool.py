"""Files are written whole or not at all, and nothing leads out of the spool."""

import errno
import hashlib
import os
from pathlib import Path

import pytest
from blake3 import blake3

from dicom_node.spool import (
    GROUP_LENGTH,
    PREFIX,
    Altered,
    Spool,
    data_set_digest,
    digest_of,
)

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
        assert place is not None
        assert spool.path(place).read_bytes() == content
        assert not arrived.exists()
    assert len(list(spool.quarantine.iterdir())) == 2


@pytest.mark.parametrize("limit", [("ASIDE_FILES", 2), ("ASIDE_SHARE", 0.0)], ids=str)
def test_no_more_is_set_aside_than_there_is_room_for(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, limit: tuple[str, float]
) -> None:
    def aside(content: bytes) -> str | None:
        arrived = spool.incoming / "0.dcm"
        arrived.write_bytes(content)
        name = spool.set_aside(arrived, "1.2.3", hashlib.sha256(content).hexdigest())
        assert not arrived.exists()
        return name

    first, second = aside(b"another"), aside(b"a third")
    assert first != second
    monkeypatch.setattr("dicom_node.spool." + limit[0], limit[1])
    assert aside(b"a fourth") is None
    assert aside(b"another") == first, "what is there already takes no more room"
    assert len(list(spool.quarantine.iterdir())) == 2


def test_a_digest_tells_its_kind_and_one_that_does_not_is_a_sha256(tmp_path: Path) -> None:
    path, sent = tmp_path / "file", b"data" * 1_000_000
    path.write_bytes(bytes(PREFIX) + GROUP_LENGTH + b"\4\0\0\0meta" + sent)
    ours, older = "blake3:" + blake3(sent).hexdigest(), hashlib.sha256(sent).hexdigest()
    assert digest_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert data_set_digest(path) == data_set_digest(path, like=ours) == ours
    assert data_set_digest(path, like=older) == older


def test_the_kind_of_a_digest_is_no_part_of_a_name(spool: Spool) -> None:
    digest = "0123456789abcdef" * 4
    for name in (spool.image_name, spool.quarantine_name):
        assert name("1.2.3", f"blake3:{digest}") == name("1.2.3", digest)
        assert name("1.2.3", digest).endswith(f"-{digest[:32]}.dcm")


@pytest.mark.parametrize("is_of_an_older_release", [False, True])
def test_an_image_is_held_against_whichever_digest_it_was_kept_with(
    spool: Spool, *, is_of_an_older_release: bool
) -> None:
    place = spool.folder / "image"
    place.write_bytes(bytes(PREFIX) + GROUP_LENGTH + b"\4\0\0\0meta" + b"data")
    digest = hashlib.sha256(b"data").hexdigest() if is_of_an_older_release else ""
    digest = digest or data_set_digest(place)
    assert spool.image("image", digest) == place
    assert spool.holds("image", digest)
    with place.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"A")
    assert not spool.holds("image", digest)
    with pytest.raises(Altered):
        spool.image("image", digest)


def test_free_room_is_told_in_bytes(spool: Spool) -> None:
    assert spool.free_bytes() > 1 << 20
