"""The household goes on, whatever becomes of one of its members."""

import errno
import subprocess
import time
from pathlib import Path

import pytest

from dicom_node.household import Member


def test_a_member_that_cannot_be_started_just_now_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", full)
    member = Member(("work",), tmp_path / "node.toml", 1, due_at=time.monotonic())
    assert member.look() is None
    assert member.due_at is not None
    assert member.due_at > time.monotonic()
