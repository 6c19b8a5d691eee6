"""CBIS-DDSM in miniature, in both its forms, with what is broken in them."""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image

LABELS = [
    "split",
    "file",
    "patient",
    "side",
    "view",
    "n_boxes",
    "malignant",
    "pathology",
    "birads_assessment",
    "breast_density",
    "subtlety",
    "shape",
    "margins",
]

TABLE = (
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,"
    "{} shape,{} margins,assessment,pathology,subtlety,image file path,cropped image file path,"
    "ROI mask file path"
)
MASSES = TABLE.format("mass", "mass").split(",")
# The tables of calcifications spell one column in their own way.
CALCIFICATIONS = (
    TABLE.replace("breast_density", "breast density")
    .replace("{} shape", "calc type")
    .replace("{} margins", "calc distribution")
    .split(",")
)


def write_table(path: Path, columns: Iterable[str], lines: Iterable[Mapping[str, str]]) -> None:
    """Write a table; what a line does not say is left empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def abnormality(patient: str, side: str, view: str, pathology: str, **more: str) -> dict[str, str]:
    """Describe one line of an official table."""
    return {
        "patient_id": patient,
        "left or right breast": side,
        "image view": view,
        "abnormality id": "1",
        "abnormality type": "mass",
        "assessment": "4",
        "subtlety": "3",
        "pathology": pathology,
        **more,
    }


def write_resized(folder: Path, images: Mapping[str, Iterable[tuple[str, list[float]]]]) -> None:
    """Write the resized form: of each image the pathology and the box of every mass."""
    (folder / "train").mkdir(parents=True)
    lines, annotations = [], []
    for number, (file, masses) in enumerate(images.items()):
        Image.new("L", (80, 80)).save(folder / "train" / file)
        patient, side, view = file.removesuffix(".jpg").split("_")
        annotations += [{"image_id": number, "category_id": 0, "bbox": box} for _, box in masses]
        pathologies = [pathology for pathology, _ in masses]
        lines.append(
            {
                "split": "train",
                "file": file,
                "patient": f"P_{patient}",
                "side": side,
                "view": view,
                "n_boxes": str(len(pathologies)),
                "malignant": str(int("MALIGNANT" in pathologies)),
                "pathology": "|".join(pathologies),
                "birads_assessment": "|".join("4" for _ in pathologies),
                "breast_density": "2",
                "subtlety": "|".join(str(n + 1) for n, _ in enumerate(pathologies)),
                "shape": "|".join("OVAL" for _ in pathologies),
                "margins": "|".join("N/A" for _ in pathologies),
            }
        )
    write_table(folder / "labels.csv", LABELS, lines)
    coco = {
        "categories": [{"id": 0, "name": "Mass"}],
        "images": [
            {"id": number, "file_name": file, "width": 80, "height": 80}
            for number, file in enumerate(images)
        ],
        "annotations": annotations,
    }
    (folder / "train" / "_annotations.coco.json").write_text(json.dumps(coco), encoding="utf-8")
