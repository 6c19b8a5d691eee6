"""What all-convolutional readers learn from, by which losses, and how well (Shen, section 3.1)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from inference.networks.all_conv import PatchNet, Reading
from inference.networks.trunks import channels_last
from train.data.lesson import Lesson
from train.data.patches import Change, Patch, cut
from train.errors import Refused
from train.metrics.auc import auc

_STILL = Change(turn_deg=0, zoom=0, contrast=0, flip=False, mirror=False, shear_rad=0, shift=0)
_PATCHES_AT_ONCE, _PICTURES_AT_ONCE = 64, 8  # in validation

Picture = NDArray[np.uint8]  # C H W


class Patches(NamedTuple):
    """What one step learns from patches."""

    windows: Tensor  # B C h w
    labels: Tensor  # B


class Pictures(NamedTuple):
    """What one step learns from pictures."""

    pictures: Tensor  # B C H W
    cancer: Tensor  # B, 0 or 1


class Labeled(NamedTuple):
    """Pictures by the one thing that is known of them; no lesion can be looked up."""

    cancers: list[Picture]
    others: list[Picture]


def labeled(lessons: Sequence[Lesson]) -> Labeled:
    """Keep of lessons what image-level labels say."""
    kept = Labeled(
        [lesson.picture for lesson in lessons if lesson.cancer],
        [lesson.picture for lesson in lessons if not lesson.cancer],
    )
    if not (kept.cancers and kept.others):
        raise Refused("pictures with and without cancer are needed: take more patients")
    return kept


def patch_losses(network: nn.Module, batch: Patches) -> Mapping[str, Tensor]:
    """Return the cross entropy, each class of the batch counting alike (section 3.1.2)."""
    logits = network(batch.windows).float()
    counts = torch.bincount(batch.labels, minlength=logits.shape[1])
    return {"patches": F.cross_entropy(logits, batch.labels, 1 / counts.clamp(min=1))}


def picture_losses(
    network: nn.Module, batch: Pictures, weight_decay: float
) -> Mapping[str, Tensor]:
    """Return the cross entropy, and the decay of the new layers.

    The paper's code makes the decay a part of the loss, so Adam scales it like the rest.
    """
    reading: Reading = network(batch.pictures)
    new = [
        module.weight.square().sum()
        for name in ("top", "classifier")
        for module in network.get_submodule(name).modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    return {
        "classification": F.cross_entropy(reading.classes.float(), batch.cancer),
        "decay": weight_decay * torch.stack(new).sum(),
    }


def below(network: PatchNet) -> tuple[str, ...]:
    """Name the parts that the second stage leaves as they are (section 3.1.2)."""
    upper = {id(weight) for part in network.upper for weight in part.parameters()}
    return tuple(
        name
        for name, module in network.named_modules()
        if (own := [id(weight) for weight in module.parameters(recurse=False)])
        and not upper.intersection(own)
    )


def patch_figures(
    network: nn.Module, lessons: Sequence[Lesson], chosen: Sequence[Patch], patch_px: int
) -> dict[str, float]:
    """Return the accuracy, of table 1, and the mean over classes of what is recognized."""
    device = next(network.parameters()).device
    truth, seen = np.array([patch.label for patch in chosen]), []
    with torch.inference_mode():
        for start in range(0, len(chosen), _PATCHES_AT_ONCE):
            some = chosen[start : start + _PATCHES_AT_ONCE]
            windows = cut(lessons, some, patch_px, _STILL, np.random.default_rng(0))
            seen += network(windows.to(device)).argmax(dim=1).tolist()
    right = truth == seen
    recalls = [right[truth == label].mean() for label in np.unique(truth)]
    return {
        "accuracy": round(float(right.mean()), 4),
        "mean_recall": round(float(np.mean(recalls)), 4),
    }


def picture_figures(network: nn.Module, lessons: Sequence[Lesson], device: str) -> dict[str, float]:
    """Return the image AUC, of tables 2 and 3."""
    scores: list[float] = []
    with torch.inference_mode():
        for start in range(0, len(lessons), _PICTURES_AT_ONCE):
            some = [lesson.picture for lesson in lessons[start : start + _PICTURES_AT_ONCE]]
            pictures = torch.from_numpy(np.stack(some)).float() / 255
            reading: Reading = network(channels_last(pictures).to(device))
            scores += reading.cancer.tolist()
    return {"image_auc": round(auc([lesson.cancer for lesson in lessons], scores), 4)}
