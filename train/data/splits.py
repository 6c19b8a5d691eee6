"""Which patients teach, which steer, which are kept unseen: always whole patients."""

import itertools
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field


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


def overlapping(splits: Sequence[Seeds]) -> bool:
    """Tell whether any patient stands in two splits."""
    ordered = sorted((split.seeds for split in splits), key=lambda seeds: seeds.start)
    return any(one.stop > other.start for one, other in itertools.pairwise(ordered))
