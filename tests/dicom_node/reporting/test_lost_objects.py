"""An object whose file is lost is made again from the record, as it was or not at all."""

from collections.abc import Callable, Iterator

import pytest
from analyzed_case import analyzed
from destinations import Destination
from pydicom import Dataset

from dicom_node.delivering.deliver import deliver
from dicom_node.delivering.office import Office
from dicom_node.errors import Lost
from dicom_node.ledger.tables import Case, Product
from dicom_node.life import State
from dicom_node.reporting.outgoing import Workshop
from dicom_node.reporting.recall import recall
from dicom_node.reporting.turn import report
from dicom_node.settings.file import Settings
from dicom_node.tending import try_again
from dicom_node.wiring import CODE_VERSION, Node
from inference.findings import ExamFindings

Opens = Callable[[Settings], Node]
Settles = Callable[..., Settings]


@pytest.fixture
def pacs() -> Iterator[Destination]:
    one = Destination("PACS")
    one.start()
    yield one
    one.stop()


def shop_of(node: Node) -> Workshop:
    return Workshop(node.ledger, node.questions, node.spool, node.settings, CODE_VERSION)


def delivered(node: Node, case_id: int) -> None:
    deliver(Office(node.ledger, node.questions, node.spool, node.settings), case_id)


def case_of(node: Node, case_id: int) -> Case:
    case = node.questions.case(case_id)
    assert case is not None
    return case


@pytest.fixture
def node(pacs: Destination, settled: Settles, opened: Opens) -> Node:
    return opened(settled(delivering={"destinations": [pacs.table]}))


@pytest.fixture
def reported(node: Node, headers: list[Dataset], exam: ExamFindings) -> tuple[int, Product]:
    """Report a case, lose its CAD SR, and deliver the rest."""
    case_id = analyzed(node, headers, exam)
    report(shop_of(node), case_id)
    (lost,) = [one for one in node.questions.products_of(case_id) if one.kind == "cad_sr"]
    node.spool.path(lost.path).unlink()
    with pytest.raises(Lost, match="the file of the cad_sr is gone from the spool"):
        delivered(node, case_id)
    assert case_of(node, case_id).state == State.FAILED
    return case_id, lost


def test_retry_makes_it_again_byte_for_byte_and_everything_arrives_once(
    pacs: Destination, node: Node, reported: tuple[int, Product]
) -> None:
    case_id, lost = reported
    made = node.questions.products_of(case_id)
    assert len(pacs.taken) == len(made) - 1
    (tried,) = try_again(node, str(case_id))
    assert tried.sentence == f"case {case_id} goes on from REPORTED"
    assert node.spool.is_whole(lost.path, lost.sha256)
    assert len(node.questions.products_of(case_id)) == len(made), "none is there twice"
    delivered(node, case_id)
    assert case_of(node, case_id).state == State.DELIVERED
    assert len(pacs.came) == len(pacs.taken) == len(made)
    assert "made again" in [one.what for one in node.questions.events(case_id=case_id)]


def test_what_would_come_out_otherwise_is_not_made_and_a_recall_helps(
    pacs: Destination, settled: Settles, opened: Opens, node: Node, reported: tuple[int, Product]
) -> None:
    case_id, lost = reported
    other = opened(
        settled(
            delivering={"destinations": [{**pacs.table, "manufacturer": "Somebody Else"}]},
        )
    )
    (tried,) = try_again(other, str(case_id))
    assert not tried.again
    assert "the cad_sr of case 1 comes out otherwise than it was made" in tried.sentence
    assert not node.spool.has(lost.path)
    assert case_of(node, case_id).state == State.FAILED
    assert "pacs will be told; 1 object withdrawn" in recall(
        shop_of(node), case_of(node, case_id), "113037", "anna"
    )
    delivered(node, case_id)
    (tried,) = try_again(node, str(case_id))
    assert tried.sentence == f"case {case_id} was recalled: round 2 reads the study again"


def test_without_its_images_nothing_is_made_again(
    node: Node, reported: tuple[int, Product]
) -> None:
    case_id, _ = reported
    for image in node.questions.images_of(case_of(node, case_id)):
        node.spool.path(image.path).unlink()
    (tried,) = try_again(node, str(case_id))
    assert not tried.again
    assert "cannot be made again (FileNotFoundError: No such file" in tried.sentence
    assert "put its file back from a backup" in tried.sentence
