"""Files written whole or not at all.

    incoming/    what is still arriving; nothing in it was ever acknowledged
    images/      received images, each under the hashes of its SOP Instance UID and its content
    cases/       findings and objects, a folder a case
    quarantine/  what came in and could not be kept, for people to look at

A name from outside never becomes a path: files are named by hashes and case numbers.
"""

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from blake3 import blake3

from dicom_node.owner import give_to_owner

BLAKE3 = "blake3:"  # an image's digest tells its kind; older ones do not, and are SHA-256
BLOCK = 1 << 20
PREFIX = 132  # preamble and DICM
GROUP_LENGTH = b"\2\0\0\0UL\4\0"
GROUP_LENGTH_BYTES = 12  # the element that says how long the rest of the file meta is
ASIDE_FILES, ASIDE_SHARE = 1000, 0.1  # of the disk: what is set aside takes no more


class Altered(ValueError):
    """Say that a file is not the one that the ledger describes."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} in the spool is not the file that the ledger describes")


class Spool:
    """The node's folder of files."""

    fills_the_disk = True  # of this machine

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"
        self.quarantine = folder / "quarantine"

    def prepare(self) -> None:
        """Make the folders, those of the images too: none is made while an image waits."""
        names = ("", "incoming", "images", "cases", "quarantine")
        images = (f"images/{number:02x}" for number in range(256))
        for folder in (self.folder / name for name in (*names, *images)):
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                give_to_owner(folder)
        for folder in (self.folder / "images", self.folder):
            sync_folder(folder)

    def forget_incoming(self) -> int:
        """Remove what an earlier run left half received, and count it."""
        left = [path for path in self.incoming.rglob("*") if not path.is_dir()]
        for path in left:
            path.unlink(missing_ok=True)  # an earlier run may be about to end
        return len(left)

    def image_name(self, sop_uid: str, digest: str, generation: int = 0) -> str:
        """Name the place of an image within the spool: no name ever has two contents.

        One who stood still between row and rename may come when another content of this UID is
        there already, and promised. One that was purged and came again has a name of its own:
        whoever removes the former file may be late.
        """
        named = hashlib.sha256(sop_uid.encode()).hexdigest()
        again = f"-{generation}" if generation else ""
        return f"images/{named[:2]}/{named}-{beginning(digest)}{again}.dcm"

    def quarantine_name(self, sop_uid: str, digest: str) -> str:
        """Name the place of what is set aside: the same content has the same one."""
        named = hashlib.sha256(sop_uid.encode()).hexdigest()
        return f"quarantine/{named[:32]}-{beginning(digest)}.dcm"

    def case_name(self, case_id: int, lease: str, name: str) -> str:
        """Name the place of something a turn made; two holders never write the same file."""
        return f"cases/{case_id}/{lease[:12]}/{name}"

    def inside(self, name: str) -> Path:
        """Return where a name would lie in the folder, and refuse what leads out of it."""
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise ValueError(f"{name} lies outside the spool")
        return path

    def path(self, name: str) -> Path:
        """Return where a file can be read on this machine."""
        return self.inside(name)

    def start(self, name: str, size: int) -> bytes:
        """Read so many bytes of a file's beginning, or all that there are."""
        with self.inside(name).open("rb") as file:
            return file.read(size)

    def size(self, name: str) -> int:
        """Say how large a file is; one that is not there raises FileNotFoundError."""
        return self.path(name).stat().st_size

    def is_there(self) -> bool:
        """Say whether files may be missed: a disk that is away has none, and has lost none."""
        return (self.folder / "cases").is_dir()

    def has(self, name: str) -> bool:
        """Say whether a file is there."""
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        return True

    def holds(self, name: str, digest: str) -> bool:
        """Say whether an image is there, with the data set that it was kept with."""
        try:
            return data_set_digest(self.path(name), like=digest) == digest
        except (FileNotFoundError, ValueError):  # gone, or cut before its data set begins
            return False

    def image(self, name: str, digest: str) -> Path:
        """Return where an image can be read, once it is sure that it is the one received."""
        path = self.path(name)
        if data_set_digest(path, like=digest) != digest:
            raise Altered(name)
        return path

    def names(self) -> Iterator[tuple[str, float]]:
        """List the images and what cases hold, each with when it came."""
        for part in ("images", "cases"):
            for folder, _, names in os.walk(self.folder / part):
                for name in names:
                    path = Path(folder) / name
                    with suppress(FileNotFoundError):
                        came = path.lstat().st_ctime
                        yield str(path.relative_to(self.folder)), came

    def image_sizes(self) -> dict[str, int]:
        """Tell how large each image is that is there."""
        sizes = {}
        for folder in (self.folder / "images").iterdir():
            with os.scandir(folder) as entries:
                for one in entries:
                    sizes[f"images/{folder.name}/{one.name}"] = one.stat().st_size
        return sizes

    def secure(self, arrived: Path, name: str, written: int | None = None) -> None:
        """Bring an arrived file to where nothing loses it, before its row is written."""
        del name
        sync_file(arrived, written)

    def take(self, arrived: Path, name: str) -> None:
        """Move an arrived file, already secured, to its place for good.

        Its folder is made again where somebody has removed it; all of `images` is not: that may be
        a disk that is away.
        """
        place = self.path(name)
        if not place.parent.is_dir():
            place.parent.mkdir(exist_ok=True)
            sync_folder(place.parent.parent)
        arrived.replace(place)
        sync_folder(place.parent)

    def set_aside(self, arrived: Path, sop_uid: str, digest: str) -> str | None:
        """Keep a file that cannot be accepted, for people to look at, and return its name.

        A sender that never gives up sends it again and again: the same content is kept once. One
        that makes up others cannot fill the disk: beyond the limits nothing more is kept.
        """
        name = self.quarantine_name(sop_uid, digest)
        place = self.path(name)
        place.parent.mkdir(exist_ok=True)
        if not place.exists() and self._too_much_aside(arrived.stat().st_size):
            arrived.unlink()
            return None
        arrived.replace(place)
        return name

    def _too_much_aside(self, more_bytes: int) -> bool:
        sizes = []
        for one in self.quarantine.iterdir():
            with suppress(FileNotFoundError):  # people clear it up
                sizes.append(one.stat().st_size)
        room = ASIDE_SHARE * shutil.disk_usage(self.folder).total
        return len(sizes) >= ASIDE_FILES or sum(sizes) + more_bytes > room

    def write(self, name: str, content: bytes) -> str:
        """Write a file whole, durably, and return its SHA-256."""
        place = self.path(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = hidden(place)
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            give_to_owner(place.parent.parent, place.parent, draft)
            draft.replace(place)
        except OSError:  # on a full disk the half of a file is room that others need
            draft.unlink(missing_ok=True)
            raise
        for folder in (place.parent, place.parent.parent, self.folder / "cases"):
            sync_folder(folder)
        return hashlib.sha256(content).hexdigest()

    def read(self, name: str, sha256: str) -> bytes:
        """Read a file, and refuse bytes that are not those that were written."""
        content = self.path(name).read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Altered(name)
        return content

    def is_whole(self, name: str, sha256: str) -> bool:
        """Say whether a file is there, with the bytes that were written."""
        try:
            self.read(name, sha256)
        except (FileNotFoundError, Altered):
            return False
        return True

    def ask(self) -> str:
        """Say what more there is to say of where the files are; nothing of a folder."""
        return ""

    def remove(self, name: str) -> None:
        """Remove a file that is needed no more, for good; one that is gone already is no fault."""
        place = self.inside(name)
        with suppress(FileNotFoundError):
            place.unlink()
            sync_folder(place.parent)

    def free_bytes(self) -> int:
        """Say how much room is left."""
        return shutil.disk_usage(self.folder).free


def hidden(place: Path) -> Path:
    """Name the draft of a file: no other process writes the same one."""
    return place.with_name(f".{place.name}.{os.getpid()}.{threading.get_ident()}")


def sync_file(path: Path, written: int | None = None) -> None:
    """Bring a file's bytes to the disk, through the descriptor that wrote them where it is open.

    That one alone is told for sure of what could not be written since.
    """
    if written is not None:
        os.fsync(written)
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Bring a folder's names to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def data_set_offset(path: Path) -> int:
    """Say where the data set begins: what stands before it was written by this node.

    pydicom would take elements of group 0002 that a data set begins with for more of the same.
    """
    with path.open("rb") as file:
        file.seek(PREFIX)
        head = file.read(GROUP_LENGTH_BYTES)
    if len(head) < GROUP_LENGTH_BYTES or head[:8] != GROUP_LENGTH:
        raise ValueError("this is no file of the spool")
    return PREFIX + GROUP_LENGTH_BYTES + int.from_bytes(head[8:], "little")


class DataSetDigest:
    """The digest that names an image, of its data set as it comes; see decision 0022."""

    def __init__(self) -> None:
        self._hash = blake3()

    def update(self, piece: bytes | memoryview) -> None:
        """Take the next piece."""
        self._hash.update(piece)

    def hexdigest(self) -> str:
        """Tell the digest, and of which kind it is."""
        return BLAKE3 + self._hash.hexdigest()


class _Digest(Protocol):
    def update(self, piece: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


def beginning(digest: str) -> str:
    """Return as much of a digest as names a file."""
    return digest.removeprefix(BLAKE3)[:32]


def data_set_digest(path: Path, like: str = BLAKE3) -> str:
    """Name an image by its data set, with a digest of the same kind as one that is known."""
    digest: _Digest = DataSetDigest() if like.startswith(BLAKE3) else hashlib.sha256()
    return _hashed(path, data_set_offset(path), digest)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a whole file."""
    return _hashed(path, 0, hashlib.sha256())


def _hashed(path: Path, start: int, digest: _Digest) -> str:
    """Hash a file without holding it in memory."""
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
