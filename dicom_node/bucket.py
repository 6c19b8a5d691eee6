"""The spool in a bucket: S3-compatible object storage, for a node on several machines.

What arrives lies on the machine's own disk until it is complete; Success is answered once the
bucket has the whole of it. An image's name there holds a digest of its bytes, so that no name ever
has two contents and an upload that was cut off can be done again. Readers get a local copy, held
against the digest that went with the upload.
"""

import base64
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dicom_node.errors import Busy
from dicom_node.settings.bucket import Bucket
from dicom_node.spool import ASIDE_FILES, BLOCK, Altered, Spool, digest_of, hidden

CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 3.0  # together what a sender waits for A700
YOUNG_SECONDS = 600.0  # a copy that was asked for so lately may be in use
_GONE = {"404", "NoSuchKey", "NotFound"}
# What is there already, perhaps half of it, or a storage that does not know the condition.
_ON_CONDITION = {"412", "PreconditionFailed", "ConditionalRequestConflict", "NotImplemented"}


class BucketSpool(Spool):
    """The node's files in a bucket, with copies of the latest on this machine's disk."""

    fills_the_disk = False

    def __init__(self, folder: Path, bucket: Bucket, where: str) -> None:
        super().__init__(folder)
        self.copies = folder / "copies"
        self._limit = bucket.copies_megabytes << 20
        self._bucket, _, prefix = where.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client = _client(bucket)

    def prepare(self) -> None:
        """Make the folders of this machine; the bucket is somebody else's to make."""
        for place in (self.incoming, self.copies):
            place.mkdir(parents=True, exist_ok=True)

    # --- what is written --------------------------------------------------------------------

    def secure(self, arrived: Path, name: str, written: int | None = None) -> None:
        """Bring an arrived file into the bucket; what is there under its name is the same."""
        del written
        self._put_file(arrived, name)

    def remove(self, name: str) -> None:
        """Remove an object that is needed no more, and this machine's copy of it."""
        with _told(name):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))
        self._copy_of(name).unlink(missing_ok=True)

    def take(self, arrived: Path, name: str) -> None:
        """Keep the arrived file as this machine's copy."""
        arrived.replace(self._copy_of(name))
        self._forget_old_copies()

    def set_aside(self, arrived: Path, sop_uid: str, digest: str) -> str | None:
        """Keep a file that cannot be accepted, once, for people to look at; not too many of them.

        A bucket has no size, so that their number alone is limited.
        """
        name = self.quarantine_name(sop_uid, digest)
        has_room = self.has(name) or self._count_aside() < ASIDE_FILES
        if has_room:
            self._put_file(arrived, name)
        arrived.unlink()
        return name if has_room else None

    def _count_aside(self) -> int:
        with _told("list"):
            listed = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=self._key("quarantine/"), MaxKeys=ASIDE_FILES
            )
        return int(listed["KeyCount"])

    def write(self, name: str, content: bytes) -> str:
        """Write an object whole and return its SHA-256."""
        sha256 = hashlib.sha256(content).hexdigest()
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        with _told(name):
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key(name),
                Body=content,
                ContentMD5=base64.b64encode(md5).decode(),
                Metadata={"sha256": sha256},
            )
        self._see_that_it_is_there(name, len(content), sha256)
        return sha256

    def _put_file(self, path: Path, name: str) -> None:
        """Send a file straight from the disk; the bucket compares its digest before it answers."""
        sha256, size = digest_of(path), path.stat().st_size
        with path.open("rb") as file, _told(name):
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
            for condition in ({"IfNoneMatch": "*"}, {}):
                file.seek(0)
                try:
                    self._client.put_object(
                        Bucket=self._bucket,
                        Key=self._key(name),
                        Body=file,
                        ContentLength=size,
                        ContentMD5=base64.b64encode(md5).decode(),
                        Metadata={"sha256": sha256},
                        **condition,
                    )
                    break
                except ClientError as answer:
                    if not condition or _code(answer) not in _ON_CONDITION:
                        raise
                    if self._is_there(name, size, sha256):
                        return
        self._see_that_it_is_there(name, size, sha256)

    def _see_that_it_is_there(self, name: str, size: int, sha256: str) -> None:
        """Believe no answer to an upload that the bucket itself does not confirm."""
        if not self._is_there(name, size, sha256):
            raise Busy(f"the bucket has not all of {name}")

    def _is_there(self, name: str, size: int, sha256: str) -> bool:
        seen = self._head(name)
        if seen is None:
            return False
        return bool(seen["ContentLength"] == size and seen["Metadata"].get("sha256") == sha256)

    # --- what is read -----------------------------------------------------------------------

    def path(self, name: str) -> Path:
        """Return a copy on this machine, fetched where there is none."""
        copy = self._copy_of(name)
        try:
            os.utime(copy)
        except FileNotFoundError:
            self._fetch(name, copy)
            self._forget_old_copies()
        return copy

    def image(self, name: str, digest: str) -> Path:
        """Return a copy of an image; one that a power cut left half is fetched again."""
        try:
            return super().image(name, digest)
        except ValueError:
            self._copy_of(name).unlink(missing_ok=True)
            return super().image(name, digest)

    def read(self, name: str, sha256: str) -> bytes:
        """Read an object, and refuse bytes that are not those that were written."""
        with _told(name):
            got = self._client.get_object(Bucket=self._bucket, Key=self._key(name))
            content: bytes = got["Body"].read()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Altered(name)
        return content

    def start(self, name: str, size: int) -> bytes:
        """Read a file's beginning, and no more of it, from the copy or else from the bucket."""
        with suppress(FileNotFoundError), self._copy_of(name).open("rb") as file:
            return file.read(size)
        part = f"bytes=0-{size - 1}"
        with _told(name):
            got = self._client.get_object(Bucket=self._bucket, Key=self._key(name), Range=part)
            content: bytes = got["Body"].read()
        return content

    def size(self, name: str) -> int:
        """Say how large a file in the bucket is."""
        seen = self._head(name)
        if seen is None:
            raise FileNotFoundError(2, "it is not in the bucket", name)
        return int(seen["ContentLength"])

    def is_there(self) -> bool:
        """Say whether files may be missed: a bucket that is away says so itself (Busy)."""
        return True

    def holds(self, name: str, digest: str) -> bool:
        """Say whether an image is there: its name holds its digest, and the bucket compared it."""
        del digest
        return self.has(name)

    def names(self) -> Iterator[tuple[str, float]]:
        """List the images and what cases hold, each with when it came."""
        for part in ("images/", "cases/"):
            for name, one in self._listed(part):
                yield name, one["LastModified"].timestamp()

    def image_sizes(self) -> dict[str, int]:
        """Tell how large each image is; the bucket tells of a thousand at a time."""
        return {name: int(one["Size"]) for name, one in self._listed("images/")}

    def _listed(self, part: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """List what the bucket holds of a part, each with what it says of it."""
        with _told("list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._key(part)
            )
            for page in pages:
                for one in page.get("Contents", []):
                    yield one["Key"].removeprefix(self._prefix), one

    def ask(self) -> str:
        """Say that the bucket can be written, or raise Busy with the reason."""
        name = f"asked/{uuid.uuid4().hex}"
        self.write(name, b"can this be written?")
        with _told(name):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))
        return f"the bucket {self._bucket} can be written"

    # ----------------------------------------------------------------------------------------

    def _fetch(self, name: str, copy: Path) -> None:
        """Fetch a copy in blocks, and let it be seen once it is whole and what was written."""
        draft = hidden(copy)
        digest = hashlib.sha256()
        try:
            with _told(name):
                got = self._client.get_object(Bucket=self._bucket, Key=self._key(name))
                with draft.open("wb") as file:
                    for block in got["Body"].iter_chunks(BLOCK):
                        file.write(block)
                        digest.update(block)
            if digest.hexdigest() != got["Metadata"].get("sha256"):
                raise Altered(name)
            draft.replace(copy)
        finally:
            draft.unlink(missing_ok=True)

    def _forget_old_copies(self) -> None:
        """Keep the copies within their limit; the longest unused go first."""
        seen = []
        for one in self.copies.iterdir():
            with suppress(FileNotFoundError):  # another process was first, or its draft is done
                seen.append((one.stat(), one))
        there = sum(known.st_size for known, _ in seen)
        for known, one in sorted(seen, key=lambda pair: pair[0].st_mtime):
            if there <= self._limit or time.time() - known.st_mtime < YOUNG_SECONDS:
                return
            one.unlink(missing_ok=True)
            there -= known.st_size

    def _copy_of(self, name: str) -> Path:
        self.inside(name)
        return self.copies / f"{hashlib.sha256(name.encode()).hexdigest()}.dcm"

    def _head(self, name: str) -> Any:  # noqa: ANN401 - what the bucket tells
        with _told(name):
            try:
                return self._client.head_object(Bucket=self._bucket, Key=self._key(name))
            except ClientError as answer:
                if _code(answer) in _GONE:
                    return None
                raise

    def _key(self, name: str) -> str:
        self.inside(name)
        return self._prefix + name


def _client(bucket: Bucket) -> Any:  # noqa: ANN401 - boto3 publishes no types
    """Open a connection that tries once: whoever waits is told, and tries again himself."""
    return boto3.client(
        "s3",
        endpoint_url=bucket.endpoint or None,
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key.get_secret_value() or None,
        aws_secret_access_key=bucket.secret_key.get_secret_value() or None,
        verify=bucket.ca_file or None,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=ANSWER_SECONDS,
            retries={"total_max_attempts": 1},
            max_pool_connections=50,
            # Not every storage knows the newer checksums; each compares an MD5.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"} if bucket.endpoint else {},
        ),
    )


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what the storage objects to into words of ours: a bucket that is away comes back."""
    try:
        yield
    except ClientError as answer:
        code = _code(answer)
        if code in _GONE:
            raise FileNotFoundError(2, "it is not in the bucket", name) from answer
        raise Busy(f"the bucket answers {code}") from answer
    except BotoCoreError as trouble:
        raise Busy(f"the bucket cannot be reached: {type(trouble).__name__}") from trouble


def _code(answer: ClientError) -> str:
    return str(answer.response.get("Error", {}).get("Code", "nothing"))
