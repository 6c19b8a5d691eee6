"""The life of a case is a closed table."""

import pytest

from dicom_node.life import AT_THE_END, HELD, MOVES, TOLD, VERBS, WAITING, State, may_move


def reachable(start: State) -> set[State]:
    found: set[State] = set()
    left = [start]
    while left:
        state = left.pop()
        if state not in found:
            found.add(state)
            left += MOVES[state]
    return found


def test_every_state_has_its_moves_and_every_move_leads_to_a_state() -> None:
    assert set(MOVES) == set(State)
    assert set().union(*MOVES.values()) <= set(State)


def test_every_state_is_reached_from_the_first() -> None:
    assert reachable(State.RECEIVING) == set(State)


@pytest.mark.parametrize("state", State)
def test_every_state_can_end_delivered(state: State) -> None:
    assert State.DELIVERED in reachable(state)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_work_goes_on_or_back_to_where_it_was_or_fails(verb: tuple[State, ...]) -> None:
    _, before, during, after = verb
    assert during in MOVES[before]
    assert {before, after, State.FAILED} <= MOVES[during]
    assert before in MOVES[State.FAILED], "what failed here can be retried from before"


def test_one_verb_ends_where_the_next_begins() -> None:
    ends = [verb.after for verb in VERBS]
    assert [verb.before for verb in VERBS] == [State.RECEIVED, *ends[:-1]]
    assert ends[-1] == State.DELIVERED


def test_only_states_in_ing_are_held_and_only_their_verbs_lead_there() -> None:
    ing = {state for state in State if state.endswith("ING")}
    assert ing - {State.RECEIVING} == HELD
    for held in HELD - {State.TELLING}:
        ways_in = {state for state in State if held in MOVES[state]}
        assert ways_in == {verb.before for verb in VERBS if verb.during == held}


def test_an_end_without_a_result_is_told_of_and_stays_the_end() -> None:
    assert {state for state in State if State.TELLING in MOVES[state]} == TOLD
    assert MOVES[State.TELLING] == TOLD
    assert TOLD < AT_THE_END


@pytest.mark.parametrize("state", [State.DELIVERED, State.DECLINED])
def test_from_delivered_and_declined_only_a_recall_leads_on_and_no_worker(state: State) -> None:
    leads_on = MOVES[state] - {State.TELLING}
    assert leads_on == {State.REPORTED}, "the note of a recall is delivered like a result"
    assert state in AT_THE_END
    assert state not in WAITING


def test_no_state_moves_to_itself() -> None:
    assert not any(may_move(state, state) for state in State)
