"""The whole way: a recipe, a run, a bundle, a measurement."""

import json
from pathlib import Path

import numpy as np
import pytest
from came_in import received
from several import two_processes
from tiny_recipe import RECIPE
from typer.testing import CliRunner

from dicom_node.cli import app as service
from dicom_node.life import ANALYZE
from dicom_node.settings.file import load_settings
from dicom_node.wiring import Node, migrate
from dicom_node.worker import turns
from inference.analyzer import open_bundle
from inference.bundle import load_card
from inference.findings import Box, Finding, Kind, Mask
from inference.reading import exam as read_exam
from inference.systems.views import BOTH, Scope
from phantom.dicom import datasets
from phantom.study import study
from train.cli import app, main
from train.data.phantom import case
from train.errors import Refused
from train.evaluation import Lesion, SeenPatient, SeenView, as_in, compared, examined, seen
from train.figures import measured, unmeasured
from train.metrics.froc import Marked
from train.recipes.by_name import read_recipe
from train.recipes.shared_trunk import Recipe


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a tiny bundle through the commands, once."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "tiny.toml").write_text(RECIPE)
    options = ("--cache", folder / "cache", "--workers", 1, "--threads", 1)
    run("run", folder / "tiny.toml", "--run", folder / "run", *options)
    run("export", folder / "run", folder / "bundle", *options)
    return folder / "bundle"


@pytest.fixture(scope="module")
def two(bundle: Path) -> Path:
    """Train the same with two processes."""
    folder = bundle.parent
    command = ("-m", "train", "run", folder / "tiny.toml", "--into", folder / "two")
    printed = two_processes(*command, "--cache", folder / "cache", "--threads", 1)
    assert printed.count("trained: ") == 1
    return folder / "two"


def test_two_processes_train_by_the_same_command(bundle: Path, two: Path) -> None:
    one, other = (
        json.loads((run / "run.json").read_text()) for run in (bundle.parent / "run", two)
    )
    assert [session["processes"] for session in other["sessions"]] == [2]
    assert other["weights_sha256"] != one["weights_sha256"]
    assert other["data_sha256"] == one["data_sha256"]
    assert set(one["data_sha256"]) == {
        "phantom seeds 4 to 6, 160 x 80 at 1.6 mm",
        "phantom seeds 8 to 10, 160 x 80 at 1.6 mm",
    }
    assert len({*one["data_sha256"].values()}) == 2


def test_a_run_is_drawn_at_its_end_and_by_a_command(bundle: Path) -> None:
    folder = bundle.parent / "run"
    (folder / "losses.png").unlink()
    assert "losses.png" in run("plot", folder)
    for name in ("losses.png", "validation.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_a_recipe_becomes_a_bundle_whose_card_says_what_was_done(bundle: Path) -> None:
    card = load_card(bundle)
    assert (card.system, card.name, card.version) == ("shared_trunk", "Tiny", "0.0.1")
    assert card.training.steps == 5
    assert card.training.data == "phantom seeds 4 to 6, synthetic, at 0.8 mm"
    assert "not for clinical use" in card.intended_use
    names = list(card.operating_points)
    assert names[:3] == ["quiet", "balanced", "sensitive"]
    points = [card.operating_points[name].finding_score for name in names[:3]]
    assert points == sorted(points, reverse=True)
    on_exams = {name: card.operating_points[name].exam_score for name in names[3:]}
    assert all(score is not None for score in on_exams.values())
    assert all("seeds 8 to 10" in metric.on for metric in card.metrics)
    taught, steered = card.data_sets
    assert (taught.name, taught.use, taught.patients) == ("phantom seeds 4 to 6", "training", 3)
    assert (steered.name, steered.images) == ("phantom seeds 8 to 10", 12)
    assert card.contract is not None
    assert card.contract.views == ["LCC", "RCC", "LMLO", "RMLO"]
    assert card.regression is not None
    assert card.reference is None, "three patients say nothing of how scores are spread"


def test_an_evaluation_is_written_into_the_card(bundle: Path) -> None:
    before = load_card(bundle)
    evaluate = ("evaluate", bundle, "--studies", 2, "--first-seed", 30, "--pitch-mm", 0.8)
    shown = run(*evaluate, "--write", "--workers", 1, "--threads", 1)
    after = load_card(bundle)
    assert {metric.on for metric in after.metrics} == {"phantom seeds 30 to 31 at 0.8 mm, unseen"}
    whole = [metric for metric in after.metrics if metric.subgroup is None]
    assert {metric.images for metric in whole} == {8}
    assert {metric.subgroup for metric in after.metrics} >= {"CC", "MLO"}
    assert before.model_copy(update={"metrics": after.metrics}) == after
    assert "exam_auc" in shown


def test_the_workshop_and_the_node_see_the_same_in_the_same_patient(bundle: Path) -> None:
    analyzer = open_bundle(bundle)
    (ours,) = examined(analyzer.system, [9], 0.4, workers=1)
    patient = case(9, 0.4)
    exam = read_exam("1.2.3", datasets(study(9, pitch_mm=0.4)))
    theirs = analyzer.analyze(exam)
    assert theirs.cancer_score == pytest.approx(ours.score, abs=1e-4)
    for one, other in zip(ours.views, theirs.views, strict=True):
        assert other.cancer_score == pytest.approx(one.score, abs=1e-4)
    again = seen(analyzer.system, patient, exam)
    for one, other in zip(ours.views, again.views, strict=True):
        assert other.marked.found == pytest.approx(one.marked.found, abs=1e-4)
        assert other.marked.false == pytest.approx(one.marked.false, abs=1e-4)


def test_a_bundle_that_was_trained_here_is_activated_and_reads_a_study_in_the_node(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "node.toml"
    config.write_text(
        f'[node]\ndata = "{tmp_path / "data"}"\n[analyzing]\nthreads = 1\n'
        "[analyzing.accept]\nrows_min = 100\n"
    )
    monkeypatch.setenv("FOURVIEWS_CONFIG", str(config))
    node = Node(load_settings(config))
    migrate(node)
    read = turns(node)[ANALYZE]
    first, second = (
        received(node, datasets(study(seed, pitch_mm=0.4)), tmp_path / str(seed))
        for seed in (40, 41)
    )
    read(first)
    activated = CliRunner().invoke(service, ["models", "activate", str(bundle)])
    assert activated.exit_code == 0, activated.output
    assert "phantom 7 gets its scores" in activated.output
    read(second)  # the process that has run all the while
    (before, after) = (node.questions.run_of(case_id) for case_id in (first, second))
    assert before is not None
    assert after is not None
    assert (before.bundle, after.bundle) == ("Recall RetinaNet, CBIS-DDSM masses", "Tiny")
    assert after.digest == load_card(bundle).weights_sha256
    event = next(one for one in node.questions.events() if one.what == "model activated")
    assert event.details["old_digests"] == [before.digest]
    assert event.details["digests"] == [after.digest]
    node.engine.dispose()


def test_a_recipe_with_faults_is_refused_with_all_of_them(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(RECIPE.replace("width = 8", 'width = "8"').replace("extent", "extend"))
    result = CliRunner().invoke(app, ["run", str(wrong)])
    assert result.exit_code == 78
    for path in ("network.width", "decision.extent", "decision.extend"):
        assert f"wrong.toml: {path}: " in result.stderr


def test_patients_who_teach_do_not_steer(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(RECIPE.replace("first_seed = 8", "first_seed = 6"))
    result = CliRunner().invoke(app, ["run", str(wrong)])
    assert result.exit_code == 78
    assert "wrong.toml: data: " in result.stderr
    assert "share patients" in result.stderr


def test_what_the_user_can_put_right_needs_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["train", "evaluate", str(tmp_path)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 78
    assert "is no bundle" in capsys.readouterr().err


def test_the_shipped_recipe_is_a_recipe() -> None:
    text = Path("config/recipes/shared_trunk_phantom.toml").read_text(encoding="utf-8")
    recipe = read_recipe(text)
    assert isinstance(recipe, Recipe)
    assert recipe.preparation.channels == ("mean", "max")
    for course in recipe.stages:
        assert course.height_px <= recipe.preparation.height_px


def patients() -> list[SeenPatient]:
    sick = SeenPatient(
        "1",
        0.9,
        (
            SeenView(0.8, Marked((0.9, 0.3), (0.2,)), BOTH, (True, False), (Kind.MASS,), 2),
            SeenView(0.1, Marked((), ()), (), (), (), 0),
        ),
    )
    noisy = SeenPatient("2", 0.3, (SeenView(0.2, Marked((), (0.7,)), (), (), (), 0),))
    quiet = SeenPatient("3", 0.1, (SeenView(0.1, Marked((), ()), (), (), (), 0),))
    return [sick, noisy, quiet]


def test_patients_are_weighed_as_a_population_has_them() -> None:
    ill, noisy, quiet = as_in(patients(), cancers=0.1, benign=0.0)
    assert (ill.weight, noisy.weight, quiet.weight) == pytest.approx((0.3, 1.35, 1.35))
    figures = measured([ill, noisy, quiet], {"p": 0.5}, "tests", Scope(BOTH, BOTH))
    values = {metric.name: metric.value for metric in figures}
    # The healthy patient's false mark is one of 1.35 in 0.3 + 0.3 + 1.35 + 1.35 images.
    assert values["false_marks_per_image_p"] == pytest.approx(1.35 / 3.3, abs=1e-4)
    assert values["quiet_healthy_exams_p"] == 0.5


def test_a_population_that_these_patients_cannot_stand_for_is_refused() -> None:
    with pytest.raises(Refused, match="shows benign lesions only"):
        as_in(patients(), cancers=0.1, benign=0.1)


def test_every_figure_of_a_card_is_counted_as_its_rule_says() -> None:
    figures = measured(patients(), {"p": 0.5, "q": 0.8}, "tests", Scope(BOTH, BOTH))
    values = {metric.name: metric.value for metric in figures}
    assert values["exam_auc"] == 1
    assert values["image_auc"] == 1
    assert values["sensitivity_at_0.25_false_marks_per_image"] == 1
    assert values["sensitivity_p"] == 0.5
    assert values["cancer_sensitivity_p"] == 1
    assert values["false_marks_per_image_p"] == 0.25
    assert values["quiet_healthy_exams_p"] == 0.5
    assert values["false_marks_per_image_q"] == 0
    assert values["quiet_healthy_exams_q"] == 1
    assert values["mass_sensitivity_at_1_false_marks_per_image"] == 1


def test_a_system_is_measured_by_what_it_can_be_asked_for() -> None:
    box = Box(0, 0, 10, 10)
    lesions = [Lesion(box, Kind.MASS, malignant=False), Lesion(box, Kind.CALCIFICATION, True)]
    masses_only = compared(0.3, (), lesions, Scope((Kind.MASS,), (Kind.MASS,)))
    assert masses_only.marked == Marked((float("-inf"),), ())
    assert masses_only.malignant == (False,)
    assert masses_only.cancers == (Kind.CALCIFICATION,)
    one = SeenPatient("1", 0.3, (masses_only,))
    other = SeenPatient(
        "2", 0.5, (compared(0.5, (), [Lesion(box, Kind.MASS, True)], Scope((), BOTH)),)
    )

    def names(scope: Scope) -> set[str]:
        figures = measured([one, other], {"p": 0.5}, "tests", scope)
        return {figure.name for figure in figures} | set(
            unmeasured([one, other], {"p": 0.5}, scope)
        )

    of_exams = {"exam_auc", "exam_partial_auc", "exam_sensitivity_at_specificity_0.908"}
    assert names(Scope((), BOTH)) == {*of_exams, "image_auc"}
    assert "exam_auc_any_cancer" in names(Scope((Kind.MASS,), (Kind.MASS,)))
    blind = names(Scope(BOTH, ()))
    assert {"exam_auc_any_lesion", "image_auc_any_lesion"} <= blind
    assert not {*of_exams, "image_auc"} & blind


def test_outlines_are_compared_where_a_mark_finds_a_lesion() -> None:
    there, square_ = Box(10, 20, 20, 30), np.ones((10, 10), np.bool_)
    lesion = Lesion(there, Kind.MASS, malignant=True, mask=Mask(10, 20, square_))

    def mark(left: int, score: float, *, outlined: bool = True) -> Finding:
        mask = Mask(left, 20, square_) if outlined else None
        return Finding(Kind.MASS, Box(left, 20, left + 10, 30), score, None, mask, ("x",))

    both = Scope(BOTH, BOTH)
    half = compared(0.1, [mark(15, 0.9), mark(10, 0.5)], [lesion], both)
    assert half.overlaps == (0.5,)
    assert compared(0.1, [mark(10, 0.5)], [lesion], both).overlaps == (1.0,)
    assert compared(0.1, [mark(10, 0.5, outlined=False)], [lesion], both).overlaps == ()
    assert compared(0.1, [mark(60, 0.9)], [lesion], both).overlaps == ()
    patients_ = [
        SeenPatient("1", 0.1, (half,)),
        SeenPatient("2", 0.0, (compared(0, (), (), both),)),
    ]
    figures = {one.name: one.value for one in measured(patients_, {}, "tests", both)}
    assert figures["mask_dice"] == 0.5


def test_a_figure_without_a_value_is_left_out_and_the_reason_is_told() -> None:
    quiet = [one for one in patients() if one.healthy]
    figures = measured(quiet, {"p": 0.5}, "tests", Scope(BOTH, BOTH))
    assert {figure.name for figure in figures} == {
        "false_marks_per_image_p",
        "quiet_healthy_exams_p",
    }
    missing = unmeasured(quiet, {"p": 0.5}, Scope(BOTH, BOTH))
    assert missing["exam_auc"] == "exams with and without cancer"
    assert missing["cancer_sensitivity_p"] == "a mass or calcification that is malignant"
    assert missing["mass_sensitivity_at_1_false_marks_per_image"] == "a mass"
    sick = [one for one in patients() if not one.healthy]
    assert unmeasured(sick, {"p": 0.5}, Scope(BOTH, BOTH))["quiet_healthy_exams_p"] == (
        "an exam without any lesion"
    )
