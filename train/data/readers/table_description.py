"""How a data set with a table of its own is described: its columns, and what their words mean."""

import re
from typing import Literal

from pydantic import Field, model_validator

from train.data.readers import described
from train.data.readers.tables import Row, says_something

COLUMN = re.compile(r"\{([^{}]+)\}")
STEM = "image stem"  # in the path of a mask: the image's name without its ending
EDGES = ("left", "top", "right", "bottom")


class Words(described.Table):
    """A column that says yes or no in words of its own; another word is refused."""

    column: str
    yes: tuple[str, ...]
    no: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    side: str = ""  # a column that says which breast is meant; of the other one it says no

    def of(self, row: Row) -> bool | None:
        """Read it."""
        word = row[self.column]
        if word in self.yes:
            return True
        if word in self.no:
            return False
        if word in self.unknown or not says_something(word):
            return None
        raise row.refused(f"{self.column} is {word!r}, which the description does not explain")


class Regions(described.Table):
    """What a line says of lesions in its image."""

    # Four columns, or one with a list of boxes; the order says which number is which edge.
    box: tuple[str, str, str, str] | None = None
    boxes: str = ""
    order: tuple[str, str, str, str] = EDGES
    mask: described.Below = ""  # the path of an image
    kind: str = ""  # the column whose words `kinds` explains
    kinds: dict[str, described.Meaning] = Field(default_factory=dict)
    malignant: Words | None = None
    facts: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "Regions":
        if [self.box is not None, bool(self.boxes), bool(self.mask)].count(True) != 1:
            raise ValueError("one of box, boxes and mask has to say where they are")
        if sorted(self.order) != sorted(EDGES):
            raise ValueError(f"order has to name {', '.join(EDGES)}")
        if bool(self.kind) != bool(self.kinds):
            raise ValueError("kind and kinds belong together")
        return self


class TableDescription(described.Description):
    """What such a data set has to say of itself."""

    table: described.Below
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    # A path with columns in braces; with stars, all images that are found.
    image: described.Below = Field(min_length=1)
    partial: bool = False  # only some of the images are there
    columns: dict[Literal["patient", "side", "view", "split"], str] = Field(default_factory=dict)
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # which lines are of use
    cancer: Words | None = None
    region: Regions | None = None
    facts: dict[str, str] = Field(default_factory=dict)

    def needed(self) -> set[str]:
        """Return all columns that it names."""
        named = {*COLUMN.findall(self.image), *self.columns.values(), *self.where}
        named |= set(self.facts.values())
        region = self.region
        if region is not None:
            named |= {*(region.box or ()), region.boxes, region.kind, *region.facts.values()}
            named |= {*COLUMN.findall(region.mask)} - {STEM}
        for words in (self.cancer, region and region.malignant):
            named |= {words.column, words.side} if words else set()
        return named - {""}
