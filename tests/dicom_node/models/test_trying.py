"""A bundle has to say of its phantom what its card says; what nobody can compare is no proof."""

import json
from pathlib import Path

import pytest
from bundle_commands import Open, command, reads
from typer.testing import CliRunner

from dicom_node.cli import app
from dicom_node.errors import Misconfigured
from dicom_node.models.choosing import NOTHING_CHANGED, activate
from inference.bundle import load_card, save_card
from inference.systems.views import ViewByView


def with_phantom(folder: Path, **changes: object) -> None:
    """Change what a card says of its phantom; without a word, it says nothing of one."""
    card = load_card(folder)
    kept = card.regression.model_copy(update=changes) if card.regression and changes else None
    save_card(folder, card.model_copy(update={"regression": kept}))


def test_a_bundle_that_says_something_else_of_its_phantom_is_refused(
    opening: Open, home: Path
) -> None:
    node, two = opening(), home / "two"
    assert "✓ two  Tiny 2" in (said := command("verify", "two"))
    assert "phantom 7 gets its scores" in said
    with_phantom(two, pixels_sha256="0" * 64)
    assert "gets its scores, though it is drawn otherwise here" in command("verify", "two")
    kept = load_card(home / "one").regression
    assert kept is not None
    assert kept.cancer_score is not None
    with_phantom(two, pixels_sha256=kept.pixels_sha256, cancer_score=kept.cancer_score + 0.1)
    for unproven in (False, True):
        with pytest.raises(Misconfigured, match="the cancer score is"):
            activate(node.settings, node.ledger, ["two"], "me@here", unproven=unproven)


@pytest.mark.parametrize("doubt", ["is drawn otherwise here and gets other scores", "no scores"])
def test_what_nobody_can_compare_is_no_proof_and_activated_only_knowingly(
    opening: Open, home: Path, doubt: str
) -> None:
    node, two = opening(), home / "two"
    if "otherwise" in doubt:
        with_phantom(two, pixels_sha256="0" * 64, cancer_score=0.999)
    else:
        with_phantom(two)
    verified = CliRunner().invoke(app, ["models", "verify", "two"])
    assert verified.exit_code == 1
    assert verified.output.startswith("! two")
    assert doubt in verified.output
    (told,) = json.loads(command("verify", "two", "--unproven", "--json"))
    assert (told["sound"], told["proven"]) == (True, False)
    with pytest.raises(Misconfigured, match="--unproven") as refused:
        activate(node.settings, node.ledger, ["two"], "me@here")
    assert refused.value.faults[-1] == NOTHING_CHANGED
    assert node.questions.events()[-1].what == "model refused"
    assert "! Tiny 2" in command("activate", "two", "--unproven")
    event = node.questions.events()[-1]
    assert event.details["unproven"] == ["two"]
    assert "not proven by a phantom: two" in event.sentence
    activate(node.settings, node.ledger, ["three"], "me@here")
    assert "unproven" not in node.questions.events()[-1].details
    assert "! Tiny 2" in command("rollback"), "whoever is in need is not kept from it"
    assert reads(opening()) == ["0.0.2"]


def test_a_bundle_without_a_phantom_has_to_read_one_all_the_same(
    opening: Open, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbles(*_: object) -> None:
        raise KeyError("head.weight")

    opening()
    with_phantom(home / "two")
    monkeypatch.setattr(ViewByView, "read_exam", stumbles)
    refused = CliRunner().invoke(app, ["models", "verify", "two", "--unproven"])
    assert refused.exit_code == 1
    assert "✗ two" in refused.output
    assert "head.weight" in refused.output
