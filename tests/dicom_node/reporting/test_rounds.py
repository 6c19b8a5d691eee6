"""Later rounds: lesions keep their names, reports say what is new, and the proof checks it."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from analyzed_case import analyzed, owed, workshop
from pydicom import Dataset
from sqlalchemy import delete

from dicom_node.ledger.ledger import now
from dicom_node.ledger.recalls import recall_case
from dicom_node.ledger.tables import Lesion, Recall
from dicom_node.life import DELIVER, State
from dicom_node.reporting import codes
from dicom_node.reporting.changes import Mark
from dicom_node.reporting.circumstances import Circumstances, Predecessor
from dicom_node.reporting.common_proof import Origin
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import marks, named, plain_text
from dicom_node.reporting.naming import uid
from dicom_node.reporting.past import remembered
from dicom_node.reporting.profile import PLAIN
from dicom_node.reporting.proof import Unsound, prove
from dicom_node.reporting.report import report
from dicom_node.reporting.turn import report as take_the_turn
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node
from inference.findings import Box, ExamFindings, Finding, Kind

CAD = "1.2.840.10008.5.1.4.1.1.88.50"
PACS = {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}


@pytest.fixture
def node(settled: Callable[..., Settings], opened: Callable[[Settings], Node]) -> Node:
    kinds = ["cad_sr", "measurement_report", "segmentation"]
    tables = [
        {"name": "pacs", **PACS, "objects": kinds},
        {"name": "brief", **PACS, "objects": ["cad_sr"], "max_marks": 1},
    ]
    made = opened(settled(delivering={"destinations": tables}))
    made.spool.prepare()
    return made


def read(node: Node, headers: list[Dataset], exam: ExamFindings) -> int:
    case_id = analyzed(node, headers, exam)
    take_the_turn(workshop(node), case_id)
    return case_id


def moved(found: Finding, by: float, score: float) -> Finding:
    box = found.box
    moved_box = Box(box.left + by, box.top + by, box.right + by, box.bottom + by)
    return replace(found, box=moved_box, mask=None, score=score)


def later(exam: ExamFindings) -> ExamFindings:
    """See the exam with another bundle: one lesion moved a little, one is gone, one is new."""
    views = list(exam.views)
    place = next(n for n, view in enumerate(views) if len(view.findings) == 2)
    mass, specks = views[place].findings
    fresh = Finding(Kind.MASS, Box(300, 400, 360, 460), 0.4, None, None, ("shared_trunk",))
    views[place] = replace(views[place], findings=(fresh, moved(mass, 5, 0.7), specks))
    place = next(n for n, view in enumerate(views) if len(view.findings) == 3 and n != place)
    views[place] = replace(views[place], findings=views[place].findings[:-1])
    return replace(exam, views=tuple(views), version="1.3.0", digest="cd" * 32)


def last(node: Node, destination: str = "pacs", kind: str = "cad_sr") -> Dataset:
    return owed(node, destination, kind)[-1]


def names(report: Dataset) -> dict[str, str]:
    return {mark.tracking_id: mark.tracking_uid for mark in marks(report)}


def test_a_late_view_is_named_and_what_it_shows_is_new(
    node: Node, headers: list[Dataset], exam: ExamFindings
) -> None:
    early = replace(exam, views=exam.views[:3])
    read(node, headers[:3], early)
    first = last(node)
    read(node, headers[3:], exam)
    second = last(node)
    assert {name: names(second)[name] for name in names(first)} == names(first)
    said = plain_text(second)
    assert (
        "Round 2: replaces the report of round 1. Since round 1: LMLO added; 3 findings new "
        "(LMLO mass 1, LMLO mass 2, LMLO mass 3)."
    ) in said
    assert "Since round" not in plain_text(first)


def test_another_bundle_finds_the_same_lesions_under_the_same_names(
    node: Node, headers: list[Dataset], exam: ExamFindings
) -> None:
    read(node, headers[:3], replace(exam, views=exam.views[:3]))
    read(node, headers[3:], exam)
    second = names(last(node))
    other = deepcopy(headers[0])
    other.SOPInstanceUID = uid("not read")  # opens one more round, whatever it shows
    read(node, [other], later(exam))
    third = last(node)
    kept_names = {name: uid for name, uid in names(third).items() if name in second}
    assert kept_names == {name: second[name] for name in kept_names}
    assert sorted(set(names(third)) - set(second)) == ["LCC mass 2"]
    assert sorted(set(second) - set(names(third))) == ["LMLO mass 3"]
    said = plain_text(third)
    assert (
        "Round 3: replaces the report of round 2. Since round 2: 1 finding new (LCC mass 2); "
        "1 finding gone (LMLO mass 3); 1 finding with another score (LCC mass 1: certainty was "
        "91.3 %, is 70.0 %); round 2 was read by shared_trunk 1.2.0 at operating point screening."
    ) in said
    measured = [
        {mark.tracking_id: mark.tracking_uid for mark in marks(one)}
        for one in owed(node, "pacs", "measurement_report")[-2:]
    ]
    assert measured[0] | measured[1] == names(third), "the same names in every report"
    tracked = {
        str(segment.get("TrackingID", ""))
        for one in owed(node, "pacs", "segmentation")
        for segment in one.SegmentSequence
    }
    assert "LCC calcification 1" in tracked


def test_a_destination_with_few_marks_is_told_of_those(
    node: Node, headers: list[Dataset], exam: ExamFindings
) -> None:
    read(node, headers[:3], replace(exam, views=exam.views[:3]))
    read(node, headers[3:], exam)
    brief = last(node, "brief")
    assert list(names(brief)) == ["LCC mass 1"]
    said = plain_text(brief)
    assert "Since round 1: LMLO added; no finding changed." in said
    assert names(brief).items() <= names(last(node)).items(), "one name, whoever is told"


def test_what_a_worse_finding_drives_out_is_not_called_gone(
    node: Node, headers: list[Dataset], exam: ExamFindings
) -> None:
    read(node, headers[:3], replace(exam, views=exam.views[:3]))
    views = list(exam.views)
    (first, *others) = views[3].findings
    views[3] = replace(views[3], findings=(replace(first, cancer_score=0.99), *others))
    read(node, headers[3:], replace(exam, views=tuple(views)))
    brief = last(node, "brief")
    assert list(names(brief)) == ["LMLO mass 1"]
    said = plain_text(brief)
    assert "1 finding new (LMLO mass 1)" in said
    assert "1 finding found again, but not shown any more (LCC mass 1)" in said
    assert "gone" not in said


def test_a_recalled_round_is_no_predecessor_and_its_recall_is_told(
    node: Node, headers: list[Dataset], exam: ExamFindings
) -> None:
    first = read(node, headers[:3], replace(exam, views=exam.views[:3]))
    with node.ledger.turn(first, DELIVER):
        pass
    recalled(node, first)
    read(node, headers[3:], exam)
    second = last(node)
    assert "PredecessorDocumentsSequence" not in second
    said = plain_text(second)
    assert (
        "Round 2; LMLO added. The result of round 1 was recalled: Rejected for Quality Reasons."
    ) in said
    assert "Since round" not in said
    assert "LCC mass 1" in names(second), "a lesion is the same, whatever was recalled"


def recalled(node: Node, case_id: int) -> None:
    concept = codes.REJECTIONS["113001"]
    row = Recall(
        case_id=case_id,
        code=concept.value,
        reason=concept.meaning,
        recalled_by="anna",
        recalled_at=now(),
    )
    debts = node.questions.debts_of(case_id)
    recall_case(node.ledger, row, [], {one.delivery.id: one.delivery.receipt for one in debts})


def test_a_round_reported_again_after_a_failure_leaves_its_names_once(
    node: Node, headers: list[Dataset], exam: ExamFindings, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = analyzed(node, headers, exam)
    with monkeypatch.context() as patch:
        patch.setattr("dicom_node.reporting.turn.prove", broken)
        with pytest.raises(Unsound):
            take_the_turn(workshop(node), case_id)
    assert node.questions.lesions_of(case_id) == []
    assert node.ledger.retry(case_id) == State.ANALYZED
    take_the_turn(workshop(node), case_id)
    told = [row.name for row in node.questions.lesions_of(case_id)]
    assert sorted(told) == sorted(names(last(node)))


def broken(*_: object, **__: object) -> None:
    raise Unsound(["broken"])


# --- what the proof says of sentences that are not true -----------------------------------------


@pytest.fixture
def second_round(
    node: Node, headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> tuple[Origin, Any]:
    """Return how a second round is made, and a way to make its CAD SR in other circumstances."""
    first = read(node, headers[:3], replace(exam, views=exam.views[:3]))
    second = analyzed(node, headers[3:], exam)
    case = node.questions.case(second)
    assert case is not None
    past, _ = remembered(node.questions, node.spool, case, exam)
    product = next(one for one in node.questions.products_of(first) if one.kind == "cad_sr")
    before = Predecessor(CAD, product.sop_uid, product.series_uid, 1, "")
    circumstances = Circumstances(
        2,
        first_round.made_at,
        before,
        1,
        (before,),
        names=past.names,
        before=past.told_to(PLAIN),
    )

    def build(**other: object) -> Dataset:
        changed = replace(circumstances, **other)  # type: ignore[arg-type]
        (made,) = report(headers, exam, maker, changed, frozenset({"cad_sr"}))
        return made.dataset

    return Origin(maker, circumstances), build


def test_a_second_round_is_sound(
    second_round: tuple[Origin, Any], headers: list[Dataset], exam: ExamFindings
) -> None:
    origin, build = second_round
    prove(build(), headers, exam, origin=origin)


def test_views_added_are_named_where_findings_cannot_be_compared(
    second_round: tuple[Origin, Any], headers: list[Dataset], exam: ExamFindings
) -> None:
    origin, build = second_round
    plain = {"before": None, "views_added": ("LMLO",)}
    wanted = Origin(origin.maker, replace(origin.circumstances, **plain))
    made = build(**plain)
    assert "Round 2: replaces the report of round 1; LMLO added." in plain_text(made)
    prove(made, headers, exam, origin=wanted)
    with pytest.raises(Unsound, match=r"no text of the report says 'Round 2: .* LMLO added"):
        prove(build(before=None), headers, exam, origin=wanted)
    strange = {"before": None, "views_added": ("LXCC",)}
    with pytest.raises(Unsound, match="said to add LXCC, which was not read"):
        prove(
            build(**strange),
            headers,
            exam,
            origin=Origin(origin.maker, replace(origin.circumstances, **strange)),
        )


def test_images_added_that_show_no_view_are_counted(
    second_round: tuple[Origin, Any],
) -> None:
    _, build = second_round
    made = build(before=None, views_added=("LMLO",), images_added=3)
    assert "Round 2: replaces the report of round 1; LMLO added (3 images)." in plain_text(made)


OTHER = Predecessor(CAD, uid("other"), uid("other series"), 1, "")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"predecessor": None}, "does not name the one that it replaces"),
        ({"predecessor": OTHER}, "does not name the one that it replaces"),
        ({"before": None}, "no text of the report says 'Round 2: replaces"),
        ({"recalled": ("The result of round 1 was recalled: x.",)}, "says more than it should"),
        ({"round": 3}, "no text of the report says 'Round 2"),
        ({"names": None, "before": None}, "no text of the report says"),
    ],
)
def test_a_report_in_other_circumstances_is_unsound(
    second_round: tuple[Origin, Any],
    headers: list[Dataset],
    exam: ExamFindings,
    other: dict[str, object],
    reason: str,
) -> None:
    origin, build = second_round
    with pytest.raises(Unsound, match=reason):
        prove(build(**other), headers, exam, origin=origin)


@pytest.mark.parametrize("what", ["views", "marks", "score", "reader", "weights"])
def test_a_sentence_that_is_not_true_is_noticed(
    second_round: tuple[Origin, Any], headers: list[Dataset], exam: ExamFindings, what: str
) -> None:
    origin, build = second_round
    before = origin.circumstances.before
    assert before is not None
    lies: dict[str, object] = {
        "views": {},
        "marks": {**before.marks, "2.25.9": Mark("LCC mass 9", "50.0 %", "")},
        "score": "1.0 %",
        "reader": "nobody",
        "weights": "",
    }
    spoiled = build(before=replace(before, **{what: lies[what]}))  # type: ignore[arg-type]
    with pytest.raises(Unsound, match="no text of the report says 'Round 2: "):
        prove(spoiled, headers, exam, origin=origin)


def test_a_first_round_does_not_speak_of_earlier_ones(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    (made,) = report(headers, exam, maker, first_round, frozenset({"cad_sr"}))
    origin = Origin(maker, first_round)
    prove(made.dataset, headers, exam, origin=origin)
    summary = named(made.dataset, codes.FINDINGS_SUMMARY)
    assert summary is not None
    said = named(summary, codes.IMPRESSION_DESCRIPTION)
    assert said is not None
    said.TextValue += " Since round 1: no finding changed."
    with pytest.raises(Unsound, match="says more than it should with 'Since round'"):
        prove(made.dataset, headers, exam, origin=origin)


def test_rounds_from_before_names_were_kept_are_not_guessed_at(
    node: Node, headers: list[Dataset], exam: ExamFindings
) -> None:
    read(node, headers[:3], replace(exam, views=exam.views[:3]))
    with node.ledger.writing() as session:
        session.execute(delete(Lesion))
    read(node, headers[3:], exam)
    said = plain_text(last(node))
    assert "Round 2: replaces the report of round 1; LMLO added." in said
    assert "Since round" not in said
