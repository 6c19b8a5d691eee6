"""A wrong result is taken back from whoever has it, and kept from whoever has not."""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

import pytest
from destinations import Destination, Posted
from ledger_book import Book
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage
from sqlalchemy import delete, update

from dicom_node.delivering.deliver import deliver
from dicom_node.errors import Busy, NotYourTurn, Refused
from dicom_node.ledger.recalls import read_again
from dicom_node.ledger.tables import Case, Product, Recall
from dicom_node.life import DELIVER, Receipt, State
from dicom_node.reporting.marks import name_value
from dicom_node.reporting.outgoing import Workshop
from dicom_node.reporting.recall import recall
from dicom_node.tending import try_again
from dicom_node.watching.story import standing, story

Destinations = Callable[..., Destination]
Makes = Callable[..., Posted]
WRONG = "113037"


def recalled(office: Posted, case_id: int) -> str:
    node = office.node
    shop = Workshop(node.ledger, node.questions, node.spool, node.settings, "test")
    return recall(shop, case_of(office, case_id), WRONG, "anna@reading-room")


def case_of(office: Posted, case_id: int) -> Case:
    case = office.node.questions.case(case_id)
    assert case is not None
    return case


def products(office: Posted, case_id: int) -> list[Product]:
    """Return what was recalled, without the notes."""
    made = office.node.questions.products_of(case_id)
    return [one for one in made if one.kind != "rejection"]


def notes(place: Destination) -> list[Dataset]:
    """Read the notes that a destination got."""
    found = []
    for _, syntax, content in place.came:
        assert syntax == ExplicitVRLittleEndian
        one = dcmread(BytesIO(content), force=True)
        if one.get("Modality") == "KO":
            found.append(one)
    return found


def rejected(note: Dataset) -> list[str]:
    return [
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in note.ContentSequence
        if "ReferencedSOPSequence" in item
    ]


def test_whoever_has_a_result_is_told_to_reject_it(
    destination: Destinations, posted: Makes
) -> None:
    one, two = destination("ONE"), destination("TWO")
    office = posted(one.table, two.table)
    case_id = office.case(objects=3)
    office.deliver(case_id)
    said = recalled(office, case_id)
    assert said == (
        f"case {case_id}, round 1, is recalled (113037, Rejected for Patient Safety Reasons); "
        "one, two will be told"
    )
    assert office.state(case_id) == State.REPORTED
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert case_of(office, case_id).reason == "8 objects at one, two"
    for place in (one, two):
        (note,) = notes(place)
        assert note.SOPClassUID == KeyObjectSelectionDocumentStorage
        assert name_value(note) == ("113037", "DCM")
        assert rejected(note) == [made.sop_uid for made in products(office, case_id)]
    (kept,) = [one for one in office.node.questions.products_of(case_id) if one.kind == "rejection"]
    assert [row.receipt for row in office.rows(case_id, "two")] == [Receipt.DELIVERED] * 4
    assert kept.sop_uid == notes(one)[0].SOPInstanceUID == notes(two)[0].SOPInstanceUID


def test_each_gets_a_note_on_what_it_has_and_nobody_gets_the_rest(
    destination: Destinations, posted: Makes
) -> None:
    one, two = destination("ONE"), destination("TWO", answers=[0x0000, 0xA700])
    away = destination("AWAY", running=False)
    office = posted(one.table, two.table, away.table)
    case_id = office.case(objects=2)
    with pytest.raises(Busy):
        office.deliver(case_id)
    said = recalled(office, case_id)
    assert "one, two will be told; 3 objects withdrawn" in said
    away.start()
    two.answers = []
    office.deliver(case_id)
    made = [each.sop_uid for each in products(office, case_id)]
    assert [rejected(note) for note in notes(one)] == [made]
    assert [rejected(note) for note in notes(two)] == [made[:1]]
    assert away.came == [], "what it never had need not be taken back"
    assert [row.receipt for row in office.rows(case_id, "away")] == [Receipt.WAIVED] * 2
    assert office.state(case_id) == State.DELIVERED
    assert case_of(office, case_id).reason == "5 objects at one, two"


def test_a_result_that_nobody_has_is_withdrawn_without_a_note(
    destination: Destinations, posted: Makes
) -> None:
    away = destination(running=False)
    office = posted(away.table)
    case_id = office.case()
    with pytest.raises(Busy):
        office.deliver(case_id)
    said = recalled(office, case_id)
    assert said.endswith("nobody had anything of it yet; 2 objects withdrawn")
    away.start()
    office.deliver(case_id)
    assert away.came == []
    assert (office.state(case_id), case_of(office, case_id).reason) == (
        State.DELIVERED,
        "nobody waits for these objects",
    )


def test_what_was_sent_without_an_answer_is_to_be_looked_for(
    destination: Destinations, posted: Makes
) -> None:
    office = posted(destination(answers=[0xA700]).table)
    case_id = office.case(objects=1)
    with pytest.raises(Busy):
        office.deliver(case_id)
    (row,) = office.rows(case_id)
    with office.node.ledger.writing() as session:
        session.merge(row).status = None
    assert "1 of them may have arrived without an answer" in recalled(office, case_id)


def test_recalling_twice_says_when_and_by_whom_it_was_done(
    destination: Destinations, posted: Makes
) -> None:
    office = posted(destination().table)
    case_id = office.case()
    office.deliver(case_id)
    recalled(office, case_id)
    for _ in range(2):
        with pytest.raises(NotYourTurn, match=r"recalled already, at .* by anna@reading-room: Rej"):
            recalled(office, case_id)
        office.deliver(case_id) if office.state(case_id) == State.REPORTED else None
    assert len(office.rows(case_id)) == 3, "one note"


def test_a_case_that_told_nobody_anything_has_nothing_to_recall(posted: Makes) -> None:
    office = posted()
    with pytest.raises(NotYourTurn, match="has sent nothing: nothing to recall"):
        recalled(office, office.case())


def test_a_case_in_a_process_s_hands_is_not_recalled(
    destination: Destinations, posted: Makes
) -> None:
    office = posted(destination().table)
    case_id = office.case()
    with office.node.ledger.turn(case_id, DELIVER):
        with pytest.raises(Busy, match="is DELIVERING: recall its result when it is out"):
            recalled(office, case_id)
        assert office.node.questions.recall_of(case_id) is None
    assert all(row.receipt == Receipt.OWED for row in office.rows(case_id))


def test_a_note_written_before_a_delivery_ended_is_not_sent(
    destination: Destinations, posted: Makes, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = posted(destination().table)
    case_id = office.case()
    asked = office.node.questions.debts_of

    def then_delivered(which: int) -> object:
        seen = asked(which)
        monkeypatch.setattr(office.node.questions, "debts_of", asked)
        deliver(office.office, which)
        return seen

    monkeypatch.setattr(office.node.questions, "debts_of", then_delivered)
    with pytest.raises(Busy, match="is being delivered just now"):
        recalled(office, case_id)
    assert office.node.questions.recall_of(case_id) is None
    assert "pacs will be told" in recalled(office, case_id)


@pytest.mark.parametrize("status", [0xA770, 0xA774])
def test_an_archive_that_has_rejected_it_already_has_the_note(
    destination: Destinations, posted: Makes, status: int
) -> None:
    pacs = destination(answers=[0x0000, 0x0000, status])
    office = posted(pacs.table)
    case_id = office.case()
    office.deliver(case_id)
    recalled(office, case_id)
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED


@pytest.mark.parametrize("status", [0xA772, 0xA773, 0x0122])
def test_an_archive_that_cannot_reject_it_is_the_administrators_to_mend(
    destination: Destinations, posted: Makes, status: int
) -> None:
    pacs = destination(answers=[0x0000, 0x0000, status])
    office = posted(pacs.table)
    case_id = office.case()
    office.deliver(case_id)
    recalled(office, case_id)
    with pytest.raises(Refused, match=f"will not take the rejection .status {status:04X}"):
        office.deliver(case_id)
    assert office.state(case_id) == State.FAILED
    pacs.answers = []
    (said,) = (one.sentence for one in try_again(office.node, str(case_id)))
    assert said == f"case {case_id} goes on from REPORTED"
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert len(notes(pacs)) == 2, "the one that it refused, and the same once more"
    assert [row.receipt for row in office.rows(case_id)] == [Receipt.DELIVERED] * 3


def test_what_was_refused_is_not_owed_again_after_a_recall(
    destination: Destinations, posted: Makes
) -> None:
    pacs = destination(answers=[0x0000, 0xC000])
    office = posted(pacs.table)
    case_id = office.case()
    with pytest.raises(Refused):
        office.deliver(case_id)
    assert office.state(case_id) == State.FAILED
    assert "pacs will be told; 1 object withdrawn" in recalled(office, case_id)
    pacs.answers = []
    office.deliver(case_id)
    assert len(pacs.came) == 3
    assert [row.receipt for row in office.rows(case_id)] == [
        Receipt.DELIVERED,
        Receipt.WAIVED,
        Receipt.DELIVERED,
    ]


def test_a_recalled_study_can_be_read_again_as_a_round_of_its_own(
    destination: Destinations, posted: Makes
) -> None:
    office = posted(destination().table)
    case_id = office.case()
    office.deliver(case_id)
    recalled(office, case_id)
    office.deliver(case_id)
    (said,) = (one.sentence for one in try_again(office.node, str(case_id)))
    assert said == f"case {case_id} was recalled: round 2 reads the study again"
    study = case_of(office, case_id).study_uid
    first, second = office.node.questions.cases_of(study)
    assert (second.round, second.state) == (2, State.RECEIVED)
    images = office.node.questions.images_of
    assert [one.id for one in images(second)] == [one.id for one in images(first)]
    assert office.node.questions.predecessors_of(second, "kind_0") == [], "it holds no more"
    with pytest.raises(NotYourTurn, match="gave way to round 2"):
        read_again(office.node.ledger, case_id)
    (said,) = (one.sentence for one in try_again(office.node, str(case_id)))
    assert said == f"case {case_id} gave way to round 2: retry that one"


def test_a_recalled_study_can_be_read_again_though_a_later_round_was_declined_for_its_sake(
    destination: Destinations, posted: Makes
) -> None:
    office = posted(destination().table)
    case_id = office.case()
    office.deliver(case_id)
    study = case_of(office, case_id).study_uid
    late = Book(office.node.engine).case_at(State.DECLINED, study)
    recalled(office, case_id)
    office.deliver(case_id)
    said = [one.sentence for one in try_again(office.node, study)]
    assert said == [
        f"case {case_id} was recalled: round 3 reads the study again",
        f"case {late} is DECLINED: there is nothing to try again",
    ]


def test_a_result_that_was_not_recalled_is_still_a_predecessor(
    destination: Destinations, posted: Makes
) -> None:
    office = posted(destination().table)
    case_id = office.case()
    office.deliver(case_id)
    recalled(office, case_id)
    office.deliver(case_id)
    second = read_again(office.node.ledger, case_id)
    with office.node.ledger.writing() as session:
        session.execute(delete(Recall))
    (former,) = office.node.questions.predecessors_of(second, "kind_0")
    assert former.case_id == case_id


def two_rounds(office: Posted) -> tuple[int, int]:
    """Take a study of two rounds, each with a result for every destination."""
    first, second = office.case(objects=1), office.case(objects=1)
    with office.node.ledger.writing() as session:
        values = {"study_uid": session.get_one(Case, first).study_uid, "round": 2}
        session.execute(update(Case).where(Case.id == second).values(**values))
        session.execute(update(Product).values(kind="cad_sr"))
    return first, second


def test_a_workstation_is_told_of_the_recall_of_a_round_that_was_replaced(
    destination: Destinations, posted: Makes
) -> None:
    screen = destination("SCREEN")
    office = posted({**screen.table, "role": "workstation"})
    first, second = two_rounds(office)
    with office.node.ledger.writing() as session:
        session.execute(update(Product).where(Product.case_id == second).values(kind="kind_0"))
    office.deliver(first)
    with office.node.ledger.writing() as session:
        session.execute(update(Product).values(kind="cad_sr"))
    office.deliver(second)
    recalled(office, first)
    office.deliver(first)
    (note,) = notes(screen)
    assert rejected(note) == [made.sop_uid for made in products(office, first)]


def test_a_recalled_round_replaces_nothing(destination: Destinations, posted: Makes) -> None:
    screen = destination("SCREEN", running=False)
    office = posted({**screen.table, "role": "workstation"})
    first, second = two_rounds(office)
    recalled(office, second)
    screen.start()
    office.deliver(first)
    assert len(screen.came) == 1


def test_trace_and_status_tell_of_a_recall(destination: Destinations, posted: Makes) -> None:
    office = posted(destination().table)
    case_id = office.case()
    office.deliver(case_id)
    recalled(office, case_id)
    questions = office.node.questions
    told = story(questions, case_of(office, case_id), office.node.settings)
    assert told["recalled"]["by"] == "anna@reading-room"
    assert told["recalled"]["why"] == "Rejected for Patient Safety Reasons"
    assert [one["recalled"] for one in told["objects"]] == [True, True, False]
    said = "recalled by anna@reading-room: Rejected for Patient Safety Reasons"
    assert sum(said in event["event"] for event in told["events"]) == 2, "the act, and the move"
    assert standing(questions, 5)["newest"][0]["recalled"] == "Rejected for Patient Safety Reasons"


FINE, NO_ROOM, NEVER = 0x0000, 0xA700, 0xC000


@pytest.mark.parametrize("first", [FINE, NO_ROOM, NEVER])
@pytest.mark.parametrize("second", [FINE, NO_ROOM, NEVER])
@pytest.mark.parametrize("note", [FINE, NO_ROOM, NEVER])
def test_whatever_was_answered_what_a_pacs_holds_of_a_recalled_result_ends_rejected(
    destination: Destinations, posted: Makes, first: int, second: int, note: int
) -> None:
    pacs = destination(answers=[first, second])
    office = posted(pacs.table, retry_seconds=[0.001], probe_seconds=0.001)
    case_id = office.case(objects=2)
    with suppress(Busy, Refused):
        office.deliver(case_id)
    recalled(office, case_id)
    results = {one.sop_uid for one in products(office, case_id)}
    held = pacs.taken & results
    for answers in (
        [note],
        [],
        [],
        [],
    ):  # it takes the note in the end
        pacs.answers = answers
        for debt in office.node.questions.debts_of(case_id):
            if debt.product.sop_uid in results:
                assert debt.delivery.receipt in {Receipt.DELIVERED, Receipt.WAIVED}
        if office.state(case_id) == State.REPORTED:
            with suppress(Busy, Refused):
                office.deliver(case_id)
        if office.state(case_id) == State.FAILED:
            list(try_again(office.node, str(case_id)))
    assert pacs.taken & results == held, "nothing of it was sent any more"
    told = [uid for one in notes(pacs) if one.SOPInstanceUID in pacs.taken for uid in rejected(one)]
    assert set(told) == held
