"""What an experiment is: a recipe, a scale, and rows that each change a few of its keys."""

import copy
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inference.bundle import as_toml, faults, load_card
from inference.findings import Kind
from train.data.splits import Seeds, overlapping
from train.errors import Refused
from train.export import seen_by
from train.recipes.by_name import read_recipe
from train.recipes.patients import Phantoms
from train.recipes.recipe import Common

MEASURES = (
    "image_auc",
    "exam_auc",
    "mean_dice",
    "mask_dice",
    "average_precision_0.2",
    "average_precision_0.5",
    "recall_0.2",
)
SENSITIVITY = r"(?:(mass|calcification)_)?sensitivity_at_(\d+(?:\.\d+)?)"
_MEASURE = f"^(?:{'|'.join(name.replace('.', r'[.]') for name in MEASURES)}|{SENSITIVITY})$"

Hit = Literal["usual", "overlap", "prediction"]
Measure = Annotated[str, Field(pattern=_MEASURE)]
Keys = dict[str, Any]  # of a recipe, as it has them: tables in tables


class _Told(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Row(_Told):
    """One row of the table."""

    title: str
    of: str = ""  # another row: its weights are read again, by another decision
    recipe: Keys = {}  # what this row says otherwise
    without: Annotated[tuple[str, ...], Field(strict=False)] = ()  # keys that it does not have
    paper: dict[Measure, float] = {}  # what the paper measured
    unmeasured: Annotated[tuple[Measure, ...], Field(strict=False)] = ()  # what it never learned


class Plan(_Told):
    """An experiment's file."""

    paper: str
    page: str  # docs/papers/PAGE.md holds the table
    recipe: Path = Field(strict=False)
    reference: str  # the row that the others are compared with
    seeds: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]
    held_out: Seeds
    measures: Annotated[tuple[Measure, ...], Field(strict=False, min_length=1)]
    # Of lesions and marks, these alone count.
    marks: Annotated[tuple[Annotated[Kind, Field(strict=False)], ...], Field(strict=False)] = tuple(
        Kind
    )
    hit: Hit = "usual"  # which marks find a lesion
    scale: Keys = {}  # what all rows say otherwise than the recipe
    rows: dict[str, Row] = Field(min_length=1)

    @model_validator(mode="after")
    def _rows_are_there(self) -> Self:
        named = [self.reference, *(row.of for row in self.rows.values() if row.of)]
        if absent := [name for name in named if name not in self.rows]:
            raise ValueError(f"there is no row {absent[0]!r}, only {', '.join(self.rows)}")
        if nested := [row.of for row in self.rows.values() if row.of and self.rows[row.of].of]:
            raise ValueError(f"row {nested[0]!r} has no weights of its own to be read again")
        return self

    def recipe_of(self, name: str, seed: int) -> str:
        """Write out the recipe of a row."""
        row = self.rows[name]
        table = tomllib.loads(self.recipe.read_text(encoding="utf-8"))
        table = merged(merged(table, self.scale, "scale"), row.recipe, f"rows.{name}.recipe")
        for key in row.without:
            _leave_out(table, key.split("."), f"rows.{name}.without: {key}")
        return as_toml(table | {"seed": seed})

    def course(self, name: str, seed: int) -> Common:
        """Read the recipe of a row, and see that its patients are not those held out."""
        where = f"row {name}"
        try:
            course = read_recipe(self.recipe_of(name, seed))
        except ValidationError as error:
            raise Refused("\n".join(faults(where, error))) from error
        if not isinstance(course.data, Phantoms):
            raise Refused(f"{where} learns from a data set; experiments are made on phantoms")
        known = [course.data.training, course.data.validation]
        if course.begin is not None:
            known += seen_by(load_card(course.begin.bundle))
        for seeds in known:
            if overlapping([seeds, self.held_out]):
                raise Refused(f"{where} has seen {seeds}: hold out others than {self.held_out}")
        return course


def read_plan(path: Path) -> Plan:
    """Read an experiment's file; all that is wrong with it is said at once."""
    try:
        return Plan.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as fault:
        raise Refused(f"there is no experiment {path}") from fault
    except tomllib.TOMLDecodeError as fault:
        raise Refused(f"{path} is not TOML: {fault}") from fault
    except ValidationError as error:
        raise Refused("\n".join(faults(str(path), error))) from error


def merged(table: Mapping[str, Any], change: Mapping[str, Any], where: str) -> Keys:
    """Lay changed keys over a recipe's; of a list of tables, those of the names that are given."""
    result: Keys = copy.deepcopy(dict(table))
    for key, value in change.items():
        old = result.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            result[key] = merged(old, value, f"{where}.{key}")
        elif isinstance(value, Mapping) and isinstance(old, list):
            result[key] = _merged_list(old, value, f"{where}.{key}")
        else:
            result[key] = copy.deepcopy(value)
    return result


def _merged_list(tables: Sequence[Keys], change: Mapping[str, Any], where: str) -> list[Keys]:
    names = [table.get("name") for table in tables]
    if absent := [name for name in change if name not in names]:
        raise Refused(f"{where}.{absent[0]}: no table of the recipe has this name")
    return [merged(table, change.get(table.get("name", ""), {}), where) for table in tables]


def _leave_out(table: Keys, path: Sequence[str], where: str) -> None:
    first, *rest = path
    inner = table.get(first)
    if inner is None:
        raise Refused(f"{where}: the recipe does not have it")
    if not rest:
        del table[first]
    elif isinstance(inner, list):
        names = [one.get("name") for one in inner]
        if rest[0] not in names or rest[1:]:
            raise Refused(f"{where}: no table of the recipe has this name")
        del inner[names.index(rest[0])]
    else:
        _leave_out(inner, rest, where)
