"""The table of promises says what was measured, and fails where nothing was."""

import subprocess
import sys
from pathlib import Path

from checkout import ROOT
from promises import WANTED

ONE_PROMISE = """
def test_R1_S7_both_at_once(figure, at_length):
    figure(f"{at_length(1, 100)} of 100")

def test_of_nothing_promised():
    raise AssertionError("a test without a promise does not run here")
"""


def table_of(tests: str, folder: Path, option: str) -> tuple[int, str]:
    """Run tests of their own under the plugin, and return the status and what was printed."""
    (folder / "test_it.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "promises", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), option, "test_it.py"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT / "tests" / "servers"), "COLUMNS": "160", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def row(table: str, promise: str) -> str:
    return next(line for line in table.splitlines() if f" {promise} " in line)


def test_a_table_with_a_missing_figure_fails(tmp_path: Path) -> None:
    status, table = table_of(ONE_PROMISE, tmp_path, "--promises")
    assert status == 1
    assert "100 of 100" in row(table, "R1")
    assert "100 of 100" in row(table, "S7")
    assert "MISSING" in row(table, "R2")


def test_a_table_with_every_figure_passes_and_one_broken_promise_shows(tmp_path: Path) -> None:
    every = "\n".join(f"def test_{one}_holds(figure):\n    figure('1')\n" for one in WANTED)
    status, table = table_of(every, tmp_path, "--promises")
    assert status == 0
    assert "MISSING" not in table
    broken = every + "\ndef test_R5_also(figure):\n    figure('2')\n    assert False\n"
    status, table = table_of(broken, tmp_path, "--promises")
    assert status == 1
    assert "BROKEN" in row(table, "R5")


def test_the_trace_matrix_names_the_tests_of_each_promise(tmp_path: Path) -> None:
    _, matrix = table_of(ONE_PROMISE, tmp_path, "--trace-matrix")
    assert matrix.count("test_it.py::test_R1_S7_both_at_once") == 2
    assert "test_of_nothing_promised" not in matrix
