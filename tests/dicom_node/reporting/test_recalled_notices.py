"""A notice of a study without a result can be as wrong as a result, and is recalled like one."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from analyzed_case import kept, workshop
from pydicom import Dataset, dcmread
from pydicom.uid import KeyObjectSelectionDocumentStorage

from dicom_node.errors import Declined
from dicom_node.ledger.outbox import record_receipt
from dicom_node.ledger.tables import Verdict
from dicom_node.ledger.tellings import telling
from dicom_node.life import ANALYZE, DELIVER, Receipt, State
from dicom_node.reporting.recall import recall
from dicom_node.reporting.telling import tell
from dicom_node.settings.file import Settings
from dicom_node.tending import try_again
from dicom_node.wiring import Node

PACS = {"name": "pacs", "ae_title": "PACS", "host": "localhost", "port": 104}


@pytest.fixture
def node(settled: Callable[..., Settings], opened: Callable[[Settings], Node]) -> Node:
    return opened(settled(delivering={"destinations": [PACS]}))


@pytest.fixture
def declined(node: Node, headers: list[Dataset]) -> int:
    """Decline a study, and write its notice."""
    case_id = kept(node, headers)
    case = node.questions.case(case_id)
    assert case is not None
    with node.ledger.turn(case_id, ANALYZE) as turn:
        for image in node.questions.images_of(case):
            turn.leave(
                Verdict(case_id=case_id, instance_id=image.id, code="I01", sentence="raw images")
            )
        raise Declined("S02", "no image can be read")
    tell(replace(workshop(node), cards=lambda: node.cards), case_id)
    return case_id


def recalled(node: Node, case_id: int) -> str:
    case = node.questions.case(case_id)
    assert case is not None
    return recall(workshop(node), case, "113037", "anna")


def state(node: Node, case_id: int) -> State:
    case = node.questions.case(case_id)
    assert case is not None
    return case.state


def test_a_notice_that_somebody_has_is_rejected(node: Node, declined: int) -> None:
    ((notice,),) = [node.questions.debts_of(declined)]
    with telling(node.ledger, declined):
        record_receipt(node.ledger, notice.delivery.id, 0)
    assert state(node, declined) == State.DECLINED
    assert "pacs will be told" in recalled(node, declined)
    _, note = node.questions.debts_of(declined)
    assert note.product.sop_class_uid == KeyObjectSelectionDocumentStorage
    written = dcmread(node.spool.path(note.product.path))
    (series,) = written.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    (rejected,) = series.ReferencedSOPSequence
    assert rejected.ReferencedSOPInstanceUID == notice.product.sop_uid
    assert state(node, declined) == State.REPORTED
    with node.ledger.turn(declined, DELIVER):
        record_receipt(node.ledger, note.delivery.id, 0)
    (said,) = (one.sentence for one in try_again(node, str(declined)))
    assert said.endswith("was recalled: round 2 reads the study again")


def test_a_notice_that_nobody_has_yet_is_never_sent(node: Node, declined: int) -> None:
    assert "nobody had anything of it yet; 1 object withdrawn" in recalled(node, declined)
    (notice,) = node.questions.debts_of(declined)
    assert notice.delivery.receipt == Receipt.WAIVED
    assert state(node, declined) == State.DECLINED
