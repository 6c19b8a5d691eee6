"""What `up` starts: killed, stopped, and left alone."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from memory_of import tree
from running_node import RunningNode, running_node

pytestmark = pytest.mark.journey


def member(node: RunningNode, words: str) -> int | None:
    """Find a process of the household by its command."""
    (up,) = node.processes.values()
    for pid in tree([up.pid]):
        if _command(pid).endswith(words) and _parent(pid) == up.pid:
            return pid
    return None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ").strip()
    except OSError:
        return ""


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_R15_what_up_started_is_started_again_and_never_outlives_it(
    figure: Callable[[str], None], tmp_path: Path
) -> None:
    with running_node(tmp_path / "node", []) as node:
        node.start("up")
        node.wait_until_listening()
        node.wait_until(lambda: "bundle loaded" in node.log(), "ready")
        lost = member(node, "work --only analyze")
        assert lost is not None
        below = tree([lost]) - {lost}
        os.kill(lost, signal.SIGKILL)
        killed = time.monotonic()
        node.wait_until(
            lambda: member(node, "work --only analyze") not in {None, lost}, "started again"
        )
        again = time.monotonic() - killed
        node.wait_until(lambda: not any(map(_command, below)), "without orphans")
        node.wait_until(lambda: node.log().count("bundle loaded") == 2, "ready again")
        (up,) = node.processes.values()
        everybody = tree([up.pid])
        assert len(everybody) >= 6
        os.kill(up.pid, signal.SIGKILL)
        killed = time.monotonic()
        node.wait_until(lambda: not any(map(_command, everybody - {up.pid})), "all gone")
        gone = time.monotonic() - killed
    figure(
        f"kill -9 of a worker: started again after {again:.1f} s, its child gone; of `up`: "
        f"{len(everybody) - 1} processes gone after {gone:.1f} s"
    )
    assert again < 30
    assert gone < 60


@pytest.mark.slow  # half a minute of silence; test_pulse.py looks at it closely
def test_R15_a_member_that_hangs_is_ended_and_started_again(
    figure: Callable[[str], None], tmp_path: Path
) -> None:
    with running_node(tmp_path / "node", []) as node:
        node.start("up")
        node.wait_until_listening()
        hung = member(node, "listen")
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        stopped = time.monotonic()
        node.wait_until(lambda: member(node, "listen") not in {None, hung}, "started again")
        node.wait_until_listening()
        figure(f"a stopped listener: listening again after {time.monotonic() - stopped:.1f} s")
