import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from inference.bundle import (
    CARD,
    WEIGHTS,
    Calibration,
    Card,
    Contract,
    DataSet,
    Measurement,
    OperatingPoint,
    Reference,
    Regression,
    Training,
    load_card,
    load_weights,
    save_bundle,
    seal_of,
    sealed,
)
from inference.errors import BadBundle
from inference.findings import Kind


def card(**changed: Any) -> Card:  # noqa: ANN401 - any field
    facts: dict[str, Any] = {
        "format": "fourviews-bundle-1",
        "system": "shared_trunk",
        "name": "A tiny one",
        "version": "0.1.0",
        "license": "Apache-2.0",
        "intended_use": 'tests, "only"\nsynthetic — Übung',
        "created": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "weights_sha256": "0" * 64,
        "default_operating_point": "balanced",
        "training": Training(
            recipe="tiny",
            recipe_sha256="1" * 64,
            data="none",
            studies=0,
            seed=1,
            steps=0,
            parameters=4,
            torch_version="2",
            code_version="0",
        ),
        "network": {"trunk": "resnet18", "width": 16, "nested": {"deep": [1, 2.5]}},
        "preparation": {"channels": ["mean", "max"]},
        "decision": {"extent": 0.5, "odd key": True},
        "calibration": Calibration(slope=1.5, intercept=-1e-7),
        "operating_points": {
            "balanced": OperatingPoint(finding_score=0.6, chosen_for="tests"),
            "quiet": OperatingPoint(finding_score=0.9, chosen_for="tests"),
        },
        "metrics": [
            Measurement(
                name=name, value=0.5, low=0.4, high=0.6, on="x", studies=2, images=8, rule="r"
            )
            for name in ("one", "two")
        ],
    }
    return Card(**facts | changed)


WEIGHT = {"a": torch.arange(4.0)}


def test_a_bundle_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = save_bundle(tmp_path / "new", card(), WEIGHT)
    loaded = load_card(tmp_path / "new")
    assert loaded == saved
    assert loaded.weights_sha256 != "0" * 64
    assert loaded.model_copy(update={"weights_sha256": "0" * 64}) == card()
    torch.testing.assert_close(load_weights(tmp_path / "new", loaded)["a"], WEIGHT["a"])


def test_a_card_without_measurements_comes_back_too(tmp_path: Path) -> None:
    save_bundle(tmp_path, card(metrics=[]), WEIGHT)
    assert load_card(tmp_path).metrics == []


def test_what_a_hospital_asks_comes_back_too(tmp_path: Path) -> None:
    told = card(
        limits=["Not for implants."],
        kinds=["mass"],
        data_sets=[
            DataSet(
                name="D",
                license="CC BY 4.0",
                sha256="2" * 64,
                patients=1,
                images=4,
                use="training",
                credit="A and B, 2017",
            )
        ],
        contract=Contract(spacing_mm=[0.05, 0.1], views=["LCC"], devices=["Maker Model"]),
        reference=Reference(on="x", exams=9, deciles=[part / 10 for part in range(1, 10)]),
        regression=Regression(
            seed=7, pitch_mm=0.2, pixels_sha256="3" * 64, tolerance=0.002, surest=[0.5, 0.0]
        ),
    )
    first = told.metrics[0].model_copy(update={"subgroup": "density d"})
    told = told.model_copy(update={"metrics": [first, told.metrics[1]]})
    saved = save_bundle(tmp_path, told, WEIGHT)
    assert load_card(tmp_path) == saved
    assert saved.metrics == told.metrics
    assert saved.marks == (Kind.MASS,)
    assert card().marks == (Kind.MASS, Kind.CALCIFICATION)
    text = (tmp_path / CARD).read_text(encoding="utf-8").partition("\n")[0]
    assert text.endswith(seal_of(tmp_path))


def test_deciles_that_fall_are_no_reference() -> None:
    with pytest.raises(ValidationError, match="in rising order"):
        Reference(on="x", exams=9, deciles=[0.5] * 8 + [0.4])


def test_changed_weights_are_refused_before_they_are_read(tmp_path: Path) -> None:
    saved = save_bundle(tmp_path, card(), WEIGHT)
    (tmp_path / WEIGHTS).write_bytes(b"not safetensors at all")
    with pytest.raises(BadBundle, match="install the bundle again"):
        load_weights(tmp_path, saved)


def test_weights_of_another_format_are_refused(tmp_path: Path) -> None:
    import hashlib

    stored = b"not safetensors at all"
    (tmp_path / WEIGHTS).write_bytes(stored)
    with pytest.raises(BadBundle, match="not a safetensors file"):
        load_weights(tmp_path, card(weights_sha256=hashlib.sha256(stored).hexdigest()))


def test_missing_files_are_said(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match=r"no card\.toml"):
        load_card(tmp_path)
    with pytest.raises(BadBundle, match=r"no weights\.safetensors"):
        load_weights(tmp_path, card())


def test_every_fault_of_a_card_is_said_at_once(tmp_path: Path) -> None:
    save_bundle(tmp_path, card(), WEIGHT)
    text = (tmp_path / CARD).read_text(encoding="utf-8")
    text = text.replace('version = "0.1.0"', "version = 1").replace("slope = 1.5", "slopes = 1.5")
    (tmp_path / CARD).write_text(text, encoding="utf-8")
    with pytest.raises(BadBundle) as refused:
        load_card(tmp_path)
    said = str(refused.value)
    for path in ("version", "calibration.slope:", "calibration.slopes"):
        assert f"card.toml: {path}" in said


@pytest.mark.parametrize("text", ["= nonsense", "\udcff"])
def test_a_card_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BadBundle, match="is not TOML"):
        load_card(tmp_path)


def test_the_default_operating_point_must_exist(tmp_path: Path) -> None:
    save_bundle(tmp_path, card(), WEIGHT)
    text = (tmp_path / CARD).read_text(encoding="utf-8")
    (tmp_path / CARD).write_text(text.replace('point = "balanced"', 'point = "loud"'), "utf-8")
    with pytest.raises(BadBundle, match="'loud', but operating_points has balanced, quiet"):
        load_card(tmp_path)


def test_operating_points_are_chosen_by_name() -> None:
    assert card().finding_score(None) == 0.6
    assert card().finding_score("quiet") == 0.9
    with pytest.raises(BadBundle, match="choose one of balanced, quiet"):
        card().finding_score("loud")


def test_the_listener_reads_cards_without_torch(tmp_path: Path) -> None:
    save_bundle(tmp_path, card(), WEIGHT)
    program = (
        "import sys; from pathlib import Path; "
        "import inference.findings, inference.mammogram, inference.reading; "
        "from inference.bundle import load_card; "
        f"load_card(Path({str(tmp_path)!r})); "
        "assert 'torch' not in sys.modules and 'safetensors.torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_card_reads_mammograms_unless_it_says_more(tmp_path: Path) -> None:
    assert card().reads == ["mammogram"]
    save_bundle(tmp_path, card(reads=["mammogram", "synthetic_2d"]), {"a": torch.zeros(1)})
    assert load_card(tmp_path).reads == ["mammogram", "synthetic_2d"]
    plain = (tmp_path / CARD).read_text()
    (tmp_path / CARD).write_text(plain.replace('"synthetic_2d"', '"tomosynthesis"'))
    with pytest.raises(BadBundle, match=r"reads.1: Input should be 'mammogram', 'synthetic_2d' or"):
        load_card(tmp_path)
    unsaid = plain.replace('reads = ["mammogram", "synthetic_2d"]\n', "")
    (tmp_path / CARD).write_text(sealed(unsaid))
    assert load_card(tmp_path).reads == ["mammogram"]
