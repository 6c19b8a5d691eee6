"""Logs tell what happened and where, and nothing of the patient."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import sys, logging, warnings
from dicom_node.logs import log, set_up
from pydicom import Dataset
set_up(sys.argv[1], "debug")

def read(header):
    return header.NoSuchKeyword

header = Dataset()
header.PatientName = "Sentinel^Name"
log("room").info("hello", case=7)
for name in ("pydicom", "pynetdicom.acse", "highdicom"):
    logging.getLogger(name).error("quotes %s", header.PatientName)
warnings.warn("about Sentinel^Name")
logging.getLogger("another").warning("a stranger speaks")
try:
    read(header)
except AttributeError:
    log("room").exception("fault", case=7)
"""

UNCAUGHT = """
import logging, sys, threading
from dicom_node.logs import log, set_up
set_up(sys.argv[1], "debug")

def read():
    raise ValueError("could not convert: Sentinel^Name")

thread = threading.Thread(target=read)
thread.start()
thread.join()
logging.getLogger("another").warning("%d", "Sentinel^Name")
read()
"""


def said(how: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True
    )
    assert ended.stdout == ""
    return ended.stderr


@pytest.mark.parametrize("how", ["plain", "json"])
def test_a_fault_is_told_with_its_place_and_without_what_was_in_its_hands(how: str) -> None:
    lines = said(how)
    assert "Sentinel" not in lines
    assert "in read" in lines
    assert "AttributeError" in lines
    assert "a stranger speaks" in lines
    assert "case=7" in lines or '"case": 7' in lines


def test_nothing_in_a_line_steers_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    script = """
from dicom_node.logs import log, set_up
set_up("plain", "debug")
log("room").warning("refused", caller="A\\x1b[2J", why="b\\x9b31m", address="c\\nforged")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    said = capfd.readouterr().err
    assert "caller=A\\x1b[2J" in said
    assert "why=b\\x9b31m" in said
    assert said.count("\n") == 1
    assert said.strip().isprintable()


def test_every_line_of_json_is_json() -> None:
    lines = [json.loads(line) for line in said("json").splitlines()]
    assert [line["event"] for line in lines] == ["hello", "a stranger speaks", "fault"]
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert all(line["timestamp"].endswith("Z") for line in lines)


@pytest.mark.parametrize("how", ["plain", "json"])
def test_what_nobody_catches_is_told_by_kind_and_place(how: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", UNCAUGHT, how], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "Sentinel" not in ended.stderr
    assert ended.stderr.count("nobody caught it") == 2
    assert ended.stderr.count("ValueError at ") == 2
