"""The turn of a report: which round goes first."""

import pytest
from ledger_book import STUDY, Book

from dicom_node.errors import Busy
from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import ModelRun
from dicom_node.life import ANALYZE, State
from dicom_node.reporting.outgoing import Workshop
from dicom_node.reporting.turn import report
from dicom_node.wiring import Node


def test_a_later_round_waits_until_the_one_before_is_reported(node: Node) -> None:
    book = Book(node.engine)
    first = book.case_at(State.ANALYZED)
    second = book.arrive(STUDY, view="RCC")
    assert second != first
    book.ledger.move(second, State.RECEIVING, State.RECEIVED)
    with book.ledger.turn(second, ANALYZE) as turn:
        turn.leave(
            ModelRun(
                case_id=second,
                system="shared_trunk",
                bundle="b",
                version="1",
                digest="0" * 64,
                operating_point="p",
                code_version="0",
                settings_digest="0" * 64,
                device="cpu",
                seconds=0.0,
                cancer_score=0.0,
                findings_count=0,
                findings_path="none",
                findings_sha256="0" * 64,
                made_at=now(),
            )
        )
    shop = Workshop(book.ledger, book.questions, node.spool, node.settings, "0")
    with pytest.raises(Busy, match="round 1 is not reported yet"):
        report(shop, second)
    case = book.questions.case(second)
    assert case is not None
    assert case.state == State.ANALYZED
    assert case.due_at > now()
