"""The two steps that Shen and others compare with: a random forest on the regions of a heatmap.

Section 3.1.4. A patch network scans the picture; the heatmap of each kind of lesion is cut off at
four heights, and what stands out is described by numbers, from which the forest learns. It needs
scikit-learn, which nothing else here does.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from inference.networks.all_conv import PatchNet
from inference.networks.trunks import channels_last
from train.data.lesson import Lesson
from train.data.patches import BACKGROUND
from train.errors import Refused

CUTOFFS = (0.3, 0.5, 0.7, 0.9)
TREES, DEPTH, LEAST_SPLIT = 500, 9, 300
# Of each class of lesion at each cutoff; "largest" is the largest region.
FEATURES = ("regions", "area", "largest_area", "largest_major_axis", "largest_mean")

Numbers = NDArray[np.float64]
Scorer = Callable[[Numbers], Numbers]


def heatmap(network: PatchNet, lesson: Lesson) -> Numbers:
    """Return the probability of each class at each place of a picture, K u v."""
    device = next(network.parameters()).device
    picture = torch.from_numpy(lesson.picture)[None].float() / 255
    with torch.inference_mode():
        logits = network.eval().scan(channels_last(picture).to(device))[0]
    seen: Numbers = logits.double().softmax(dim=0).cpu().numpy()
    return seen


def described(seen: Numbers) -> Numbers:
    """Describe what stands out of a heatmap: each class of lesion, each cutoff, each feature."""
    lesions = [seen[label] for label in range(len(seen)) if label != BACKGROUND]
    return np.array([_regions(one, cutoff) for one in lesions for cutoff in CUTOFFS]).ravel()


def grown(
    features: Numbers, cancers: Sequence[bool], *, seed: int, least_split: int = LEAST_SPLIT
) -> Scorer:
    """Grow the paper's forest on described heatmaps; return what scores others, N F to N."""
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ModuleNotFoundError as fault:
        raise Refused(
            "the forest needs scikit-learn: install the project with its dev extra"
        ) from fault
    if len(set(cancers)) < 2:  # noqa: PLR2004 - with and without
        raise Refused("a forest needs pictures with and without cancer: take more patients")
    forest = RandomForestClassifier(
        n_estimators=TREES, max_depth=DEPTH, min_samples_split=least_split, random_state=seed
    ).fit(features, np.asarray(cancers, dtype=np.int64))

    def scores(others: Numbers) -> Numbers:
        chances: Numbers = forest.predict_proba(others)[:, 1]
        return chances

    return scores


def _regions(chances: Numbers, cutoff: float) -> tuple[float, ...]:
    """Return the features of one class's map at one cutoff; zeros where nothing stands out."""
    above = chances > cutoff
    parts, count = ndimage.label(above, structure=np.ones((3, 3)))
    if not count:
        return (0.0,) * len(FEATURES)
    areas = np.bincount(parts.ravel())[1:]
    largest = parts == 1 + int(areas.argmax())
    return (
        float(count),
        float(above.sum()),
        float(areas.max()),
        _major_axis(largest),
        float(chances[largest].mean()),
    )


def _major_axis(region: NDArray[np.bool_]) -> float:
    """Return the long axis of the ellipse with the region's second moments."""
    places = np.argwhere(region).astype(np.float64)
    # A pixel is a square: on its own it has a twelfth of a moment along each side.
    moments = np.cov(places.T, bias=True) + np.eye(2) / 12
    return float(4 * np.sqrt(np.linalg.eigvalsh(moments)[-1]))
