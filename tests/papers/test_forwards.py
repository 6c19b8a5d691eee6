"""Each network reads a picture of its paper's size, at the cost that docs/networks.md states."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path("benchmarks/forwards.py")
NETWORKS = runpy.run_path(str(SCRIPT))["NETWORKS"]
PAGE = Path("docs/networks.md").read_text(encoding="utf-8")


def cells(row: str) -> list[str]:
    """Split a row of the table."""
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def stated(name: str) -> list[str]:
    """Return a network's row on the page."""
    row = re.search(rf"^\| {re.escape(name)} \|.*$", PAGE, re.MULTILINE)
    assert row is not None, f"docs/networks.md has no row for {name}"
    return cells(row[0])


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_its_row(name: str) -> None:
    _, (height, width), _, _ = NETWORKS[name]
    assert stated(name)[1] == f"{height} x {width}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_forward_runs_and_costs_what_the_page_says(name: str) -> None:
    command = [sys.executable, SCRIPT, "--only", name, "--repeats", "1"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    # Size, parameters and operations are the network's; seconds and memory are the machine's.
    assert cells(said.stdout)[:4] == stated(name)[:4]
