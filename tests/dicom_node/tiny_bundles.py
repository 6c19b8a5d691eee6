"""Bundles that are read in a moment, and were never trained."""

from pathlib import Path

import torch

from dicom_node.models.trying import phantom_exam
from dicom_node.shipped import shipped
from inference.analyzer import open_bundle
from inference.bundle import Card, load_card, save_bundle, save_card
from inference.preparing.prepare import Preparation
from inference.regression import regression
from inference.systems.all_conv import Member, Network

SHIPPED = shipped("bundles") / "shared_trunk_phantom"
TINY = Network(
    in_channels=2,
    members=(
        Member(
            trunk="resnet18",
            width=8,
            norm="group",
            patch_px=64,
            top=("[8-8-16] x 1",),
            top_norm="group",
        ),
    ),
)


def tiny(folder: Path, seed: int = 5, **changes: object) -> Card:
    """Save a bundle that marks nothing, and that was never trained; each seed is another one."""
    torch.manual_seed(seed)
    like = load_card(SHIPPED)
    how = like.preparation | {"height_px": 160, "width_px": 128, "pitch_mm": 2.0}
    card = like.model_copy(
        update={
            "system": "all_conv",
            "name": f"Tiny {seed}",
            "version": f"0.0.{seed}",
            "network": TINY.model_dump(),
            "preparation": how,
            "decision": {"flips": False},
            "regression": None,
            **changes,
        }
    )
    networks = TINY.build(Preparation.model_validate(how))
    return save_bundle(folder, card, networks.state_dict())


def proven(folder: Path) -> Card:
    """Write into a tiny bundle's card what it says of a coarse phantom."""
    analyzer, exam = open_bundle(folder), phantom_exam(7, 1.0)
    kept = regression(analyzer, exam, seed=7, pitch_mm=1.0)
    card = analyzer.card.model_copy(update={"regression": kept})
    save_card(folder, card)
    return card
