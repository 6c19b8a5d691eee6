"""Results are removed here only once their destination has promised to keep them."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from committing_pacs import CommittingPacs, committing_pacs
from destinations import Posted
from orthanc_server import OrthancServer, orthanc_server
from running_node import Pacs, RunningNode, running_node
from sqlalchemy import update

from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Delivery, Product
from dicom_node.life import Commit, Receipt, State
from dicom_node.wiring import migrate

pytestmark = pytest.mark.journey

SOON = (
    "commitment_after_seconds = 0.0",
    "commitment_seconds = [20.0]",  # a busy PACS takes some for its answer
    "commitment_hours = 1.0",
    f"keep_results_days = {0.5 / 86400}",
)


def opened(node: RunningNode) -> Posted:
    """Make the settings quick and the tables, and return what plants cases."""
    text = node.config.read_text().replace("[watching]", "\n".join([*SOON, "[watching]"]))
    node.config.write_text(text)
    node.settings.data.mkdir(parents=True)
    migrate(node.node)
    return Posted(node.node)


def running(node: RunningNode) -> None:
    node.start("listen")
    node.start("work", "--only", "deliver")
    node.wait_until_listening()


def commitments(office: Posted, case_id: int, name: str) -> list[Commit | None]:
    return [row.commitment for row in office.rows(case_id, name)]


def products(office: Posted, case_id: int) -> list[Product]:
    return list(office.node.questions.products_of(case_id))


def files(office: Posted, case_id: int) -> int:
    return sum(office.node.spool.has(one.path) for one in products(office, case_id))


def an_hour_passes(office: Posted, case_id: int) -> None:
    """Let the time be over in which a promise of a case's objects may come."""
    waiting = (Delivery.case_id == case_id, Delivery.commitment == Commit.ASKED)
    past = {"owed_since": now() - timedelta(hours=1), "commit_due_at": now()}
    with office.node.ledger.writing() as session:
        session.execute(update(Delivery).where(*waiting).values(**past))


def fates(keeper: CommittingPacs, office: Posted, cases: list[int]) -> tuple[int, int, int]:
    """Decide of some objects that they are lost once, refused for good, or never told of."""
    lost, refused, silent = (products(office, case_id)[0].sop_uid for case_id in cases[:3])
    told: list[str] = []

    def reason(uid: str) -> int:
        told.append(uid)
        if uid == lost and told.count(uid) == 1:
            return 0x0112
        return 0x0122 if uid == refused else 0

    def forgets(said: object) -> object:
        present = said.get("ReferencedSOPSequence") or []  # type: ignore[attr-defined]
        kept = [one for one in present if one.ReferencedSOPInstanceUID != silent]
        said.ReferencedSOPSequence = kept  # type: ignore[attr-defined]
        return said

    answer = keeper.answer
    keeper.reason = reason
    keeper.answer = lambda told: forgets(answer(told))  # type: ignore[method-assign, assignment, return-value]
    return cases[0], cases[1], cases[2]


def test_R13_results_are_purged_only_after_their_commitment(
    tmp_path: Path, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    count = at_length(8, 60)
    wishes = ("commitment = true",)
    with committing_pacs(answers_on="new") as keeper:
        pacs = Pacs("keeper", "KEEPER", keeper.pacs.port, wishes=wishes)
        with running_node(tmp_path / "node", [pacs]) as node:
            keeper.listener_port = node.port
            office = opened(node)
            cases = [office.case(objects=2) for _ in range(count)]
            lost, refused, silent = fates(keeper, office, cases)
            good = [one for one in cases if one not in {refused, silent}]
            running(node)
            early = 0

            def done() -> bool:
                nonlocal early
                for case_id in cases:
                    purged = files(office, case_id) < 2
                    wanted = [Commit.COMMITTED] * 2
                    early += purged and commitments(office, case_id, "keeper") != wanted
                return all(files(office, case_id) == 1 for case_id in good)

            node.wait_until(done, "purged what is kept")
            an_hour_passes(office, silent)
            node.wait_until(
                lambda: commitments(office, silent, "keeper")[0] == Commit.REFUSED,
                "told of what nobody promised",
            )
            time.sleep(2.0)
            assert done()
            kept = [files(office, case_id) for case_id in (refused, silent)]
            parked = node.questions.not_committed_by_destination()["keeper"]
            balance = node.run("balance", "--deep")
            events = [event.what for event in node.questions.events()]
    assert early == 0
    assert kept == [2, 2]
    assert parked[0] == 2
    wrong = [line for line in balance.stdout.splitlines() if "✗" in line]
    assert all("images/x" in line for line in wrong), wrong  # planted cases have none
    assert {lost} <= set(good)
    assert sum(uid == products(office, lost)[0].sop_uid for _, uid in keeper.pacs.stored) == 2
    assert events.count("purged") == len(good)
    figure(
        f"{early} of {count} results purged before their commitment; {len(good)} purged after it; "
        "1 lost and stored again, 1 refused and 1 never answered: kept, and shown in `status`"
    )


@pytest.fixture
def archive() -> object:
    with orthanc_server() as server:
        yield server


def test_R13_a_real_archive_commits(
    archive: OrthancServer, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    pacs = Pacs("archive", archive.aet, archive.dicom_port, wishes=("commitment = true",))
    with running_node(tmp_path / "node", [pacs]) as node:
        archive.know("node", "FOURVIEWS", node.port)
        office = opened(node)
        case_id = office.case(objects=3)
        running(node)
        node.wait_until(
            lambda: commitments(office, case_id, "archive") == [Commit.COMMITTED] * 3, "committed"
        )
        assert office.state(case_id) == State.DELIVERED
        assert {row.receipt for row in office.rows(case_id, "archive")} == {Receipt.DELIVERED}
        shown = node.run("echo", "archive")
        assert "takes storage commitment" in shown.stdout
    figure("Orthanc committed 3 of 3 on an association of its own")
