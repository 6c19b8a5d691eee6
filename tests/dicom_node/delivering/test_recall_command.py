"""`dicom-node recall` as an administrator types it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from destinations import Destination, Posted
from sqlalchemy import update
from typer.testing import CliRunner

from dicom_node.cli import app
from dicom_node.errors import NotYourTurn
from dicom_node.ledger.tables import Delivery
from dicom_node.life import State
from dicom_node.settings.file import ENVIRONMENT_VARIABLE, Settings, load_settings
from dicom_node.wiring import Node

Types = Callable[..., tuple[int, str]]


@pytest.fixture
def pacs(destination: Callable[..., Destination]) -> Destination:
    return destination()


@pytest.fixture
def config(pacs: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(
        f'[node]\ndata = "{tmp_path}/var"\n[[delivering.destinations]]\nname = "pacs"\n'
        f'ae_title = "PACS"\nhost = "127.0.0.1"\nport = {pacs.port}\n'
    )
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(path))
    return path


@pytest.fixture
def office(config: Path, opened: Callable[[Settings], Node]) -> Posted:
    return Posted(opened(load_settings(config)))


def typed(*arguments: str) -> tuple[int, str]:
    """Run a command; an answer in words is returned like its output."""
    ended = CliRunner().invoke(app, [*arguments], env={"COLUMNS": "300"})
    if isinstance(ended.exception, NotYourTurn):
        return 1, str(ended.exception)
    return ended.exit_code, ended.output


def test_a_study_is_recalled_by_its_uid_and_the_note_goes_out(
    office: Posted, pacs: Destination
) -> None:
    case_id = office.case()
    office.deliver(case_id)
    case = office.node.questions.case(case_id)
    assert case is not None
    status, said = typed("recall", case.study_uid, "--reason", "113001", "--round", "1")
    assert (status, said) == (
        0,
        (
            f"case {case_id}, round 1, is recalled (113001, Rejected for Quality Reasons); "
            "pacs will be told\n"
        ),
    )
    rung = office.node.settings.data / "queue" / "messages"
    assert len(list(rung.glob("*.deliver.msg"))) == 1
    office.deliver(case_id)
    assert (office.state(case_id), len(pacs.came)) == (State.DELIVERED, 3)
    status, said = typed("recall", str(case_id))
    assert status == 1
    assert f"case {case_id} was recalled already, at " in said
    page = typed("trace", str(case_id))[1]
    assert "RECALLED " in page
    assert "Rejected for Quality Reasons" in page
    below = [line.strip() for line in typed("status")[1].splitlines()]
    recalled = below.index("RECALLED: Rejected for Quality Reasons")
    assert below[recalled + 1] == "3 objects at pacs"


def test_who_has_a_result_and_is_no_destination_any_more_is_named(office: Posted) -> None:
    case_id = office.case()
    office.deliver(case_id)
    with office.node.ledger.writing() as session:
        session.execute(update(Delivery).values(destination="former"))
    status, said = typed("recall", str(case_id))
    assert status == 0
    assert "not in the settings any more, so take it back there by hand: former" in said
    assert "will be told" not in said


def test_a_user_without_a_name_recalls_by_number(
    office: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987654321)  # nobody in the list of users
    case_id = office.case()
    office.deliver(case_id)
    assert typed("recall", str(case_id))[0] == 0
    recall = office.node.questions.recall_of(case_id)
    assert recall is not None
    assert recall.recalled_by.startswith("uid 987654321@")


def test_what_is_not_there_cannot_be_recalled(office: Posted) -> None:
    case_id = office.case()
    assert typed("recall", "2.25.404") == (
        1,
        (
            "the ledger knows no study or case 2.25.404, and no study here has that accession "
            "number: 1 asked"
        ),
    )
    study = office.node.questions.case(case_id)
    assert study is not None
    assert typed("recall", study.study_uid, "--round", "2") == (
        1,
        f"the ledger knows no round 2 of {study.study_uid}",
    )


def test_a_reason_that_is_none_names_those_that_are(office: Posted) -> None:
    case_id = office.case()
    status, said = typed("recall", str(case_id), "--reason", "113039")
    assert status == 2
    assert "113039 is no reason to recall" in said
    assert "113037" in said
    assert office.node.questions.recall_of(case_id) is None
