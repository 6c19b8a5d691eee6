"""A run that was killed, at whatever moment, ends as if it had not been."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_training import CUTS, options, small, stages

from train.average import Average
from train.engine import STATE, WEIGHTS, Run, fit
from train.errors import Refused, Unfinished
from train.run_folder import facts_of, measurements, require_finished

PROGRAM = Path(__file__).with_name("small_training.py")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute as the program does: how sums are split among threads changes their last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train without a break."""
    folder = tmp_path_factory.mktemp("whole")
    fit(small(), stages(), options(), Run(folder, "recipe"), lambda _: {"training": 0.0})
    return folder


def gone_on(folder: Path) -> None:
    fit(small(), stages(), options(), Run(folder, "recipe"), lambda _: {"training": 0.0})


def given_up(folder: Path, step: int) -> None:
    """Break off when this step is to be validated, before its state is kept."""

    class GivenUp(Exception):
        pass

    def validate(_: torch.nn.Module) -> dict[str, float]:
        if measurements(folder)[-1]["step"] == step:
            raise GivenUp
        return {"training": 0.0}

    with pytest.raises(GivenUp):
        fit(small(), stages(), options(), Run(folder, "recipe"), validate)


def without_time(folder: Path) -> list[dict[str, object]]:
    entries = measurements(folder)
    for entry in entries:
        entry.pop("seconds", None)
    return entries


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("cut", CUTS)
def test_a_killed_run_goes_on_to_the_very_same_weights(
    cut: str, whole: Path, tmp_path: Path
) -> None:
    ended = subprocess.run([sys.executable, PROGRAM, tmp_path, cut], check=False, timeout=500)
    assert ended.returncode == -signal.SIGKILL
    with pytest.raises(Unfinished, match="of 12 steps are done"):
        require_finished(tmp_path)
    gone_on(tmp_path)
    assert same(load_file(tmp_path / WEIGHTS), load_file(whole / WEIGHTS))
    assert without_time(tmp_path) == without_time(whole)
    assert [path.name for path in tmp_path.glob("*.part")] == []
    require_finished(tmp_path)


def test_a_run_tells_what_it_was_made_with_and_when_it_was_taken_up(
    whole: Path, tmp_path: Path
) -> None:
    given_up(tmp_path, 8)
    first = facts_of(tmp_path)
    assert first["weights_sha256"] is None
    assert "ended" not in first["sessions"][0]
    gone_on(tmp_path)
    told = facts_of(tmp_path)
    assert (told["seed"], told["steps"]) == (5, 12)
    assert [session["from_step"] for session in told["sessions"]] == [0, 6]
    assert told["sessions"][1]["to_step"] == 12
    assert told["sessions"][1]["began"] <= told["sessions"][1]["ended"]
    assert (told["sessions"][0]["device"], told["sessions"][0]["threads"]) == ("cpu", 1)
    assert len(told["sessions"][0]["code_sha256"]) == 64
    assert told["sessions"][0]["versions"]["torch"] in torch.__version__
    assert told["weights_sha256"] == facts_of(whole)["weights_sha256"]


def test_the_mean_of_the_weights_goes_on_too_and_is_what_is_validated_and_kept(
    tmp_path: Path,
) -> None:
    def trained(folder: Path, broken_off_at: int | None) -> dict[str, torch.Tensor]:
        seen: list[torch.Tensor] = []

        class GivenUp(Exception):
            pass

        def validate(network: torch.nn.Module) -> dict[str, float]:
            seen.append(network.state_dict()["body.0.weight"].clone())
            if measurements(folder)[-1]["step"] == broken_off_at:
                raise GivenUp
            return {}

        def train() -> None:
            network = small()
            fit(network, stages(), options(average=0.9), Run(folder, "recipe"), validate)
            own = network.state_dict()["body.0.weight"]
            kept = load_file(folder / WEIGHTS)
            assert torch.equal(seen[-1], kept["body.0.weight"])
            assert not torch.equal(own, kept["body.0.weight"])

        if broken_off_at is not None:
            with pytest.raises(GivenUp):
                train()
            broken_off_at = None
        train()
        return load_file(folder / WEIGHTS)

    whole = trained(tmp_path / "whole", None)
    assert same(trained(tmp_path / "broken", 8), whole)
    plain = Run(tmp_path / "plain", "recipe")
    fit(small(), stages(), options(), plain, lambda _: {})
    assert not same(load_file(plain.folder / WEIGHTS), whole)


def test_the_mean_reaches_further_back_with_every_step_until_it_is_told_not_to() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average = Average(network, 0.5)
    expected = 0.0
    for step, weight in enumerate([1.0, 2.0, 4.0, 8.0, 16.0] * 4):
        torch.nn.init.constant_(network.weight, weight)
        average.follow(network)
        keeps = min(0.5, (1 + step) / (10 + step))
        expected = keeps * expected + (1 - keeps) * weight
    with average.worn_by(network):
        assert network.weight.item() == pytest.approx(expected)
    assert network.weight.item() == 16


def test_a_finished_run_is_left_as_it_is(whole: Path) -> None:
    before = {path.name: path.read_bytes() for path in whole.iterdir() if path.is_file()}
    gone_on(whole)
    assert before == {path.name: path.read_bytes() for path in whole.iterdir() if path.is_file()}


def test_lost_weights_are_written_again_from_the_state(whole: Path) -> None:
    kept = (whole / WEIGHTS).read_bytes()
    (whole / WEIGHTS).write_bytes(b"something else")
    with pytest.raises(Refused, match="not what the run ended with"):
        require_finished(whole)
    gone_on(whole)
    assert (whole / WEIGHTS).read_bytes() == kept


def test_a_run_that_goes_on_otherwise_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given_up(tmp_path, 4)
    told = facts_of(tmp_path)
    told["sessions"][0]["code_sha256"] = "other"
    (tmp_path / "run.json").write_text(json.dumps(told))
    gone_on(tmp_path)
    assert "began with other code_sha256" in " ".join(capsys.readouterr().out.split())


def test_an_empty_folder_has_no_finished_run(tmp_path: Path) -> None:
    with pytest.raises(Unfinished, match="no step is done"):
        require_finished(tmp_path)


def test_a_damaged_state_and_a_foreign_one_are_refused(tmp_path: Path) -> None:
    run = Run(tmp_path, "recipe")
    (tmp_path / STATE).write_bytes(b"PK nothing that was ever kept")
    with pytest.raises(Refused, match="is damaged"):
        run.take_up(small(), torch.optim.AdamW(small().parameters()))
    torch.save({"done": 3, "optimizer": {}}, tmp_path / STATE)
    with pytest.raises(Refused, match="earlier version"):
        run.take_up(small(), torch.optim.AdamW(small().parameters()))


def test_a_file_is_no_run_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(Refused, match="is a file, and a run is a folder"):
        Run(tmp_path / "taken", "recipe")
    with pytest.raises(Refused, match="is a file, and a run is a folder"):
        Run(tmp_path / "taken" / "below", "recipe")
