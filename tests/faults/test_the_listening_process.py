"""The listener as it runs: small, without torch, without privileges, and its files its own."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from free_ports import free_port
from private_process import PrivateProcess, program
from running_node import RunningNode, settings_text

pytestmark = pytest.mark.journey

HEAVY = ("libtorch", "libcudart", "libc10", "libopenblas64_p-r0-scipy")
LISTENER_MEGABYTES = 300
NO_WRITABLE_CODE = 65  # PR_SET_MDWE of prctl: what systemd's MemoryDenyWriteExecute asks for
SANDBOXED = f"""
import ctypes, os, sys
if ctypes.CDLL(None, use_errno=True).prctl({NO_WRITABLE_CODE}, 1, 0, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.umask(0)
os.execv(sys.executable, [sys.executable, "-m", "dicom_node", *sys.argv[1:]])
"""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunningNode:
    config = tmp_path / "node.toml"
    config.write_text(settings_text(tmp_path, free_port(), []))
    monkeypatch.setenv("FOURVIEWS_CONFIG", str(config))
    return RunningNode(tmp_path, config)


def can_forbid_writable_code() -> bool:
    """Say whether the kernel knows how (6.3 and later)."""
    return ctypes.CDLL(None).prctl(NO_WRITABLE_CODE + 1, 0, 0, 0, 0) >= 0


def test_S7_the_listener_runs_without_torch_privileges_or_writable_code(
    node: RunningNode, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    unprivileged = [program("setpriv"), "--no-new-privs", "--bounding-set=-all"]
    unprivileged += ["--inh-caps=-all"] if os.geteuid() == 0 else []
    sandboxed = ["-c", SANDBOXED] if can_forbid_writable_code() else ["-m", "dicom_node"]
    command = [*unprivileged, "--", sys.executable, *sandboxed, "listen"]
    listener = PrivateProcess(command, tmp_path / "listen.log")
    try:
        node.wait_until_listening()
        maps = Path(f"/proc/{listener.pid}/maps").read_text()
        status = Path(f"/proc/{listener.pid}/status").read_text()
    finally:
        listener.end()
    found = [name for name in HEAVY if name in maps]
    megabytes = int(status.split("VmRSS:")[1].split()[0]) / 1024
    capabilities = int(status.split("CapEff:")[1].split()[0], 16)
    code = "no writable code" if len(sandboxed) == len(["-c", SANDBOXED]) else ""
    figure(
        f"{len(found)} of {len(HEAVY)} heavy libraries mapped, {megabytes:.0f} MB, "
        f"{capabilities.bit_count()} capabilities, {code or 'kernel too old for MDWE'}"
    )
    assert found == []
    assert megabytes < LISTENER_MEGABYTES
    assert capabilities == 0


def test_S5_what_the_node_writes_is_for_its_own_user_alone(
    node: RunningNode, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    for command in ("migrate", "sweep"):
        subprocess.run([sys.executable, "-m", "dicom_node", command], umask=0, check=True)
    anything = "import os, sys; os.umask(0); os.execv(sys.executable, sys.argv[1:])"
    command = [sys.executable, "-c", anything, sys.executable, "-m", "dicom_node", "listen"]
    listener = PrivateProcess(command, tmp_path / "listen.log")
    try:
        node.wait_until_listening()
    finally:
        listener.end()
    written = [path for path in (tmp_path / "data").rglob("*") if not path.is_symlink()]
    open_to_others = [path for path in written if path.stat().st_mode & 0o077]
    figure(f"{len(open_to_others)} of {len(written)} files and folders open to others, umask 0")
    assert len(written) > 200
    assert open_to_others == []
