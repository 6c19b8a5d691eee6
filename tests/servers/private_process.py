"""Server programs that belong to one test run and end with it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

_POLL_SECONDS = 0.05


def program(name: str, *folders: Path) -> str:
    """Find a system program, or skip the test with the sentence that says how to get it.

    The folder of the running Python is left out: pip puts scripts named `storescu` and `echoscu`
    there that are not DCMTK's.
    """
    own = Path(sys.executable).parent
    path = [str(folder) for folder in folders]
    path += ["/usr/bin", "/usr/sbin"]
    path += [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if Path(entry) != own]
    found = shutil.which(name, path=os.pathsep.join(path))
    if found is None:
        pytest.skip(f"{name} is not installed; `make system` as root installs it")
    return found


class PrivateProcess:
    """One server process: started, awaited, and ended whatever happens.

    It runs under `setpriv --pdeathsig`: the kernel ends it even where the test run itself was
    killed and could not clean up.
    """

    def __init__(self, command: Sequence[str], log: Path, *, user: str | None = None) -> None:
        """Start the command, its output going to the log file."""
        self.log = log
        self.name = Path(command[0]).name
        prefix = [program("setpriv"), "--pdeathsig", "KILL"]
        if user is not None:
            prefix += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*prefix, "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
            )

    @property
    def pid(self) -> int:
        """The process id: setpriv becomes the server, so it is the server's own."""
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for the server to answer; fail with its last words where it ends or stays mute."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(
                    f"{self.name} ended with {self._process.returncode}:\n{self._said()}"
                )
            if ready():
                return
            time.sleep(_POLL_SECONDS)
        self.end()
        raise RuntimeError(f"{self.name} was not ready within {seconds:g} s:\n{self._said()}")

    def end(self, seconds: float = 10) -> None:
        """Ask the server to end, and kill it where it does not."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def interrupt(self, seconds: float = 10) -> None:
        """Press Ctrl-C: where a program waits for its clients at SIGTERM, it does not here."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End the server as a power cut would."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _said(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]
