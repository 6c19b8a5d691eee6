"""Which patients teach, which steer, which are kept unseen: always whole patients."""

import itertools
import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

PITCHES_MM = (0.025, 1.0)  # finest and coarsest pixels that a phantom can be imaged on

_NAMED = re.compile(r"phantom seeds (\d+) to (\d+)")


class Seeds(BaseModel):
    """A run of phantom patients."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    first_seed: int = Field(ge=0)
    studies: int = Field(ge=1)

    @property
    def seeds(self) -> range:
        """Return the patients' seeds."""
        return range(self.first_seed, self.first_seed + self.studies)

    def __str__(self) -> str:
        """Name them as a card does."""
        return f"phantom seeds {self.first_seed} to {self.first_seed + self.studies - 1}"


def named_in(text: str) -> list[Seeds]:
    """Return the runs of patients that a card's text names."""
    return [
        Seeds(first_seed=int(first), studies=int(last) - int(first) + 1)
        for first, last in _NAMED.findall(text)
    ]


def overlapping(splits: Sequence[Seeds]) -> bool:
    """Tell whether any patient stands in two splits."""
    ordered = sorted((split.seeds for split in splits), key=lambda seeds: seeds.start)
    return any(one.stop > other.start for one, other in itertools.pairwise(ordered))
