"""The recipes by the name of their system."""

import tomllib

from pydantic import BaseModel, ConfigDict, Field

from train.recipes import all_conv, deeplima, ft_mtl, recall_retina, shared_trunk
from train.recipes.recipe import Common

RECIPES: dict[str, type[Common]] = {
    "all_conv": all_conv.Recipe,
    "deeplima": deeplima.Recipe,
    "ft_mtl": ft_mtl.Recipe,
    "recall_retina": recall_retina.Recipe,
    "shared_trunk": shared_trunk.Recipe,
}


class _Named(BaseModel):
    """A recipe of which only the system is looked at."""

    model_config = ConfigDict(extra="ignore")

    system: str = Field(pattern=f"^({'|'.join(RECIPES)})$")


def read_recipe(text: str) -> Common:
    """Read a recipe; pydantic and tomllib say what is wrong with it."""
    table = tomllib.loads(text)
    return RECIPES[_Named.model_validate(table).system].model_validate(table)
