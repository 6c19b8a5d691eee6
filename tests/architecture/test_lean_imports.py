"""The listener and the commands start without the libraries that only the reading needs."""

import subprocess
import sys

import pytest
from checkout import ROOT, modules

# Seconds to import and hundreds of MB each.
HEAVY = {"torch", "torchvision", "highdicom", "scipy", "sklearn"}
LISTENER_MEGABYTES = 130  # 119 to 121 as measured; a library too many weighs ten or more


def loaded_by(code: str) -> tuple[set[str], float]:
    """Run code in a fresh Python; return the top-level modules it loads, and its memory in MB."""
    report = (
        "import sys, pathlib\n"
        "status = pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
        "print('LOADED', status, *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    _, kilobytes, *names = ended.stdout.splitlines()[-1].split()
    return set(names), int(kilobytes) / 1024


def dotted(*folders: str) -> list[str]:
    """List the modules below some folders as one imports them."""
    paths = [path.removesuffix(".py").removesuffix("/__init__") for path, _ in modules(*folders)]
    return [path.replace("/", ".") for path in paths]


def test_the_check_sees_torch_where_it_is_loaded() -> None:
    assert "torch" in loaded_by("import torch")[0]


def test_all_that_receives_and_delivers_loads_without_torch() -> None:
    names = dotted("dicom_node/receiving", "dicom_node/delivering", "dicom_node/ledger")
    assert "dicom_node.receiving.listener" in names
    loaded, _ = loaded_by("\n".join(f"import {name}" for name in names))
    assert loaded & HEAVY == set()


def test_the_listener_stays_light() -> None:
    listener = (
        "import dicom_node.receiving.listener, dicom_node.receiving.settle, dicom_node.wiring"
    )
    loaded_by(listener)  # to translate a module for the first time takes memory of its own
    loaded, megabytes = loaded_by(listener)
    assert loaded & HEAVY == set()
    assert megabytes < LISTENER_MEGABYTES


@pytest.mark.parametrize("arguments", [["--help"], ["listen", "--help"], ["demo", "--help"]])
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    loaded, _ = loaded_by(
        "from dicom_node.cli import app\n"
        f"try:\n    app({arguments!r})\n"
        "except SystemExit as ended:\n    assert not ended.code, ended.code\n"
    )
    assert loaded & HEAVY == set()
