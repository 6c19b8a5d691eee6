"""An object that fails its proof never leaves: its case FAILS and says why, and may go on later."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from analyzed_case import analyzed, owed, workshop
from pydicom import Dataset
from sqlalchemy import select
from sqlalchemy.orm import Session

from dicom_node.ledger.tables import Delivery, Event, Product
from dicom_node.life import State
from dicom_node.reporting import report as reports
from dicom_node.reporting.proof import Unsound
from dicom_node.reporting.report import Order
from dicom_node.reporting.turn import report
from dicom_node.reporting.whole_proof import prove_whole
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node
from inference.findings import ExamFindings

PACS = {"ae_title": "PACS", "host": "localhost", "port": 104}
PATIENT = ("García", "Zoë", "SYN001", "19650412")
SPOILED = {
    "segmentation": lambda made: setattr(made.SegmentSequence[0], "SegmentLabel", "Zoë"),
    "measurement_report": lambda made: setattr(made, "PatientComments", "García^Zoë, SYN001"),
    "cad_sr": lambda made: setattr(made, "PatientID", "SYN0011"),
}


@pytest.fixture
def node(settled: Callable[..., Settings], opened: Callable[[Settings], Node]) -> Node:
    destinations: list[dict[str, Any]] = [
        {"name": "pacs", **PACS},
        {"name": "workstation", **PACS, "objects": ["cad_sr"], "max_marks": 2},
    ]
    return opened(settled(delivering={"destinations": destinations}))


def rows(node: Node) -> tuple[Sequence[Product], Sequence[Delivery]]:
    with Session(node.engine) as session:
        return session.scalars(select(Product)).all(), session.scalars(select(Delivery)).all()


def spoiled(kind: str, spoil: Callable[[Dataset], object]) -> Callable[[Order], Iterator[Dataset]]:
    """Return a builder that makes a mistake in the last of its objects."""
    builder = reports.BUILDERS[kind]

    def build(order: Order) -> Iterator[Dataset]:
        *sound, last = builder(order)
        yield from sound
        spoil(last)
        yield last

    return build


@pytest.mark.parametrize("kind", SPOILED)
def test_one_unsound_object_keeps_all_of_its_case_here_until_it_is_mended(
    kind: str,
    node: Node,
    headers: list[Dataset],
    exam: ExamFindings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case_id = analyzed(node, headers, exam)
    with monkeypatch.context() as mistaken:
        mistaken.setitem(reports.BUILDERS, kind, spoiled(kind, SPOILED[kind]))
        with pytest.raises(Unsound):
            report(workshop(node), case_id)
    case = node.questions.case(case_id)
    assert case is not None
    assert case.state == State.FAILED
    assert case.reason.startswith("Unsound: ")
    assert rows(node) == ([], [])
    with Session(node.engine) as session:
        written = [case.reason, *(event.sentence for event in session.scalars(select(Event)))]
    assert not [word for word in PATIENT for line in written if word in line]

    assert node.ledger.retry(case_id) == State.ANALYZED
    report(workshop(node), case_id)
    case = node.questions.case(case_id)
    assert case is not None
    assert case.state == State.REPORTED
    assert [len(owed(node, "pacs", each)) for each in SPOILED] == [2, 2, 1]
    assert len(owed(node, "workstation")) == 1


def leave_out(made: list[Dataset]) -> list[Dataset]:
    return made[1:]


def repeat(made: list[Dataset]) -> list[Dataset]:
    return [*made, made[0]]


def about_one_image(made: list[Dataset]) -> list[Dataset]:
    return [made[0]] * len(made)


@pytest.mark.parametrize("kind", SPOILED)
@pytest.mark.parametrize("change", [leave_out, repeat, about_one_image])
def test_sound_objects_stay_as_well_where_one_is_missing_or_there_twice(
    kind: str,
    change: Callable[[list[Dataset]], list[Dataset]],
    node: Node,
    headers: list[Dataset],
    exam: ExamFindings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    builder = reports.BUILDERS[kind]
    if kind == "cad_sr" and change is about_one_image:
        change = leave_out  # there is only one of them
    case_id = analyzed(node, headers, exam)
    monkeypatch.setitem(reports.BUILDERS, kind, lambda order: iter(change(list(builder(order)))))
    with pytest.raises(Unsound, match=f"objects of kind {kind}"):
        report(workshop(node), case_id)
    case = node.questions.case(case_id)
    assert case is not None
    assert case.state == State.FAILED
    assert rows(node) == ([], [])


def test_a_segmentation_of_an_image_without_a_mask_is_one_too_many(exam: ExamFindings) -> None:
    boxes = replace(
        exam,
        views=tuple(
            replace(view, findings=tuple(replace(one, mask=None) for one in view.findings))
            for view in exam.views
        ),
    )
    made = Dataset()
    made.SOPInstanceUID = "2.25.1"
    source = Dataset()
    source.ReferencedSOPInstanceUID = exam.views[0].sop_instance_uid
    made.SourceImageSequence = [source]
    with pytest.raises(Unsound, match="not none"):
        prove_whole("segmentation", [made], boxes)
    prove_whole("segmentation", [], boxes)
