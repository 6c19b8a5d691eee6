"""Who is asked to keep what it took may answer at the door, and may do nothing else there."""

from collections.abc import Callable

import pytest
from committing_pacs import PUSH_MODEL, CommittingPacs, committing_pacs
from destinations import Posted
from free_ports import free_port
from open_listener import OpenListener
from pydicom import Dataset
from pynetdicom import AE
from senders import associate, until
from sqlalchemy import select

from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Commitment
from dicom_node.life import Commit, State
from dicom_node.receiving.commitment import Committers
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node

MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
Opens = Callable[..., tuple[Posted, OpenListener, CommittingPacs]]


@pytest.fixture
def opens(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    request: pytest.FixtureRequest,
) -> Opens:
    def start(wishes: dict[str, object] | None = None, **how: object) -> object:
        keeping = committing_pacs(answers_on="new", listener_port=free_port(), **how)
        keeper = keeping.__enter__()
        request.addfinalizer(lambda: keeping.__exit__(None, None, None))
        table = {**keeper.pacs.table, "commitment": True, **(wishes or {})}
        delivering = {"destinations": [table], "commitment_after_seconds": 0.0}
        receiving = {"port": keeper.listener_port, "reserve_megabytes": 10}
        node = opened(settled(delivering=delivering, receiving=receiving))
        listener = OpenListener(node)
        request.addfinalizer(listener.listener.stop)
        return Posted(node), listener, keeper

    return start  # type: ignore[return-value]


def committed(office: Posted, case_id: int) -> bool:
    rows = office.rows(case_id, "keeper")
    return [row.commitment for row in rows] == [Commit.COMMITTED] * len(rows)


@pytest.mark.parametrize("offers_role", [True, False])
def test_an_answer_on_an_association_of_its_own_is_written_down(
    opens: Opens,
    offers_role: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    office, _, keeper = opens(offers_role=offers_role, after_seconds=1.5)
    case_id = office.case(objects=3)
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    until(lambda: committed(office, case_id))
    until(lambda: keeper.statuses == [0x0000])
    assert len(keeper.asked) == 1


def test_an_answer_may_come_from_another_title_of_the_table(opens: Opens) -> None:
    wishes = {"commitment_callers": ["KEEPER_SCU"], "calling_ae_title": "NODE_THERE"}
    office, _, _ = opens(wishes, calling="KEEPER_SCU", called="NODE_THERE")
    case_id = office.case(objects=1)
    office.deliver(case_id)
    until(lambda: committed(office, case_id))


def test_a_stranger_and_who_comes_from_elsewhere_bring_no_answers(opens: Opens) -> None:
    office, listener, keeper = opens(calling="STRANGER")
    case_id = office.case(objects=1)
    office.deliver(case_id)
    until(lambda: keeper.statuses == [None])
    assert not committed(office, case_id)
    assert "STRANGER at 127.0.0.1" in " ".join(listener.sentences("association refused"))
    keeper.calling, table = "", office.node.settings.delivering.destinations[0]
    elsewhere = table.model_copy(update={"host": "192.0.2.7"})
    assert elsewhere.host != table.host
    known = listener.listener.committers
    assert known.admit("KEEPER", "FOURVIEWS", "127.0.0.1")
    assert not known.admit("KEEPER", "FOURVIEWS", "192.0.2.7")
    assert not known.admit("KEEPER", "OTHER", "127.0.0.1")


def test_who_may_only_answer_can_store_nothing(opens: Opens) -> None:
    _, _, keeper = opens()
    association = associate(
        keeper.listener_port, [(MAMMOGRAM, "1.2.840.10008.1.2.1")], calling="KEEPER"
    )
    assert not association.is_established


def test_an_answer_that_nobody_asked_for_is_not_taken(opens: Opens) -> None:
    _, _, keeper = opens()
    said = Dataset()
    said.TransactionUID = "2.25.7"
    said.ReferencedSOPSequence = []
    assert keeper.tell(said) == 0x0110
    assert keeper.tell(Dataset()) in {0x0110, None}


def test_without_anybody_to_ask_the_service_is_not_offered(
    listening: Callable[..., OpenListener],
) -> None:
    listener = listening()
    ae = AE(ae_title="ANYBODY")
    ae.add_requested_context(PUSH_MODEL)
    association = ae.associate("127.0.0.1", listener.port, ae_title="FOURVIEWS")
    assert not association.is_established


@pytest.mark.parametrize(
    ("host", "address", "is_let_in"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("127.0.0.1", "::ffff:127.0.0.2", False),
        ("127.0.0.1", "::1", False),
    ],
)
def test_an_address_is_compared_by_its_meaning(host: str, address: str, *, is_let_in: bool) -> None:
    known = Committers({("PACS", "FOURVIEWS"): frozenset({("pacs", host)})})
    assert known.admit("PACS", "FOURVIEWS", address) == is_let_in


def test_nobody_answers_what_another_destination_was_asked(opens: Opens) -> None:
    office, _, keeper = opens()
    with office.node.ledger.writing() as session:
        session.add(
            Commitment(transaction_uid="2.25.7", destination="other", target="", asked_at=now())
        )
    said = Dataset()
    said.TransactionUID = "2.25.7"
    assert keeper.tell(said) == 0x0110
    with office.node.ledger.writing() as session:
        (asked,) = session.scalars(select(Commitment)).all()
        assert asked.answered_at is None
