"""A table of a recipe."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of a recipe: a key that it does not know is a mistake."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
