"""What a bundle says, written into its card, so that the node can see whether it still says so.

Of one phantom, for `dicom-node models verify`; of exams without a cancer, to see a device's
scores drift.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inference.analyzer import open_bundle
from inference.bundle import Card, Reference, save_card
from inference.reading import exam
from inference.regression import regression
from phantom.dicom import datasets
from phantom.study import study

FEWEST = 20  # exams that say how scores are spread
SEED, PITCH_MM = 7, 0.2  # a patient with something to see; coarse, since she is imaged each time


def with_phantom(folder: Path) -> Card:
    """Let a bundle read its phantom, by way of its DICOM images, and write down what it says."""
    analyzer = open_bundle(folder)
    images = datasets(study(SEED, pitch_mm=PITCH_MM))
    seen = exam(str(images[0].StudyInstanceUID), images)
    kept = regression(analyzer, seen, seed=SEED, pitch_mm=PITCH_MM)
    card = analyzer.card.model_copy(update={"regression": kept})
    save_card(folder, card)
    return card


def reference(scores: Sequence[float], on: str) -> Reference | None:
    """Return how the scores of exams without a cancer are spread; None of too few."""
    if len(scores) < FEWEST:
        return None
    deciles = np.quantile(scores, np.arange(1, 10) / 10)
    return Reference(on=on, exams=len(scores), deciles=[round(float(one), 6) for one in deciles])
