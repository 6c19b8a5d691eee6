"""`up` whose port another program has says so, and leaves nothing running behind it."""

import subprocess
import sys
from pathlib import Path
from socket import socket

HURRIED = """
from dicom_node.receiving import port
from dicom_node import household
port.PATIENCE_SECONDS = 0.5
def start(member):
    raise AssertionError(f"{member.name} was started")
household.Member.start = start
from dicom_node.cli import run
run()
"""


def test_up_says_that_its_port_is_taken_and_starts_nobody(tmp_path: Path) -> None:
    with socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        config = tmp_path / "node.toml"
        config.write_text(
            f'[node]\ndata = "{tmp_path}/var"\n[receiving]\naddress = "127.0.0.1"\nport = {port}\n'
        )
        ended = subprocess.run(
            [sys.executable, "-c", HURRIED, "--config", str(config), "up"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert ended.returncode == 75
    assert ended.stderr.strip().splitlines()[-1] == (
        f"receiving.address and port: 127.0.0.1:{port} cannot be listened on: "
        "Address already in use"
    )
    assert "Traceback" not in ended.stdout + ended.stderr
