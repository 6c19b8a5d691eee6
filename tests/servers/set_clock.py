"""A clock that a test sets, for whole processes: libfaketime, whose offset is read from a file."""

from pathlib import Path

import pytest


class SetClock:
    """How far the clock of the processes stands from the machine's; their monotonic one is left."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.ahead_seconds = 0
        self.jump(0)

    def jump(self, seconds: int) -> None:
        """Set the clock."""
        self.ahead_seconds += seconds
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{self.ahead_seconds:+d}s\n")
        draft.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """Say what a process needs to read this clock."""
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not found:
            pytest.skip("libfaketime is not installed; `make system` as root installs it")
        return {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
            "NO_FAKE_STAT": "1",
        }
