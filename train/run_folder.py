"""A run's folder: recipe, where the result comes from, measurements, weights, and the state."""

import hashlib
import json
import os
import pickle
import platform
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import inference
import phantom
import train
from train.average import Average
from train.errors import OtherRecipe, Refused, Unfinished

RECIPE, METRICS, WEIGHTS, STATE = "recipe.toml", "metrics.jsonl", "weights.safetensors", "state.pt"
FACTS = "run.json"

Facts = dict[str, Any]  # as JSON has them

# What may differ when a run goes on, and makes its result another one than that of one go.
_SAME = ("device", "processes", "threads", "code_sha256", "versions")


class Run:
    """A run folder: the recipe, the weights, the measurements, and the state to go on from.

    The state is one file that replaces the one before it: killed at any moment, a run has a whole
    state, whose network and optimizer are of the same step. The weights' file is a copy for others
    to read; it belongs to the end of the run when `run.json` states its digest.
    """

    def __init__(self, folder: Path, recipe: str) -> None:
        self.folder = folder
        self.recipe_sha256 = hashlib.sha256(recipe.encode()).hexdigest()
        kept = folder / RECIPE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not kept.exists() or not _begun(folder):
                _written(kept, lambda path: path.write_text(recipe, encoding="utf-8"))
        except (FileExistsError, NotADirectoryError) as fault:
            raise Refused(f"{folder} is a file, and a run is a folder: choose another") from fault
        except OSError as fault:
            raise Refused(f"{folder} cannot hold a run: {fault.strerror}") from fault
        if kept.read_text(encoding="utf-8") != recipe:
            raise OtherRecipe(
                f"{folder} holds a run of another recipe: choose another folder, or remove it"
            )

    def part(self, name: str) -> "Run":
        """Return the folder of one of several networks that one recipe trains."""
        return Run(self.folder / name, (self.folder / RECIPE).read_text(encoding="utf-8"))

    def note(self, **facts: object) -> None:
        """Add a line to the run's measurements."""
        with (self.folder / METRICS).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(facts) + "\n")

    def forget_after(self, done: int) -> None:
        """Drop what a killed process left: half a file, and steps that are taken again."""
        for part in self.folder.glob("*.part"):
            part.unlink()
        path = self.folder / METRICS
        if path.exists():
            kept = [entry for entry in measurements(self.folder) if entry.get("step", 0) <= done]
            text = "".join(json.dumps(entry) + "\n" for entry in kept)
            _written(path, lambda part: part.write_text(text, encoding="utf-8"))

    def keep(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        done: int,
        average: Average | None = None,
    ) -> None:
        """Keep what the next step needs, and a copy of the weights."""
        state = {
            "done": done,
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        if average is not None:
            state["average"] = average.state()
        _written(self.folder / STATE, lambda path: torch.save(state, path))
        self._keep_weights(network, average)

    def take_up(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: Average | None = None,
    ) -> int:
        """Load what was kept and return how many steps are done; 0 for a new run."""
        state = _state(self.folder)
        if not state:
            return 0
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        if average is not None:
            average.go_on(**state["average"])
        return int(state["done"])

    def begin(self, *, seed: int, steps: int, done: int, device: str, processes: int) -> list[str]:
        """Note with what the run goes on; return what is other than when it began."""
        kept = (self.folder / RECIPE).read_bytes()
        if hashlib.sha256(kept).hexdigest() != self.recipe_sha256:
            raise OtherRecipe(f"{self.folder} was taken by another recipe: choose another folder")
        session = {
            "began": _now(),
            "from_step": done,
            "device": _named(torch.device(device)),
            "processes": processes,
            "threads": torch.get_num_threads(),
            "code_sha256": code_sha256(),
            "versions": _versions(),
        }
        sessions = [*facts_of(self.folder).get("sessions", ()), session]
        self.tell(
            recipe_sha256=self.recipe_sha256,
            seed=seed,
            steps=steps,
            sessions=sessions,
            weights_sha256=None,
        )
        return [name for name in _SAME if sessions[0][name] != session[name]]

    def end(self, network: nn.Module, done: int, average: Average | None = None) -> None:
        """Note that the run came to its end, and with which weights."""
        self._keep_weights(network, average)
        *before, last = facts_of(self.folder)["sessions"]
        if "ended" not in last:
            last |= {"ended": _now(), "to_step": done}
        self.tell(
            sessions=[*before, last],
            weights_sha256=_digest(self.folder / WEIGHTS),
        )

    def tell(self, **facts: object) -> None:
        """Add to what `run.json` says, or say it anew."""
        text = json.dumps(facts_of(self.folder) | facts, indent=2) + "\n"
        _written(self.folder / FACTS, lambda path: path.write_text(text, encoding="utf-8"))

    def weights(self) -> dict[str, Tensor]:
        """Load the weights with which the run came to its end."""
        require_finished(self.folder)
        return load_file(self.folder / WEIGHTS)

    def _keep_weights(self, network: nn.Module, average: Average | None) -> None:
        """Write the weights to be used: the mean, where one was kept."""
        with nullcontext() if average is None else average.worn_by(network):
            tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
            _written(self.folder / WEIGHTS, lambda path: save_file(tensors, path))


def _begun(folder: Path) -> bool:
    """Tell whether a step may rest on the recipe; a start that was refused has made none."""
    return any(path.name in {STATE, METRICS, FACTS} for path in folder.rglob("*"))


def require_finished(folder: Path) -> None:
    """Refuse a folder unless its run, or each of the runs inside it, came to its end."""
    runs = [path.parent for path in sorted(folder.rglob(FACTS)) if "steps" in facts_of(path.parent)]
    if not runs:
        _state(folder)  # says if an earlier version was here
        raise Unfinished(f"{folder}: no step is done; train it with `train run`")
    for run in runs:
        facts = facts_of(run)
        if facts["weights_sha256"] is None:
            raise Unfinished(
                f"{run}: {_state(run).get('done', 0)} of {facts['steps']} steps are done; "
                "go on with `train run`"
            )
        if facts["weights_sha256"] != _digest(run / WEIGHTS):
            raise Refused(
                f"{run / WEIGHTS} is not what the run ended with, by its digest in {FACTS}: "
                "`train run` writes it again"
            )


def facts_of(folder: Path) -> Facts:
    """Return what `run.json` says; nothing where there is none."""
    path = folder / FACTS
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def measurements(folder: Path) -> list[Facts]:
    """Return the lines of a run's measurements; one that was cut off is none."""
    return list(_lines(folder / METRICS))


@cache
def code_sha256() -> str:
    """Return the digest of all code that a result may depend on."""
    digest = hashlib.sha256()
    for package in (inference, phantom, train):
        top = Path(next(iter(package.__path__)))
        for path in sorted(top.rglob("*.py")):
            digest.update(path.relative_to(top.parent).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _state(folder: Path) -> dict[str, Any]:
    path = folder / STATE
    if not path.exists():
        return {}
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as fault:
        raise Refused(f"{path} is damaged: remove {folder}, and train again") from fault
    if "network" not in state:
        raise Refused(
            f"{folder} was begun by an earlier version, which kept its state otherwise: "
            "choose another folder, or remove it"
        )
    return state


def _lines(path: Path) -> Iterator[Facts]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def _written(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all; processes that write at once do not mix."""
    begun = path.with_name(f"{path.name}.{os.getpid()}.part")
    write(begun)
    with begun.open("rb+") as file:
        os.fsync(file.fileno())
    begun.replace(path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _named(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _versions() -> dict[str, str]:
    names = ("fourviews", "torch", "torchvision", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in names}
