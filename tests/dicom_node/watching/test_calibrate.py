"""`dicom-node calibrate`: a line from scores to outcomes, and nothing changed by it."""

import json
import sys
import tomllib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from came_in import came_in
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from small_images import mammogram
from sqlalchemy.orm import Session

from dicom_node import cli, logs
from dicom_node.analyzing.deciding import corrections
from dicom_node.errors import Misconfigured
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Case, ModelRun, Recall
from dicom_node.life import State
from dicom_node.settings.file import ENVIRONMENT_VARIABLE, Settings
from dicom_node.watching.outcomes import Fitted, Outcomes, fit, outcomes_in
from dicom_node.wiring import Node
from inference.bundle import Calibration
from inference.scores import sigmoid

TRUE_SLOPE, TRUE_INTERCEPT = 0.5, -1.0


def read(
    node: Node, scores: Sequence[float | None], *, scale: str | None = None, first: int = 0
) -> list[str]:
    """Write down results with these scores, one a study."""
    (card,) = node.cards
    scale = card.scale(None) if scale is None else scale
    names = [f"1.2.3.{first + number}" for number in range(len(scores))]
    with Session(node.engine) as session, session.begin():
        for name, score in zip(names, scores, strict=True):
            case = _case(name, 1)
            session.add(case)
            session.flush()
            session.add(_run(case.id, card.weights_sha256, score, scale))
    return names


def _case(name: str, round_: int) -> Case:
    return Case(
        study_uid=name, round=round_, state=State.DELIVERED, opened_at=now(), moved_at=now(),
        last_image_at=now(), due_at=now(),
    )  # fmt: skip


def _run(case_id: int, digest: str, score: float | None, scale: str = "") -> ModelRun:
    return ModelRun(
        case_id=case_id, system="shared_trunk", bundle="b", version="1", digest=digest, scale=scale,
        operating_point="balanced", code_version="1", settings_digest="0" * 64, device="cpu",
        seconds=1.0, cancer_score=score, card_score=score, findings_count=0, findings_path="x",
        findings_sha256="0" * 64, made_at=by_the_clock(),
    )  # fmt: skip


def drawn(count: int) -> tuple[list[float], list[bool]]:
    """Draw scores of a card that is too sure of itself, and what became of the exams."""
    dice = np.random.default_rng(5)
    logits = dice.normal(0, 3, count)
    cancers = [bool(dice.random() < sigmoid(TRUE_SLOPE * one + TRUE_INTERCEPT)) for one in logits]
    return [sigmoid(one) for one in logits], cancers


def _file(image: Dataset) -> bytes:
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    dcmwrite(buffer, image, enforce_file_format=True)
    return buffer.getvalue()


def outcomes(names: Sequence[str], cancers: Sequence[bool]) -> Outcomes:
    return Outcomes("study_uid", dict(zip(names, cancers, strict=True)), "0" * 64)


def fitted(node: Node, count: int = 400) -> Fitted:
    scores, cancers = drawn(count)
    return fit(node, outcomes(read(node, scores), cancers))


def test_the_line_is_found_and_says_on_what_it_rests(node: Node) -> None:
    found = fitted(node)
    assert found.slope.low < TRUE_SLOPE < found.slope.high
    assert found.intercept.low < TRUE_INTERCEPT < found.intercept.high
    assert found.slope.high - found.slope.low < 0.4
    assert found.cases == 400
    assert found.tells == pytest.approx(found.prevalence, abs=0.01)
    assert abs(found.told - found.prevalence) > 0.1
    assert found.fitted_on.startswith(f"400 exams, {found.cancers} with a cancer")


def test_what_it_prints_are_settings_and_the_trail_has_the_numbers(node: Node) -> None:
    found = fitted(node)
    settings = Settings.model_validate(tomllib.loads(found.table))
    (line,) = settings.analyzing.calibrations
    assert (line.slope, line.intercept) == (found.slope.value, found.intercept.value)
    assert line.digest == node.cards[0].weights_sha256
    assert line.scale == node.cards[0].scale(None)
    assert corrections(settings.analyzing, node.cards, "")[1] is not None
    (event,) = [one for one in node.questions.last_events(9) if one.what == "calibrated"]
    assert event.details["cases"] == 400
    assert event.details["slope"][0] == found.slope.value
    assert event.details["outcomes_sha256"] == "0" * 64


def test_too_few_outcomes_are_refused_with_what_was_left_out(node: Node) -> None:
    scores, cancers = drawn(40)
    names = read(node, scores)
    with pytest.raises(Misconfigured, match="needs 25 of each; 1 name no exam that was read"):
        fit(node, outcomes([*names, "9.9"], [*cancers, True]))
    assert all(one.what != "calibrated" for one in node.questions.last_events(9))


def test_scores_that_order_nothing_are_refused(node: Node) -> None:
    scores, _ = drawn(200)
    coin = [bool(one) for one in np.random.default_rng(1).integers(0, 2, 200)]
    with pytest.raises(Misconfigured, match="do not tell those with a cancer from the others"):
        fit(node, outcomes(read(node, scores), coin))


def test_only_results_that_stand_and_are_of_the_weights_of_today_count(node: Node) -> None:
    scores, cancers = drawn(300)
    names = read(node, scores)
    with Session(node.engine) as session, session.begin():
        again = _case(names[0], 2)  # a later round by other weights replaces the first
        session.add(again)
        session.flush()
        session.add(_run(again.id, "f" * 64, 0.5))
        session.add(
            Recall(
                case_id=2,
                code="113037",
                reason="safety",
                recalled_by="me@here",
                recalled_at=by_the_clock(),
            )
        )
    found = fit(node, outcomes(names, cancers))
    assert found.cases == 298
    assert found.left_out == {
        "name no exam that was read": 1,
        "were read by other weights than those that read now": 1,
    }


def test_scores_of_another_card_are_not_fitted_together_with_those_of_this_one(node: Node) -> None:
    scores, cancers = drawn(200)
    names = read(node, scores)
    (card,) = node.cards
    line = Calibration(slope=3.0, intercept=1.0)
    before = card.model_copy(update={"finding_calibration": line}).scale(None)
    names += read(node, [0.5] * 20, scale=before, first=200)
    names += read(node, [0.5] * 10, scale="", first=220)
    told = outcomes(names, [*cancers, *[True] * 30])
    found = fit(node, told)
    assert found.cases == 200
    assert found.left_out == {
        "have scores of another card of these weights, or of another operating point": 20,
        "were read by a node that did not keep yet on what their scores rest": 10,
    }
    with pytest.raises(Misconfigured, match="needs 25 of each"):
        fit(node, told, "quiet")
    with pytest.raises(Misconfigured, match="no operating point 'bold'"):
        fit(node, told, "bold")


def test_accession_numbers_are_looked_up_in_the_images(node: Node) -> None:
    scores, cancers = drawn(120)
    names = read(node, scores)
    for number, name in enumerate(names):
        image = mammogram()
        image.StudyInstanceUID, image.SOPInstanceUID = name, f"{name}.7"
        image.AccessionNumber = f"A{number // 2 if number < 2 else number}"
        came_in(node, image, _file(image), f"images/{number}.dcm", f"{number:064d}")
    told = Outcomes("accession", {f"A{n}": one for n, one in enumerate(cancers)}, "0" * 64)
    found = fit(node, told)
    assert found.cases == 118
    assert found.left_out["have an accession number that several studies have"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("uid,cancer\n1,1\n", "a column study_uid or accession"),
        ("study_uid,cancer\n1.2,perhaps\n", ":2: wanted: a study_uid, and 1 or 0"),
        ("study_uid;cancer\n1.2;1\n1.2;0\n", ":3: says the opposite"),
        ("", "a column study_uid or accession"),
    ],
)
def test_a_file_that_cannot_be_meant_so_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text(text)
    with pytest.raises(Misconfigured, match=said):
        outcomes_in(path)


def test_a_file_is_read_as_offices_write_it(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_bytes("\ufeffStudy_UID;Cancer;Remark\r\n1.2 ;Yes;x\r\n1.3;0;y\r\n".encode())
    assert outcomes_in(path).cancers == {"1.2": True, "1.3": False}


def test_the_command_answers_and_writes_the_table(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores, cancers = drawn(200)
    names = read(node, scores)
    rows = [f"{name},{int(one)}" for name, one in zip(names, cancers, strict=True)]
    (tmp_path / "o.csv").write_text("\n".join(["study_uid,cancer", *rows]))
    (tmp_path / "node.toml").write_text(f'[node]\ndata = "{node.settings.data}"\n')
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "node.toml"))
    monkeypatch.setattr(logs, "hush", lambda: None)

    def answer(*more: str) -> str:
        command = ["dicom-node", "calibrate", str(tmp_path / "o.csv"), *more]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            cli.run()
        assert not ended.value.code
        return capsys.readouterr().out

    shown = answer("--write", str(tmp_path / "line.toml"))
    assert "Nothing was changed" in shown
    assert (tmp_path / "line.toml").read_text() in shown
    assert json.loads(answer("--json"))["cases"] == 200
