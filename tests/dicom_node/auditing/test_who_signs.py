"""Who signs the trail remembers what was signed, whatever becomes of it meanwhile."""

from collections.abc import Callable

import pytest
from tampering import Trail

from dicom_node.auditing.checkpoints import checkpoints_path
from dicom_node.auditing.keeping import TAKEN, Keeper, sign_the_rest
from dicom_node.auditing.signing import signer
from dicom_node.auditing.verify import Verified, verify
from dicom_node.wiring import Node


def verified(node: Node) -> Verified:
    return verify(node.engine, [signer(node.settings).public], checkpoints_path(node.settings))


def keeper_of(node: Node) -> Keeper:
    keeper = Keeper(node.ledger, node.settings, signer(node.settings))
    keeper.say_who_signs()
    return keeper


@pytest.mark.parametrize(
    "taken",
    [
        ["events", "checkpoints"],
        ["checkpoints"],
    ],
    ids=" and ".join,
)
def test_A2_a_trail_that_is_emptied_under_a_running_node_here_and_outside_is_missed(
    kept: Node, taken: list[str], figure: Callable[[str], None]
) -> None:
    keeper, outside = keeper_of(kept), checkpoints_path(kept.settings)
    for number in range(3):
        kept.ledger.record("trail verified", f"{number}")
        keeper.round(at_once=True)
    assert verified(kept).faults == []
    Trail(kept.engine, outside).run(*(f"DELETE FROM {table}" for table in taken))
    outside.unlink()
    keeper.round()
    said = [one.sentence for one in kept.questions.events() if one.what == "trail broken"]
    assert said == [TAKEN]
    # Another process that signs, after a restart or after the last round, makes it no better.
    sign_the_rest(kept.ledger, kept.settings)
    keeper_of(kept).round(at_once=True)
    found = verified(kept)
    sentences = [one.sentence for one in found.faults]
    for where in ("the ledger", outside.name):
        assert any(
            one.startswith("checkpoints 1 to 3 ") and one.endswith("are missing") and where in one
            for one in sentences
        ), sentences
    assert found.unsigned == 0
    where = kept.engine.dialect.name
    figure(f"{where}: {' and '.join(taken)} emptied while the node ran, and outside: noticed")


def test_a_keeper_follows_what_another_one_has_signed(kept: Node) -> None:
    keepers = [keeper_of(kept) for _ in range(2)]
    for number in range(6):
        kept.ledger.record("trail verified", f"{number}")
        keepers[number % 2].round(at_once=True)
    assert verified(kept).faults == []
    assert "trail broken" not in [one.what for one in kept.questions.events()]
