"""When a study is complete: its views, its sender, its quiet, its cap."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from open_listener import OpenListener
from senders import connected, send, store, until
from small_images import encoded, mammogram

from dicom_node.ledger.questions import Arriving
from dicom_node.ledger.tables import Case
from dicom_node.life import State
from dicom_node.receiving.settle import complete, settle
from dicom_node.settings.receiving import Receiving

AT = datetime(2025, 9, 1, 12, tzinfo=UTC)
RULES = Receiving(grace_seconds=10, quiet_seconds=60, cap_seconds=600)
ALL = frozenset({"RCC", "LCC", "RMLO", "LMLO"})
THREE = ALL - {"RMLO"}
HERE, GONE = True, False


@pytest.mark.parametrize(
    ("views", "sender", "quiet", "old", "why"),
    [
        # all views: after the grace, with the sender gone
        (ALL, GONE, 9.9, 20, None),
        (ALL, GONE, 10, 20, "complete: all required views are in"),
        (ALL | {"LML"}, GONE, 10, 20, "complete: all required views are in"),
        (ALL, HERE, 599, 599, None),
        (ALL, HERE, 0, 600, "waited 600 s"),
        # a view is missing: after the quiet time, with the sender gone
        (THREE, GONE, 10, 20, None),
        (THREE, GONE, 59.9, 100, None),
        (THREE, GONE, 60, 100, "quiet for 60 s, without RMLO"),
        (THREE, HERE, 599, 599, None),
        # at the cap whatever is there
        (THREE, HERE, 1, 600, "waited 600 s, without RMLO"),
        (THREE, GONE, 1, 599.9, None),
        (THREE, GONE, 1, 600, "waited 600 s, without RMLO"),
        (frozenset(), GONE, 60, 60, "quiet for 60 s, without RCC, LCC, RMLO, LMLO"),
    ],
)
def test_a_round_is_complete_or_waits(
    views: frozenset[str],
    sender: bool,  # noqa: FBT001 - a parameter of the test
    quiet: float,
    old: float,
    why: str | None,
) -> None:
    case = Case(last_image_at=AT - timedelta(seconds=quiet), moved_at=AT - timedelta(seconds=old))
    assert complete(Arriving(case, views, sender), RULES, AT) == why


def test_only_the_required_views_are_waited_for() -> None:
    rules = RULES.model_copy(update={"required_views": ("LCC",)})
    case = Case(last_image_at=AT - timedelta(seconds=10), moved_at=AT - timedelta(seconds=10))
    arriving = Arriving(case, frozenset({"LCC"}), sender_is_connected=False)
    assert complete(arriving, rules, AT) == "complete: all required views are in"


def test_a_study_is_settled_once_its_sender_has_gone(
    listening: Callable[..., OpenListener],
) -> None:
    listener = listening(grace_seconds=0, quiet_seconds=30.0)
    node, rules = listener.node, listener.node.settings.receiving
    first = mammogram("RCC")
    study = str(first.StudyInstanceUID)
    rest = [mammogram(view, StudyInstanceUID=study) for view in ("LCC", "RMLO", "LMLO")]
    assert send(listener.port, first) == [0x0000]
    assert settle(node.ledger, node.questions, rules) == []
    syntax = "1.2.840.10008.1.2.1"
    with connected(listener.port, [(str(first.SOPClassUID), syntax)]) as association:
        for image in rest:
            name = image.SOPInstanceUID
            answer = store(association, image.SOPClassUID, name, syntax, encoded(image))
            assert answer == 0x0000
        assert settle(node.ledger, node.questions, rules) == [], "the sender may have more"
    (case,) = node.questions.cases_of(study)
    until(lambda: settle(node.ledger, node.questions, rules) == [case.id])
    (settled,) = node.questions.cases_of(study)
    assert (settled.state, settled.reason) == (
        State.RECEIVED,
        "complete: all required views are in",
    )
    assert settle(node.ledger, node.questions, rules) == []


def test_a_second_round_is_complete_with_the_views_of_the_first(
    listening: Callable[..., OpenListener],
) -> None:
    listener = listening(grace_seconds=0, quiet_seconds=30.0)
    node, rules = listener.node, listener.node.settings.receiving
    study = str(mammogram().StudyInstanceUID)
    views = [mammogram(view, StudyInstanceUID=study) for view in ("RCC", "LCC", "RMLO", "LMLO")]
    assert send(listener.port, *views) == [0x0000] * 4
    until(lambda: settle(node.ledger, node.questions, rules))
    (first,) = node.questions.cases_of(study)
    node.ledger.move(first.id, State.RECEIVED, State.ANALYZING, lease="x")
    assert send(listener.port, mammogram("RCC", StudyInstanceUID=study)) == [0x0000]
    until(lambda: settle(node.ledger, node.questions, rules))
    second = node.questions.cases_of(study)[-1]
    assert (second.round, second.state) == (2, State.RECEIVED)
    assert second.reason == "complete: all required views are in"


def test_a_late_image_of_an_old_round_waits_like_the_first(
    listening: Callable[..., OpenListener],
) -> None:
    listener = listening(grace_seconds=0, quiet_seconds=30.0, cap_seconds=60.0)
    node, rules = listener.node, listener.node.settings.receiving
    image = mammogram("RCC")
    assert send(listener.port, image) == [0x0000]
    (case,) = node.questions.cases_of(image.StudyInstanceUID)
    node.ledger.move(case.id, State.RECEIVING, State.RECEIVED)
    with node.ledger.writing() as session:
        session.get_one(Case, case.id).opened_at -= timedelta(hours=1)  # no worker since then
    late = mammogram("LCC", StudyInstanceUID=image.StudyInstanceUID)
    assert send(listener.port, late) == [0x0000]
    assert settle(node.ledger, node.questions, rules) == []
