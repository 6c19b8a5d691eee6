"""Who looks at pictures alone is told by one that there is no result."""

from collections.abc import Callable

from analyzed_case import owed
from ended_case import PACS, RAW, declined, failed, shop_of, state
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_node.ledger.questions import NOTICE_OF
from dicom_node.life import State
from dicom_node.reporting.past import has_told
from dicom_node.reporting.telling import WISHES, tell
from dicom_node.settings.delivering import TELL_OF_NO_RESULT
from dicom_node.wiring import Node

Opening = Callable[..., Node]


def test_who_looks_at_pictures_is_told_by_one(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    viewer = {**PACS, "name": "viewer", "objects": ["presentation_state", "secondary_capture"]}
    node = telling_node(PACS, viewer, {**viewer, "name": "other", "model": "Another"})
    case_id = declined(node, headers)
    tell(shop_of(node), case_id)
    assert [len(owed(node, one, "notice")) for one in ("pacs", "viewer", "other")] == [1, 0, 0]
    (told,), (other,) = (owed(node, one, "notice_picture") for one in ("viewer", "other"))
    assert told.SOPClassUID == SecondaryCaptureImageStorage
    assert told.SeriesDescription == "AI picture, not analyzed, research use only"
    assert f"This study was not analyzed: S02: no image can be read: I01: {RAW}." in (
        told.ImageComments
    )
    assert other.ManufacturerModelName == "Another"
    case = node.questions.case(case_id)
    assert case is not None
    assert not has_told(node.questions, case)  # a notice is no result
    pictures = node.questions.predecessors_of(case, "secondary_capture")
    reports = node.questions.predecessors_of(case, "cad_sr")
    assert {one.kind for one in pictures} == {"notice_picture"}  # a picture replaces the picture
    assert {one.kind for one in reports} == {"notice"}


def test_a_picture_alone_is_told_of_a_failure_too(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node({**PACS, "objects": ["secondary_capture"]})
    case_id = failed(node, headers)
    tell(shop_of(node), case_id)
    assert state(node, case_id) == (State.FAILED, State.FAILED, True)
    (told,) = owed(node, "pacs", "notice_picture")
    assert "The analysis of this study failed" in told.ImageComments
    assert "the disk is on fire" not in told.ImageComments


def test_what_tells_of_no_result_is_what_a_notice_can_be() -> None:
    assert {wish.wanted for wish in WISHES} == TELL_OF_NO_RESULT
    assert {wish.wanted: wish.kind for wish in WISHES} == NOTICE_OF
