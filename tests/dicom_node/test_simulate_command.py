"""`dicom-node simulate`: what stands in for a modality, a PACS and a wire has its faults."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_proxy import fault_proxy
from faulty_pacs import FaultyPacs, faulty_pacs
from free_ports import free_port
from pydicom import dcmread
from rich.console import Console
from small_images import file_of, mammogram
from typer.testing import CliRunner

from dicom_node.cli import app
from dicom_node.delivering.posting import post
from dicom_node.delivering.sender import Peer
from dicom_node.simulating.modality import Habits, simulate

FOUR = ("RCC", "LCC", "RMLO", "LMLO")
QUIET = Console(quiet=True)
Study = list[Path]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    paths = []
    for number, view in enumerate(FOUR):
        paths.append(tmp_path / f"{number}.dcm")
        paths[-1].write_bytes(file_of(mammogram(view, StudyInstanceUID="2.25.5")))
    return paths


def peer(port: int) -> Peer:
    return Peer("FAULTY", "127.0.0.1", port, "TESTS", 10.0)


def uids(study: Study) -> list[str]:
    return [str(dcmread(path).SOPInstanceUID) for path in study]


def test_the_late_view_comes_after_the_pause_on_a_line_of_its_own(study: Study) -> None:
    with faulty_pacs() as pacs:
        assert simulate(peer(pacs.port), study, Habits(late_seconds=0.5), QUIET) == 0
    assert [uid for _, uid in pacs.stored] == uids(study)
    assert pacs.stored[3][0] - pacs.stored[2][0] >= 0.5
    assert len(pacs.called) == 2


@pytest.mark.parametrize(
    ("habits", "order", "lines"),
    [
        (Habits(times=2), [0, 0, 1, 1, 2, 2, 3, 3], 1),
        (Habits(one_each=True), [0, 1, 2, 3], 4),
        (Habits(breaks_after=2), [0, 1, 0, 1, 2, 3], 2),
        (Habits(slow_seconds=0.05), [0, 1, 2, 3], 1),
    ],
)
def test_a_modality_has_its_habits(
    habits: Habits, order: list[int], lines: int, study: Study
) -> None:
    with faulty_pacs() as pacs:
        assert simulate(peer(pacs.port), study, habits, QUIET) == 0
    assert [uid for _, uid in pacs.stored] == [uids(study)[n] for n in order]
    assert len(pacs.called) == lines
    assert pacs.twice == []


def test_what_is_not_taken_at_last_is_counted(study: Study) -> None:
    with faulty_pacs(statuses={2: 0xA700}) as pacs:
        assert simulate(peer(pacs.port), study, Habits(), QUIET) == 1
    with faulty_pacs(statuses={2: 0xA700}) as pacs:  # the second time it was
        assert simulate(peer(pacs.port), study, Habits(breaks_after=2), QUIET) == 0


def test_the_faults_of_a_pacs_end_after_so_many_objects(study: Study) -> None:
    def trouble(**how: object) -> tuple[int, FaultyPacs]:
        with faulty_pacs(faulty_times=2, **how) as pacs:
            return post(peer(pacs.port), study, QUIET), pacs

    refused, pacs = trouble(status=lambda _: 0xA700)
    assert refused == 2
    assert sorted(pacs.kept) == sorted(uids(study)[2:])
    with faulty_pacs(faulty_times=2, aborts=True) as pacs:
        lost = [post(peer(pacs.port), study, QUIET) for _ in range(3)]
    assert lost == [4, 4, 0]


def test_a_pacs_writes_what_it_takes_and_remembers_little(study: Study, tmp_path: Path) -> None:
    into = tmp_path / "taken"
    into.mkdir()
    told: list[str] = []
    with faulty_pacs(into=into, digests_only=True, tells=told.append) as pacs:
        post(peer(pacs.port), [*study, study[0]], QUIET)
    assert sorted(path.stem for path in into.iterdir()) == sorted(uids(study))
    assert {len(digest) for digest in pacs.kept.values()} == {32}
    assert dcmread(into / f"{uids(study)[0]}.dcm") == dcmread(study[0])
    assert told[-2:] == [f"{uids(study)[0]}: came again, the same", f"{uids(study)[0]}: 0000"]


@contextmanager
def command(*arguments: object) -> Iterator[Callable[[], tuple[int, str]]]:
    """Run a command until the block asks for its end."""
    whole = [sys.executable, "-m", "dicom_node", "simulate", *map(str, arguments)]
    process = subprocess.Popen(whole, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert "Ctrl-C ends it" in first

    def ended() -> tuple[int, str]:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        return process.returncode, out

    try:
        yield ended
    finally:
        process.kill()
        process.communicate()


def test_the_commands_serve_until_they_are_ended(study: Study) -> None:
    port, spoiled = free_port(), free_port()
    faults = ("--status", "A700", "--times", 1)
    with (
        command("pacs", "--port", port, *faults) as pacs_ended,
        command("wire", f"127.0.0.1:{port}", "--port", spoiled, "--delay", 0.01) as wire_ended,
    ):
        assert post(peer(spoiled), study, QUIET) == 1
        assert wire_ended() == (0, "1 connections\n")
        status, out = pacs_ended()
    first, *rest = uids(study)
    lines = [f"{first}: A700", "nothing is wrong any more", *(f"{uid}: 0000" for uid in rest)]
    assert status == 0
    assert out.splitlines()[:-1] == lines
    assert out.splitlines()[-1].startswith("3 objects taken, 0 of them")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pacs", "--status", "A7000"), "four hexadecimal digits"),
        (("pacs", "--ae-title", "back\\slash"), "an AE title has"),
        (("wire", "nowhere"), "wanted: host:port"),
        (("wire", "a:99999"), "99999"),
    ],
)
def test_a_mistyped_fault_is_a_sentence(arguments: tuple[str, ...], said: str) -> None:
    ended = CliRunner().invoke(app, ["simulate", *arguments])
    assert ended.exit_code == 2
    assert said in ended.output


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with fault_proxy(1) as other:
        whole = [sys.executable, "-m", "dicom_node", "simulate", "pacs", "--port", str(other.port)]
        ended = subprocess.run(whole, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (
        75,
        "its port cannot be listened on: Address already in use\n",
    )
