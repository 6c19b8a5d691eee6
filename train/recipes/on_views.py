"""What stages that learn from views have in common: what they draw, and how large."""

from collections.abc import Callable
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from train.data.augment import Augmentation, Batch, Draw, Pool, drawn, require_drawable
from train.recipes.recipe import Course, at_most_all


class OnViews(Course):
    """A stage on whole views, or on windows of them."""

    batch: int = Field(ge=1)
    height_px: int = Field(ge=32)
    width_px: int = Field(ge=32)
    centered: bool  # on a lesion where there is one
    cancers: float = Field(ge=0, le=1)
    benign: float = Field(ge=0, le=1)  # benign lesions only

    @model_validator(mode="after")
    def _are_parts(self) -> Self:
        return at_most_all(self, self.cancers, self.benign)

    def drawing(
        self, lot: Pool, change: Augmentation, device: str
    ) -> Callable[[np.random.Generator], Batch]:
        """Return how a step's batch is drawn."""
        require_drawable(
            lot,
            cancers=self.cancers,
            benign=self.benign,
            stage=self.name,
            keys=("cancers", "benign"),
        )
        draw = Draw(
            size=self.batch,
            height_px=self.height_px,
            width_px=self.width_px,
            cancers=self.cancers,
            benign=self.benign,
            centered=self.centered,
        )

        def batch(rng: np.random.Generator) -> Batch:
            return drawn(lot, draw, change, rng).to(device)

        return batch
