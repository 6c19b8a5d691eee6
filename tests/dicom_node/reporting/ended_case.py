"""A case that ended without a result, of which somebody is to be told."""

from dataclasses import replace

import pytest
from analyzed_case import kept, workshop
from pydicom import Dataset

from dicom_node.errors import Declined
from dicom_node.ledger.ledger import STRIKES
from dicom_node.ledger.tables import Case, Verdict
from dicom_node.life import ANALYZE, State
from dicom_node.reporting.outgoing import Workshop
from dicom_node.wiring import Node

PACS = {"name": "pacs", "ae_title": "PACS", "host": "localhost", "port": 104}
RAW = "this is a For Processing image; the network reads For Presentation images"


def shop_of(node: Node) -> Workshop:
    return replace(workshop(node), cards=lambda: node.cards)


def declined(node: Node, headers: list[Dataset], code: str = "S02") -> int:
    """Let a study come in that no rule lets through."""
    case_id = kept(node, headers)
    case = node.questions.case(case_id)
    assert case is not None
    with node.ledger.turn(case_id, ANALYZE) as turn:
        for image in node.questions.images_of(case):
            turn.leave(Verdict(case_id=case_id, instance_id=image.id, code="I01", sentence=RAW))
        raise Declined(code, f"no image can be read: I01: {RAW}")
    return case_id


def failed(node: Node, headers: list[Dataset], words: str = "the disk is on fire") -> int:
    case_id = kept(node, headers)
    fail(node, case_id, words)
    return case_id


def fail(node: Node, case_id: int, words: str = "the disk is on fire") -> None:
    with node.ledger.writing() as session:  # two attempts have failed already
        session.get_one(Case, case_id).attempts = STRIKES - 1
    with pytest.raises(RuntimeError), node.ledger.turn(case_id, ANALYZE):
        raise RuntimeError(words)


def state(node: Node, case_id: int) -> tuple[State, State | None, bool]:
    case = node.questions.case(case_id)
    assert case is not None
    return case.state, case.telling, case.notice_written
