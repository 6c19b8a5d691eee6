"""`settle` as an administrator types it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_book import Book

from dicom_node.cli import run
from dicom_node.life import State
from dicom_node.settings.file import ENVIRONMENT_VARIABLE, Settings, load_settings
from dicom_node.watching.story import standing
from dicom_node.wiring import Node

STUDY = "2.25.4711"
Says = Callable[..., tuple[int, str]]


@pytest.fixture
def book(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[Settings], Node]
) -> Book:
    """Open the ledger of the node that the command finds."""
    path = tmp_path / "node.toml"
    path.write_text(f'[node]\ndata = "{tmp_path}/var"\n')
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(path))
    return Book(opened(load_settings(path)).engine)


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Says:
    """Run `settle`; return its exit status and what it said."""

    def command(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["dicom-node", "settle", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return command


def test_a_study_is_held_released_and_read_now(book: Book, says: Says) -> None:
    case_id = book.arrive(STUDY)
    assert says(STUDY, "--hold") == (
        0,
        f"case {case_id} is held: it takes images, and is read once it is released\n",
    )
    assert [one.id for one in book.questions.held()] == [case_id]
    status, said = says(str(case_id), "--hold")
    assert (status, "held already" in said) == (1, True)
    told = standing(book.questions, 1)["held"]
    assert [(one["case"], one["reason"].partition(" by ")[0]) for one in told] == [
        (case_id, "held")
    ]
    assert says(str(case_id), "--release")[0] == 0
    assert says(str(case_id), "--now")[0] == 0
    assert book.state(case_id) == State.RECEIVED
    assert [one.sentence.partition(" by ")[0] for one in book.questions.events()[-3:]] == [
        "held",
        "released",
        "settled",
    ]


def test_of_a_study_the_newest_round_is_meant(book: Book, says: Says) -> None:
    first = book.case_at(State.ANALYZED, STUDY)
    second = book.arrive(STUDY)
    assert says(STUDY, "--discard")[0] == 0
    assert (book.state(first), book.state(second)) == (State.ANALYZED, State.DECLINED)
    status, said = says(str(first), "--discard")
    assert (status, f"case {first} is ANALYZED: it is being worked on" in said) == (1, True)


def test_one_thing_is_said_and_of_a_study_that_is_here(book: Book, says: Says) -> None:
    book.arrive(STUDY)
    for wrong in ((), ("--now", "--hold")):
        status, said = says(STUDY, *wrong)
        assert (status, "say one of --now, --hold, --release, --discard" in said) == (2, True)
    status, said = says("2.25.1", "--now")
    assert (status, "the ledger knows no study or case 2.25.1" in said) == (1, True)
