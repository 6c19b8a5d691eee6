"""The losses of the papers."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

_MOST = 100.0  # inverse frequency unbounded would let a handful of pixels rule a step


def class_weights(pixels: NDArray[np.int64]) -> Tensor:
    """Weigh classes by the root of their inverse frequency, at most 100.

    Le, section 2, asks for weights against the dominance of healthy pixels and leaves the formula
    open.
    """
    frequency = pixels / pixels.sum()
    weights = np.sqrt(1 / np.maximum(frequency, 1e-12))
    return torch.from_numpy(np.minimum(weights, _MOST).astype(np.float32))


def segmentation(
    pixels: Tensor, labels: Tensor, weights: Tensor, outlined: Sequence[bool] = ()
) -> Tensor:
    """Return the weighted cross entropy of B K H W logits.

    Of a picture that is not outlined nobody knows what its unmarked pixels show: it has no part.
    """
    if not all(outlined):
        known = torch.tensor(list(outlined), device=pixels.device)
        if not known.any():
            return pixels.sum() * 0
        pixels, labels = pixels[known], labels[known]
    return F.cross_entropy(pixels, labels, weights)


def classification(cancer: Tensor, truth: Tensor) -> Tensor:
    """Return the binary cross entropy of B logits."""
    return F.binary_cross_entropy_with_logits(cancer, truth)


def joint(cls: Tensor, seg: Tensor, share: float) -> dict[str, Tensor]:
    """Return both parts of Le's equation 1, weighted: share * cls + (1 - share) * seg."""
    return {"classification": share * cls, "segmentation": (1 - share) * seg}
