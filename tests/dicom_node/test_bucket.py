"""The spool in a bucket keeps the promises of the spool in a folder; against a real S3 server."""

import hashlib
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from free_ports import free_port
from s3_server import S3Server, s3_server

from dicom_node import bucket as buckets
from dicom_node.bucket import BucketSpool
from dicom_node.errors import Busy
from dicom_node.settings.bucket import Bucket
from dicom_node.spool import Altered

pytestmark = pytest.mark.journey

CONTENT = b"pixels" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        server.make_bucket("images")
        yield server


@pytest.fixture
def spool(s3: S3Server, tmp_path: Path) -> BucketSpool:
    return opened(s3.bucket, tmp_path)


def opened(bucket: Bucket, folder: Path, prefix: str = "") -> BucketSpool:
    spool = BucketSpool(folder / "spool", bucket, f"s3://images/{prefix or folder.name}")
    spool.prepare()
    return spool


def arrived(spool: BucketSpool, content: bytes = CONTENT) -> Path:
    path = spool.incoming / "1.dcm"
    path.write_bytes(content)
    return path


def taken(spool: BucketSpool, uid: str = "1.2.3", content: bytes = CONTENT) -> str:
    name = spool.image_name(uid, hashlib.sha256(content).hexdigest())
    path = arrived(spool, content)
    spool.secure(path, name)
    spool.take(path, name)
    return name


def keys(s3: S3Server, prefix: str) -> list[str]:
    found = s3.client.list_objects_v2(Bucket="images", Prefix=f"{prefix}/")
    return [one["Key"].removeprefix(f"{prefix}/") for one in found.get("Contents", [])]


def test_another_machine_reads_what_one_has_taken(
    s3: S3Server, spool: BucketSpool, tmp_path: Path
) -> None:
    name = taken(spool)
    assert keys(s3, tmp_path.name) == [name]
    assert list(spool.incoming.iterdir()) == []
    (tmp_path / "other").mkdir()
    other = opened(s3.bucket, tmp_path / "other", tmp_path.name)
    assert other.start(name, 5) == CONTENT[:5]
    assert list(other.copies.iterdir()) == []  # no more was fetched than was asked for
    with pytest.raises(FileNotFoundError):
        other.start("images/gone.dcm", 5)
    assert other.path(name).read_bytes() == CONTENT
    assert other.size(name) == len(CONTENT)
    assert other.start(name, 5) == CONTENT[:5]
    assert [found for found, _ in other.names()] == [name]
    assert other.image_sizes() == {name: len(CONTENT)}


def test_what_is_written_is_read_by_its_digest_and_nothing_else_is(spool: BucketSpool) -> None:
    sha256 = spool.write("cases/1/abc/findings.json", b"{}")
    assert spool.read("cases/1/abc/findings.json", sha256) == b"{}"
    with pytest.raises(Altered):
        spool.read("cases/1/abc/findings.json", "0" * 64)
    with pytest.raises(FileNotFoundError):
        spool.read("cases/1/abc/gone.json", sha256)
    assert spool.has("cases/1/abc/findings.json")
    assert not spool.has("cases/1/abc/gone.json")
    assert spool.ask() == "the bucket images can be written"


def test_one_uid_with_two_contents_has_two_names(spool: BucketSpool) -> None:
    first, second = taken(spool), taken(spool, content=b"other")
    assert first != second
    assert spool.path(first).read_bytes() == CONTENT
    assert spool.path(second).read_bytes() == b"other"


def test_an_upload_that_was_cut_off_is_done_again(
    s3: S3Server, spool: BucketSpool, tmp_path: Path
) -> None:
    name = spool.image_name("1.2.3", DIGEST)
    key = f"{tmp_path.name}/{name}"
    s3.client.put_object(Bucket="images", Key=key, Body=CONTENT[:100])
    taken(spool)
    taken(spool)
    (tmp_path / "other").mkdir()
    other = opened(s3.bucket, tmp_path / "other", tmp_path.name)
    assert other.path(name).read_bytes() == CONTENT


def test_an_object_that_was_altered_in_the_bucket_is_not_read(
    s3: S3Server, spool: BucketSpool, tmp_path: Path
) -> None:
    name = taken(spool)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    s3.client.put_object(
        Bucket="images",
        Key=f"{tmp_path.name}/{name}",
        Body=CONTENT[::-1],
        Metadata={"sha256": sha256},
    )
    for copy in spool.copies.iterdir():
        copy.unlink()
    with pytest.raises(Altered):
        spool.path(name)
    assert list(spool.copies.iterdir()) == [], "nothing of it stays here"


@pytest.mark.parametrize("name", ["../out", "cases/../../out", "/etc/passwd"])
def test_no_name_leads_out_of_the_prefix(spool: BucketSpool, name: str) -> None:
    for work in (spool.path, spool.size, lambda one: spool.write(one, b"")):
        with pytest.raises(ValueError, match="outside the spool"):
            work(name)


def test_what_is_removed_is_gone_here_and_there_and_nothing_else_is(
    s3: S3Server, spool: BucketSpool, tmp_path: Path
) -> None:
    gone, stays = taken(spool), taken(spool, content=b"other")
    spool.remove(gone)
    assert keys(s3, tmp_path.name) == [stays]
    assert not spool.has(gone)
    with pytest.raises(FileNotFoundError):
        spool.path(gone)
    assert spool.path(stays).read_bytes() == b"other"
    spool.remove(gone)
    with pytest.raises(ValueError, match="outside the spool"):
        spool.remove("../out")
    assert taken(spool) == gone
    assert spool.path(gone).read_bytes() == CONTENT, "what comes again is kept again"


def test_what_is_set_aside_is_kept_once(s3: S3Server, spool: BucketSpool, tmp_path: Path) -> None:
    for content in (b"another", b"another", b"a third"):
        digest = hashlib.sha256(content).hexdigest()
        name = spool.set_aside(arrived(spool, content), "1.2.3", digest)
        assert name is not None
        assert spool.path(name).read_bytes() == content
    assert len(keys(s3, tmp_path.name)) == 2
    assert list(spool.incoming.iterdir()) == []


def test_no_more_is_set_aside_than_the_limit(
    s3: S3Server, spool: BucketSpool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_node.bucket.ASIDE_FILES", 2)
    names = [
        spool.set_aside(arrived(spool, content), "1.2.3", hashlib.sha256(content).hexdigest())
        for content in (b"another", b"a third", b"a fourth", b"another")
    ]
    assert names == [names[0], names[1], None, names[0]]
    assert len(keys(s3, tmp_path.name)) == 2
    assert list(spool.incoming.iterdir()) == []


def test_copies_keep_within_their_limit_and_the_longest_unused_go_first(
    s3: S3Server, tmp_path: Path
) -> None:
    spool = opened(s3.bucket, tmp_path)
    spool._limit = 3 * len(CONTENT)
    names = [taken(spool, f"1.2.{number}") for number in range(3)]
    for age, name in zip((3, 1, 2), names, strict=True):
        when = time.time() - 1000 * age
        os.utime(spool._copy_of(name), (when, when))
    names.append(taken(spool, "1.2.9"))
    here = [spool._copy_of(name).exists() for name in names]
    assert here == [False, True, True, True]
    assert [spool.path(name).read_bytes() for name in names] == [CONTENT] * 4


def test_a_copy_in_use_is_never_the_one_that_goes(s3: S3Server, tmp_path: Path) -> None:
    spool = opened(s3.bucket, tmp_path)
    spool._limit = 1
    names = [taken(spool, f"1.2.{number}") for number in range(3)]
    assert all(spool._copy_of(name).exists() for name in names)


def test_a_copy_that_another_process_removes_meanwhile_is_no_trouble(
    spool: BucketSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = spool.copies / "gone.dcm"
    monkeypatch.setattr(Path, "iterdir", lambda _: iter([gone]))
    taken(spool)


@pytest.mark.parametrize("left", [0, 100, 1000])
def test_a_copy_that_a_power_cut_left_half_is_fetched_again(spool: BucketSpool, left: int) -> None:
    content = bytes(128) + b"DICM\2\0\0\0UL\4\0\0\0\0\0" + CONTENT
    name = taken(spool, content=content)
    spool.path(name).write_bytes(content[:left])
    assert spool.image(name, DIGEST).read_bytes() == content
    with pytest.raises(Altered):
        spool.image(name, "0" * 64)


def test_a_bucket_that_is_not_there_is_a_trouble_of_the_moment(tmp_path: Path) -> None:
    nobody = Bucket.model_validate(
        {"endpoint": f"http://127.0.0.1:{free_port()}", "access_key": "a", "secret_key": "b"}
    )
    spool = opened(nobody, tmp_path)
    for work in (spool.ask, lambda: taken(spool), lambda: spool.path("images/aa/x.dcm")):
        with pytest.raises(Busy, match="the bucket cannot be reached"):
            work()


def test_a_bucket_that_answers_nothing_is_given_up_soon(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        endpoint = f"http://127.0.0.1:{mute.getsockname()[1]}"
        silent = {"endpoint": endpoint, "access_key": "a", "secret_key": "b"}
        spool = opened(Bucket.model_validate(silent), tmp_path)
        at = time.monotonic()
        with pytest.raises(Busy):
            taken(spool)
        assert time.monotonic() - at < 30  # within five, where the machine has nothing else to do


def test_a_wrong_password_is_told_by_its_code_alone(s3: S3Server, tmp_path: Path) -> None:
    wrong = {"endpoint": s3.endpoint, "access_key": "node", "secret_key": "not-this"}
    spool = opened(Bucket.model_validate(wrong), tmp_path)
    with pytest.raises(Busy, match=r"^the bucket answers SignatureDoesNotMatch$"):
        taken(spool)


def test_a_large_image_goes_up_and_comes_down_without_lying_in_memory(spool: BucketSpool) -> None:
    large = spool.incoming / "large.dcm"
    with large.open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(1 << 20))
    name = spool.image_name("1.2.3", "0" * 64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spool.secure(large, name)
    copy = spool.path(name)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert copy.stat().st_size == 200 << 20
    assert grown < 60, f"{grown} MB for an image of 200"


def test_limits_of_time_are_what_a_sender_is_promised() -> None:
    assert buckets.CONNECT_SECONDS + buckets.ANSWER_SECONDS <= 5
