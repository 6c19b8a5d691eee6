"""What is said of a study of which some images are no longer kept."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest
from analyzed_case import analyzed, owed, reported, workshop
from pydicom import Dataset
from sqlalchemy import update

from dicom_node.errors import Lost, NotYourTurn
from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Instance
from dicom_node.life import State
from dicom_node.reporting.again import make_again
from dicom_node.reporting.marks import plain_text
from dicom_node.reporting.naming import uid
from dicom_node.reporting.turn import report
from dicom_node.settings.file import Settings
from dicom_node.watching.recompute import recompute
from dicom_node.wiring import Node
from inference.findings import ExamFindings

GONE = "1 of the images that were read are no longer kept here"
PACS = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}


@pytest.fixture
def node(settled: Callable[..., Settings], opened: Callable[[Settings], Node]) -> Node:
    made = opened(settled(delivering={"destinations": [PACS]}))
    made.spool.prepare()
    return made


def purge(node: Node, sop_uid: str) -> None:
    with node.ledger.writing() as session:
        gone = update(Instance).where(Instance.sop_uid == sop_uid)
        session.execute(gone.values(purged_at=now()))


def test_a_later_report_says_how_many_earlier_images_are_not_here_any_more(
    node: Node, headers: list[Dataset], exam: ExamFindings
) -> None:
    other = deepcopy(headers[0])
    other.SOPInstanceUID = uid("never read")
    reported(node, [other, headers[0]], replace(exam, views=exam.views[:1]))
    purge(node, uid("never read"))
    reported(node, headers[1:], exam)
    first, second = (plain_text(one) for one in owed(node, "pacs"))
    assert "no longer kept" not in first
    assert "Not read: 1 image that came earlier and is no longer kept." in second


def test_without_the_images_that_were_read_nothing_is_made_of_them(
    node: Node, headers: list[Dataset], exam: ExamFindings
) -> None:
    case_id = analyzed(node, headers, exam)
    purge(node, str(headers[0].SOPInstanceUID))
    with pytest.raises(Lost, match=GONE):
        report(workshop(node), case_id)
    case = node.questions.case(case_id)
    assert case is not None
    assert (case.state, case.reason) == (State.FAILED, f"Lost: {GONE}")
    with pytest.raises(NotYourTurn, match="1 of the images that it read are no longer kept here"):
        recompute(node, case)


def test_a_lost_object_without_its_images_is_not_made_again(
    node: Node, headers: list[Dataset], exam: ExamFindings
) -> None:
    case_id = reported(node, headers, exam)
    purge(node, str(headers[0].SOPInstanceUID))
    case = node.questions.case(case_id)
    assert case is not None
    with pytest.raises(NotYourTurn, match=f"cannot be made again .Lost: {GONE}"):
        make_again(workshop(node), case, node.questions.products_of(case_id)[:1])
