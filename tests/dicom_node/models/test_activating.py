"""Other bundles read by command: at once, on record, and never such as are not sound."""

import json
import shutil
from pathlib import Path

import pytest
from bundle_commands import Open, command, reads
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from dicom_node.auditing.belongings import decided_otherwise
from dicom_node.cli import app
from dicom_node.commands import at_hand
from dicom_node.errors import Misconfigured, NotYourTurn
from dicom_node.ledger.activations import FROM_SETTINGS, history
from dicom_node.ledger.tables import Activation, ModelRun
from dicom_node.models.choosing import NOTHING_CHANGED, activate, roll_back
from dicom_node.settings.file import load_settings
from dicom_node.watching.checkup import checkup
from dicom_node.wiring import Node
from inference.bundle import (
    CARD,
    WEIGHTS,
    Aggregation,
    Calibration,
    OperatingPoint,
    load_card,
    save_card,
)


def spoiled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_running_process_reads_with_what_was_activated_and_rolled_back(opening: Open) -> None:
    running = opening()
    assert [one.card.version for one in running.analyzers] == ["0.0.1"]
    for words, version in (
        (("activate", "two"), "0.0.2"),
        (("activate", "three"), "0.0.3"),
        (("rollback",), "0.0.2"),
        (("rollback",), "0.0.1"),
    ):
        command(*words)
        assert reads(opening()) == [version], "a process that starts"
        running.models.look()
        assert [one.card.version for one in running.analyzers] == [version]
    with pytest.raises(NotYourTurn, match="nothing was active before"):
        roll_back(running.settings, running.ledger, "me@here")


def test_each_activation_is_an_event_with_the_old_and_the_new_digests(
    opening: Open, home: Path
) -> None:
    node = opening()
    command("activate", "two", "three")
    command("rollback")
    one, two, three = (load_card(home / name).weights_sha256 for name in ("one", "two", "three"))
    forth, back = (one for one in node.questions.events() if one.what.startswith("model "))
    assert (forth.what, back.what) == ("model activated", "model rolled back")
    assert forth.details["old_digests"] == back.details["digests"] == [one]
    assert forth.details["digests"] == back.details["old_digests"] == [two, three]
    assert f"two 0.0.2 ({two[:12]}) + three" in forth.sentence
    assert "in place of one 0.0.1" in forth.sentence
    assert "@" in forth.details["by"]
    first = history(node.engine, 10)[-1]
    assert first.activated_by == FROM_SETTINGS


@pytest.mark.parametrize("file", [WEIGHTS, CARD])
def test_what_is_damaged_is_not_activated_and_the_old_bundle_stays(
    opening: Open, home: Path, file: str
) -> None:
    node = opening()
    assert node.analyzers
    spoiled(home / "two" / file)
    with pytest.raises(Misconfigured) as refused:
        activate(node.settings, node.ledger, ["two"], "me@here")
    assert refused.value.faults[-1] == NOTHING_CHANGED
    assert node.questions.events()[-1].what == "model refused"
    assert history(node.engine, 10) == []
    node.models.look()
    assert reads(node) == ["0.0.1"]


def test_what_was_exchanged_since_is_refused_wherever_it_is_to_be_served(
    opening: Open, home: Path, three: Path
) -> None:
    running, command_ = opening(), opening()
    assert running.analyzers
    activate(command_.settings, command_.ledger, ["two"], "me@here")
    shutil.rmtree(home / "two")
    shutil.copytree(home / "three", home / "two")
    for _ in range(2):
        running.models.look()
    assert reads(running) == ["0.0.1"], "who reads goes on"
    told = [one for one in running.questions.events() if one.what == "model refused"]
    assert len(told) == 1, "and says why once"
    assert "is not the bundle that was activated" in told[0].sentence
    with pytest.raises(Misconfigured, match="is not the bundle that was activated"):
        assert opening().cards
    right, wrong = three / "two", home / "two"
    shutil.rmtree(wrong)
    shutil.copytree(right, wrong)
    running.models.look()
    assert reads(running) == ["0.0.1"], "it is not tried at once"
    running.models._again_at = 0.0
    running.models.look()
    assert reads(running) == ["0.0.2"], "but when somebody has mended it"


def test_a_rollback_to_what_is_not_there_any_more_changes_nothing(
    opening: Open, home: Path
) -> None:
    node = opening()
    activate(node.settings, node.ledger, ["two"], "me@here")
    save_card(home / "one", load_card(home / "one").model_copy(update={"license": "none"}))
    with pytest.raises(Misconfigured, match="is not the bundle that was activated"):
        roll_back(node.settings, node.ledger, "me@here")
    assert reads(opening()) == ["0.0.2"]


def test_the_settings_decide_until_somebody_activates(opening: Open) -> None:
    assert reads(opening("two")) == ["0.0.2"]
    opening("one")
    command("activate", "three")
    told = json.loads(command("list", "--json"))
    roles = {one["bundle"]: one["role"] for one in told["bundles"]}
    assert roles == {"one": "before", "three": "active", "two": ""}
    node = opening("two")
    assert reads(node) == ["0.0.3"], "the record counts, not a file that was edited"
    said = next(one for one in checkup(node) if one.question == "is the bundle sound?")
    assert said.warning
    assert "names two, but " in said.sentence


def test_what_does_not_fit_the_settings_is_refused(opening: Open, home: Path) -> None:
    card = load_card(home / "two")
    only = {"balanced": card.operating_points["balanced"]}
    save_card(home / "two", card.model_copy(update={"operating_points": only}))
    node = opening(point="quiet")
    for words, why in (
        (["two"], "no operating point 'quiet'"),
        (["four"], "four is no bundle"),
        (["one", "one"], "not with itself"),
    ):
        with pytest.raises(Misconfigured, match=why):
            activate(node.settings, node.ledger, words, "me@here")
    assert reads(opening(point="quiet")) == ["0.0.1"]


def test_a_bundle_elsewhere_is_named_by_its_path(opening: Open, home: Path, tmp_path: Path) -> None:
    node = opening()
    shutil.copytree(home / "two", tmp_path / "elsewhere")
    command("activate", str(tmp_path / "elsewhere"))
    assert reads(opening()) == ["0.0.2"]
    for words in (["show", "elsewhere"], ["verify", "elsewhere"], ["activate", "elsewhere"]):
        refused = CliRunner().invoke(app, ["models", *words])
        assert isinstance(refused.exception, Misconfigured)
        assert f"name it by its path, {tmp_path / 'elsewhere'}" in str(refused.exception)
    assert "Tiny 2" in command("show", str(tmp_path / "elsewhere"))
    command("activate", str(home / "three"))
    assert history(node.engine, 1)[0].bundles[0]["folder"] == "three"


def test_who_reads_by_no_command_is_noticed(opening: Open) -> None:
    node = opening()
    command("activate", "two")

    def faults() -> list[str]:
        with node.engine.connect() as connection:
            return [said for _, said in decided_otherwise(connection, purged=False)]

    assert faults() == []
    command("rollback")
    assert faults() == []
    with Session(node.engine) as session, session.begin():
        rows = session.scalars(select(Activation).order_by(Activation.id)).all()
        rows[-1].bundles = rows[1].bundles
    assert [one.split(" tells ")[1] for one in faults()] == [
        "of another bundle than the one that is active"
    ]
    with Session(node.engine) as session, session.begin():
        session.execute(delete(Activation))
    assert len(faults()) == 1


def test_what_steers_scores_and_calls_of_two_cards_is_laid_side_by_side(
    opening: Open, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening()
    card = load_card(home / "two")
    for name, called_from, intercept, breast in (
        ("two", 0.364, 0.0, "mean"),
        ("three", 0.99, 1.5, "maximum"),
    ):
        point = OperatingPoint(finding_score=0.5, exam_score=called_from, chosen_for=f"of {name}")
        changes: dict[str, object] = {
            "operating_points": {"balanced": point},
            "calibration": Calibration(slope=1.0, intercept=intercept, prevalence=0.25),
            "finding_calibration": Calibration(slope=2.0, intercept=-intercept),
            "aggregation": Aggregation(breast=breast),
        }
        save_card(home / name, card.model_copy(update=changes))
    rows = json.loads(command("compare", "two", "three", "--json"))
    told = {row["what"]: (row["one"], row["other"]) for row in rows}
    assert told["balanced: marks from"] == ("0.5", "0.5")
    assert told["balanced: exams from"] == ("0.364", "0.99")
    assert told["balanced: chosen for"] == ("of two", "of three")
    scale = "1 x logit {}, where 25 % hold a cancer"
    assert told["scores of views and exams"] == (scale.format("+0"), scale.format("+1.5"))
    assert told["scores of findings"] == ("2 x logit -0", "2 x logit -1.5")
    assert told["of a breast's views"] == ("mean", "maximum")
    assert "balanced (default): marks from 0.5, exams from 0.99; of three" in command(
        "show", "three"
    )
    monkeypatch.setattr(at_hand.console, "_width", 80)
    page = command("compare", "two", "three")
    assert max(map(len, page.splitlines())) <= 80
    assert "…" not in page
    assert card.weights_sha256 in "".join(line[32:56].strip() for line in page.splitlines())


def test_a_line_that_was_fitted_to_another_card_is_told_of_as_its_weights_are_activated(
    opening: Open, home: Path, tmp_path: Path
) -> None:
    opening()
    card = load_card(home / "two")
    with (tmp_path / "node.toml").open("a") as settings:
        settings.write(
            f'[[analyzing.calibrations]]\ndigest = "{card.weights_sha256}"\n'
            f'scale = "{card.scale(None)}"\nslope = 0.5\nintercept = 0.1\n'
        )
    assert "another card" not in command("activate", "two")
    line = Calibration(slope=2.0, intercept=1.0)
    save_card(home / "two", card.model_copy(update={"finding_calibration": line}))
    assert "! analyzing.calibrations: the line fitted on unnamed exams belongs to another card" in (
        command("activate", "two")
    )
    said = next(
        one
        for one in checkup(Node(load_settings(tmp_path / "node.toml")))
        if one.question == "is the bundle sound?"
    )
    assert said.warning
    assert "it is not laid over those of this card" in said.sentence


def test_of_two_cards_for_the_same_weights_the_one_that_read_is_found(
    opening: Open, home: Path
) -> None:
    before = load_card(home / "two")
    line = Calibration(slope=2.0, intercept=1.0)
    after = before.model_copy(update={"calibration": line})
    shutil.copytree(home / "two", home / "again")
    save_card(home / "again", after)
    models = opening("again").models
    for card, scale, read in (
        (before, before.scale("balanced"), before),
        (after, after.scale("balanced"), after),
        (before, "", after),  # nobody kept which: who reads now has the weights
        (before, "0" * 64, after),  # a card that is gone: who reads now, and that is told
    ):
        run = ModelRun(digest=card.weights_sha256, scale=scale, operating_point="balanced")
        (found,) = models.that_read([run])
        assert found.card.calibration == read.calibration


def test_cards_are_shown_and_compared(opening: Open, home: Path) -> None:
    opening()
    shown = command("show", "two")
    assert "Tiny 2 0.0.2 (all_conv), Apache-2.0" in shown
    assert "not for clinical use" in shown
    assert ", no exam is called; at most 0.1 false marks per image on phantom" in shown
    rows = json.loads(command("compare", "one", "two", "--json"))
    versions = next(row for row in rows if row["what"] == "version")
    assert (versions["one"], versions["other"]) == ("0.0.1", "0.0.2")
    assert any(row["what"].startswith("exam_auc, on ") for row in rows)
    card = load_card(home / "three")
    save_card(home / "three", card.model_copy(update={"metrics": []}))
    rows = json.loads(command("compare", "one", "three", "--json"))
    assert all(row["other"] == "-" for row in rows if row["what"].startswith("exam_auc, on "))
    spoiled(home / "three" / WEIGHTS)
    assert "UNSOUND" in command("list")
    assert CliRunner().invoke(app, ["models", "verify", "three"]).exit_code == 1
