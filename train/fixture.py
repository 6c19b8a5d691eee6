"""What a bundle has to say of a phantom, written into its card: `dicom-node models verify` asks."""

from pathlib import Path

from inference.analyzer import open_bundle
from inference.bundle import Card, save_card
from inference.reading import exam
from inference.regression import regression
from phantom.dicom import datasets
from phantom.study import study

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
