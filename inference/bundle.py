"""A model as a folder: `weights.safetensors` and `card.toml`. No pickle, no exported graph.

The card is read without torch, so that the listener can name the model it answers for.
"""

import hashlib
import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inference import findings
from inference.errors import BadBundle
from inference.scores import Breast

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["mammogram", "synthetic_2d", "for_processing"]
MARKS = {  # what a system marks, where that is not both kinds; its own `Scope` says the same
    "all_conv": (),
    "ft_mtl": (findings.Kind.MASS,),
}
SCORES_REST_ON = {
    "system",
    "kinds",
    "weights_sha256",
    "network",
    "preparation",
    "decision",
    "aggregation",
}
CARD, WEIGHTS = "card.toml", "weights.safetensors"
SEAL = "# SHA-256 of all that follows: "
Settings = dict[str, Any]  # a table that the system itself checks when the bundle is opened


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Training(_Table):
    """Where the weights come from."""

    recipe: str
    recipe_sha256: str
    data: str
    studies: int
    seed: int
    steps: int
    parameters: int
    torch_version: str
    code_version: str
    begun_from: str = ""  # the bundle whose trunk this one's training began with


class Calibration(_Table):
    """Platt's line on the network's logit: probability = sigmoid(slope * logit + intercept)."""

    slope: float = Field(gt=0, allow_inf_nan=False)
    intercept: float = Field(allow_inf_nan=False)
    prevalence: float | None = Field(default=None, gt=0, lt=1)  # of cancer, in the exams it fits
    fitted_on: str | None = None  # which cases, how many, and how many of them positive

    def logit(self, raw: float) -> float:
        """Return the calibrated logit."""
        return self.slope * raw + self.intercept


class Aggregation(_Table):
    """How views make a breast: by the mean of their logits, or the highest. An exam is its worst.

    Whatever a site does to all scores alike commutes with both, so it never changes an order.
    """

    breast: Breast = "mean"


class OperatingPoint(_Table):
    """A named threshold on the score of a finding, and what it was chosen for.

    Where it was chosen on exams, an exam is called from `exam_score` on; a site's correction moves
    both the scores and this, so that the same exams are called.
    """

    finding_score: float = Field(ge=0, le=1)
    exam_score: float | None = Field(default=None, ge=0, le=1)
    chosen_for: str


class Measurement(_Table):
    """One measured number, with its 95 % interval, and what was counted how."""

    name: str
    value: float
    low: float
    high: float
    on: str  # which studies
    studies: int
    images: int
    rule: str
    subgroup: str | None = None  # of them alone, as "density d"; None: all


class DataSet(_Table):
    """What taught, or steered: a data set, its terms, and exactly what was taken of it."""

    name: str
    license: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")  # of the list of what was taken
    patients: int
    images: int
    use: str  # "training", "validation", ...
    credit: str = ""  # whom to name, where the terms ask for it


class Contract(_Table):
    """What the images were like that the weights have learned from."""

    spacing_mm: list[float] = Field(min_length=2, max_length=2)  # the finest and the coarsest
    views: list[str]  # as "LCC"
    devices: list[str] = []  # manufacturer and model; empty: not known
    remarks: str = ""


class Reference(_Table):
    """How cancer scores of exams were spread where the card was made, to see others drift away."""

    on: str  # which exams
    exams: int = Field(ge=1)
    deciles: list[float] = Field(min_length=9, max_length=9)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.deciles != sorted(self.deciles) or not all(0 <= one <= 1 for one in self.deciles):
            raise ValueError("the deciles are scores of 0 to 1, in rising order")
        return self


class Regression(_Table):
    """A phantom, and what the bundle says of it: elsewhere, and later, it has to say the same."""

    seed: int
    pitch_mm: float
    pixels_sha256: str = Field(pattern="^[0-9a-f]{64}$")  # of the phantom's views
    tolerance: float = Field(gt=0)  # of each score
    cancer_score: float | None = None  # of the exam; None: the system does not judge
    surest: list[float]  # the surest finding of each view, 0 where there is none


class Card(_Table):
    """What is known of a model; `network`, `preparation` and `decision` are its system's."""

    format: Literal["fourviews-bundle-1"]
    system: str
    name: str
    version: str
    license: str
    intended_use: str
    # What the system's code can take, and these weights have learned from. A synthetic 2D image
    # comes from a tomosynthesis; a volume itself is read by no system here.
    reads: list[Kind] = Field(default=["mammogram"], min_length=1)
    created: datetime
    # Kinds of lesions that these weights learned to mark; empty: all that the system can.
    kinds: list[Literal["mass", "calcification"]] = []
    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    default_operating_point: str
    training: Training
    network: Settings
    preparation: Settings
    decision: Settings
    calibration: Calibration | None = None  # None: the system does not judge cancer
    # From how surely a finding is a malignant lesion to how likely it is a cancer: the scale of
    # `calibration`. None: the findings' cancer scores are the network's own.
    finding_calibration: Calibration | None = None
    aggregation: Aggregation = Aggregation()
    operating_points: dict[str, OperatingPoint]
    metrics: list[Measurement]
    limits: list[str] = []  # what it is not for, and where it is known to fail, a sentence each
    data_sets: list[DataSet] = []
    contract: Contract | None = None
    reference: Reference | None = None
    regression: Regression | None = None

    @model_validator(mode="after")
    def _default_exists(self) -> Self:
        if self.default_operating_point not in self.operating_points:
            raise ValueError(
                f"default_operating_point is {self.default_operating_point!r}, "
                f"but operating_points has {', '.join(self.operating_points) or 'none'}"
            )
        return self

    @property
    def marks(self) -> tuple[findings.Kind, ...]:
        """Tell which kinds of lesions are marked, without opening the bundle."""
        able = MARKS.get(self.system, tuple(findings.Kind))
        return tuple(kind for kind in able if not self.kinds or kind in self.kinds)

    def scale(self, operating_point: str | None) -> str:
        """Name all that the scores rest on which this card gives: its tables and its weights.

        Cards of one scale give the same exam the same score, before any correction of a site. How
        they were measured, and from where on an exam is called, is no part of it.
        """
        rests = self.model_dump(mode="json", include=SCORES_REST_ON)
        for name in ("calibration", "finding_calibration"):
            line: Calibration | None = getattr(self, name)
            rests[name] = None if line is None else [line.slope, line.intercept]
        rests["finding_score"] = self.finding_score(operating_point)  # what is no mark has no score
        return hashlib.sha256(json.dumps(rests, sort_keys=True).encode()).hexdigest()

    @property
    def judges(self) -> bool:
        """Tell whether the system judges cancer."""
        return self.calibration is not None

    def finding_score(self, operating_point: str | None) -> float:
        """Return the threshold of a named operating point, by default the card's own."""
        name = operating_point or self.default_operating_point
        if name not in self.operating_points:
            raise BadBundle(
                f"{self.name} {self.version} has no operating point {name!r}: "
                f"choose one of {', '.join(self.operating_points)}"
            )
        return self.operating_points[name].finding_score


def load_card(folder: Path) -> Card:
    """Read and check a bundle's card; no weight is touched."""
    path = folder / CARD
    try:
        text = path.read_bytes().decode("utf-8")
        card = Card.model_validate(tomllib.loads(text))
    except FileNotFoundError as fault:
        raise BadBundle(f"{folder} is no bundle: it has no {CARD}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BadBundle(f"{path} is not TOML: {fault}") from fault
    except ValidationError as error:
        raise BadBundle("\n".join(faults(str(path), error))) from error
    if text != sealed(text):
        raise BadBundle(
            f"{path} was changed after it was written: install the bundle again. If you meant it, "
            f"make its first line {sealed(text).splitlines()[0]}"
        )
    return card


def joint_digest(digests: Sequence[str]) -> str:
    """Name the weights of one bundle, or of several in their order."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def sealed(text: str) -> str:
    """Begin a card with its digest: whoever changes a threshold has to mean it."""
    if text.startswith(SEAL):
        text = text.partition("\n")[2]
    return f"{SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def seal_of(folder: Path) -> str:
    """Return the digest that a card begins with; it covers the digest of the weights too."""
    with (folder / CARD).open(encoding="utf-8") as lines:
        return lines.readline().removeprefix(SEAL).strip()


def verified_weights(folder: Path, card: Card) -> bytes:
    """Return the weights' file, once its digest is the card's; no torch is needed."""
    path = folder / WEIGHTS
    try:
        stored = path.read_bytes()
    except FileNotFoundError as fault:
        raise BadBundle(f"{folder} is no whole bundle: it has no {WEIGHTS}") from fault
    digest = hashlib.sha256(stored).hexdigest()
    if digest != card.weights_sha256:
        raise BadBundle(
            f"{path} has the SHA-256 {digest}, but its card says {card.weights_sha256}: "
            "the files do not belong together, or were damaged; install the bundle again"
        )
    return stored


def load_weights(folder: Path, card: Card) -> "dict[str, Tensor]":
    """Read the weights, once they are verified."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    stored = verified_weights(folder, card)
    try:
        return load(stored)
    except SafetensorError as fault:
        raise BadBundle(f"{folder / WEIGHTS} is not a safetensors file: {fault}") from fault


def save_bundle(folder: Path, card: Card, weights: "Mapping[str, Tensor]") -> Card:
    """Write a bundle; the card that is written, and returned, carries the weights' digest."""
    from safetensors.torch import save

    stored = save({name: tensor.contiguous() for name, tensor in weights.items()})
    card = card.model_copy(update={"weights_sha256": hashlib.sha256(stored).hexdigest()})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(stored)
    save_card(folder, card)
    return card


def save_card(folder: Path, card: Card) -> None:
    """Write the card alone, as after a measurement."""
    text = as_toml(card.model_dump())
    (folder / CARD).write_bytes(sealed(text).encode())


def as_toml(table: Mapping[str, Any]) -> str:
    """Write tables as TOML has them; what is None is left out."""
    return "".join(_toml(table, ())).lstrip("\n")


def faults(where: str, error: ValidationError) -> list[str]:
    """Say everything that is wrong, one line each: file: key.path: what."""
    return [
        f"{where}: {_path(fault['loc']) or 'as a whole'}: {fault['msg']}"
        for fault in error.errors()
    ]


def _path(places: tuple[int | str, ...]) -> str:
    """Name a key as the file has it: which form of a table was meant, in parentheses, is no key."""
    return ".".join(str(place) for place in places if not str(place).startswith("("))


def _toml(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Write a table as TOML: its plain values first, then the tables inside it."""
    if path:
        yield f"\n[{'.'.join(map(_key, path))}]\n"
    inner: list[tuple[str, Any]] = []
    for name, value in table.items():
        if isinstance(value, Mapping) or (value and _is_tables(value)):
            inner.append((name, value))
        elif value is not None:
            yield f"{_key(name)} = {_value(value)}\n"
    for name, value in inner:
        if isinstance(value, Mapping):
            yield from _toml(value, (*path, name))
            continue
        for item in value:
            yield f"\n[[{'.'.join(map(_key, (*path, name)))}]]\n"
            for inner_name, inner_value in item.items():
                if inner_value is not None:
                    yield f"{_key(inner_name)} = {_value(inner_value)}\n"


def _is_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else json.dumps(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(str(value), ensure_ascii=False)
