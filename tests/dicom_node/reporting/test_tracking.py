"""A lesion keeps its name over rounds; a number is never given twice."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dicom_node.reporting.tracking import SAME_PLACE, Known, Name, Spot, named, spots
from inference.findings import Box, ExamFindings, Finding, Kind, ViewFindings
from inference.mammogram import Projection, Side

IMAGE, OTHER = "2.25.11", "2.25.12"


def mass(left: float, top: float, size: float = 40, score: float = 0.5) -> Finding:
    box = Box(left, top, left + size, top + size)
    return Finding(Kind.MASS, box, score, None, None, ("shared_trunk",))


def exam(*findings: Finding, image: str = IMAGE) -> ExamFindings:
    view = ViewFindings(image, Side.LEFT, Projection.CC, None, findings)
    return ExamFindings("s", "1", "d", "o", tuple(Kind), None, (view,))


def told(what: ExamFindings, known: list[Known], bundle: str = "b") -> list[Known]:
    """Name a round, and return all that is known after it."""
    names = named(what, known, bundle)
    now = [Known(name, spot.sop_uid, spot.kind, spot.box) for spot, name in names.items()]
    again = {lesion.name.uid for lesion in now}
    return [lesion for lesion in known if lesion.name.uid not in again] + now


def words(what: ExamFindings, known: list[Known], bundle: str = "b") -> list[str]:
    names = named(what, known, bundle)
    return [names[spot].words for spot, _ in spots(what.views[0])]


def test_the_first_round_counts_each_kind_of_each_view() -> None:
    specks = replace(mass(200, 200), kind=Kind.CALCIFICATION)
    assert words(exam(mass(0, 0), specks, mass(100, 100)), []) == [
        "LCC mass 1",
        "LCC calcification 1",
        "LCC mass 2",
    ]


def test_a_lesion_seen_again_keeps_its_name_whoever_sees_it_and_however_sure() -> None:
    known = told(exam(mass(0, 0), mass(100, 100)), [], "first bundle")
    later = exam(mass(104, 96, score=0.9), mass(300, 300), mass(2, 3))
    assert words(later, known, "second bundle") == ["LCC mass 2", "LCC mass 3", "LCC mass 1"]
    uids = {name.words: name.uid for name in named(later, known, "second bundle").values()}
    assert uids["LCC mass 1"] == known[0].name.uid


def test_a_number_is_not_given_again_after_its_lesion_has_gone() -> None:
    known = told(exam(mass(0, 0), mass(100, 100)), [])
    known = told(exam(mass(0, 0)), known)
    assert words(exam(mass(0, 0), mass(300, 300)), known) == ["LCC mass 1", "LCC mass 3"]


def test_a_lesion_that_comes_back_gets_its_name_back() -> None:
    known = told(exam(mass(0, 0), mass(100, 100)), [])
    known = told(exam(), known)
    assert words(exam(mass(101, 101)), known) == ["LCC mass 2"]


def test_the_same_place_in_another_image_is_another_lesion() -> None:
    known = told(exam(mass(0, 0)), [])
    assert words(exam(mass(0, 0), image=OTHER), known) == ["LCC mass 2"]


def test_another_kind_at_the_same_place_is_another_finding() -> None:
    known = told(exam(mass(0, 0)), [])
    specks = replace(mass(0, 0), kind=Kind.CALCIFICATION)
    assert words(exam(specks), known) == ["LCC calcification 1"]


def test_pairs_overlap_most_in_all_and_not_each_for_itself() -> None:
    known = told(exam(mass(0, 0), mass(20, 0)), [])
    # The first overlaps both; taking the better of the two would leave the second with nothing.
    assert words(exam(mass(12, 0), mass(38, 0)), known) == ["LCC mass 1", "LCC mass 2"]


def test_a_lesion_at_a_place_that_another_one_left_has_a_uid_of_its_own() -> None:
    known = told(exam(mass(0, 0)), [])
    for left in (10, 20, 30, 40):
        known = told(exam(mass(left, 0)), known)
    (first,) = known
    assert first.name.words == "LCC mass 1"
    later = named(exam(mass(50, 0), mass(0, 0)), known, "b")
    assert sorted(name.words for name in later.values()) == ["LCC mass 1", "LCC mass 2"]
    assert len({name.uid for name in later.values()}) == 2


def test_two_findings_in_one_place_are_two() -> None:
    twins = exam(mass(0, 0), mass(0, 0))
    names = named(twins, [], "b")
    assert len({name.uid for name in names.values()}) == 2
    known = told(twins, [])
    assert words(twins, known) == ["LCC mass 1", "LCC mass 2"]


boxes = st.builds(
    lambda left, top, width, height: Box(left, top, left + width, top + height),
    *(st.integers(0, 60), st.integers(0, 60), st.integers(5, 50), st.integers(5, 50)),
)
rounds = st.lists(st.lists(boxes, max_size=4), min_size=1, max_size=5)


@given(rounds)
def test_over_any_rounds_names_and_uids_are_one_to_one(history: list[list[Box]]) -> None:
    known: list[Known] = []
    uid_of: dict[str, str] = {}
    for seen in history:
        what = exam(*(Finding(Kind.MASS, box, 0.5, None, None, ()) for box in seen))
        names = named(what, known, "b")
        assert len({name.words for name in names.values()}) == len(seen)
        assert len({name.uid for name in names.values()}) == len(seen)
        for spot, name in names.items():
            assert uid_of.setdefault(name.words, str(name.uid)) == name.uid
            before = next((one for one in known if one.name == name), None)
            assert before is None or before.box.overlap(spot.box) >= SAME_PLACE
        known = told(what, known)
    assert len(set(uid_of.values())) == len(uid_of)


@given(boxes, boxes)
def test_overlap_is_a_share_and_the_same_from_both_sides(one: Box, other: Box) -> None:
    assert 0 <= one.overlap(other) == other.overlap(one) <= 1
    assert one.overlap(one) == 1


def test_names_follow_from_what_they_name() -> None:
    spot = Spot(IMAGE, Kind.MASS, Box(0, 0, 40, 40), 0.5, 1)
    one, two = (named(exam(mass(0, 0)), [], bundle)[spot] for bundle in ("a", "a"))
    assert one == two == Name("LCC mass 1", one.uid)
    assert named(exam(mass(0, 0)), [], "b")[spot].uid != one.uid
