"""Every key of every recipe is explained on the page about recipes, in its system's section."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from train.recipes.by_name import RECIPES, read_recipe
from train.recipes.recipe import Common, Course

PAGE = Path("docs/recipes.md").read_text(encoding="utf-8")
SECTIONS = dict(zip(*[iter(re.split(r"^## (.*)$", PAGE, flags=re.MULTILINE)[1:])] * 2, strict=True))
SHARED = {*Common.model_fields, *Course.model_fields}
SHIPPED = sorted(Path("config/recipes").glob("*.toml"))


def keys(model: type[BaseModel], table: str = "") -> Iterator[tuple[str, str]]:
    """List a recipe's keys with the table that each stands in."""
    for key, field in model.model_fields.items():
        inner = list(_models(field.annotation))
        for one in inner:
            yield from keys(one, f"{table}.{key}".strip("."))
        if not inner:
            yield table, key


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


@pytest.mark.parametrize("system", RECIPES)
def test_every_key_is_explained(system: str) -> None:
    text = SECTIONS["Every recipe"] + SECTIONS[system]
    assert [f"[{t}] {k}" for t, k in keys(RECIPES[system]) if f"`{k}`" not in text] == []


@pytest.mark.parametrize("system", RECIPES)
def test_what_only_one_system_has_stands_in_its_own_section(system: str) -> None:
    others = {k for name, one in RECIPES.items() if name != system for _, k in keys(one)}
    own = {k for _, k in keys(RECIPES[system])} - others - SHARED
    assert own, "a system without a key of its own needs no recipe of its own"
    assert [key for key in sorted(own) if f"`{key}`" not in SECTIONS[system]] == []


def test_no_key_is_explained_that_is_not_there() -> None:
    known = {key for one in RECIPES.values() for _, key in keys(one)}
    known |= {
        part for one in RECIPES.values() for table, _ in keys(one) for part in table.split(".")
    }
    first_cells = re.findall(r"^\| ((?:`[^`]+`(?:, | )?)+)", PAGE, re.MULTILINE)
    said = {word for cell in first_cells for word in re.findall(r"`([a-z_]+)`", cell)}
    assert said - known == set()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_can_be_read_and_is_named_on_the_page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert read_recipe(text).system == tomllib.loads(text)["system"]
    assert f"`{path.name}`" in PAGE
