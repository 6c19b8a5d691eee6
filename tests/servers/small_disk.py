"""A disk of a few megabytes, which a test fills and empties."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A disk in memory, mounted at a folder."""

    folder: Path

    def fill(self, leave_bytes: int = 0) -> None:
        """Fill it up, but for so many bytes."""
        with (self.folder / "filler").open("ab", buffering=0) as filler:
            with suppress(OSError):
                while True:
                    filler.write(bytes(4096))
            if leave_bytes:
                filler.truncate(max(0, filler.tell() - leave_bytes))

    def make_room(self) -> None:
        """Take away what fills it."""
        (self.folder / "filler").unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount one for the length of the block."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder.mkdir(parents=True, exist_ok=True)
    size = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
