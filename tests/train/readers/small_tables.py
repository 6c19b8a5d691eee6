"""Data sets that are a table and a folder of images, in miniature."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from small_breasts import write_rsna_image, write_vindr_image

VINDR_BREASTS = [
    *("study_id", "series_id", "laterality", "view_position", "image_id", "height", "width"),
    *("breast_birads", "breast_density", "split"),
]
VINDR_FINDINGS = [
    *VINDR_BREASTS,
    *("finding_categories", "finding_birads", "xmin", "ymin", "xmax", "ymax"),
]
RSNA = [
    *("site_id", "patient_id", "image_id", "laterality", "view", "age", "cancer", "biopsy"),
    *("invasive", "BIRADS", "implant", "density", "machine_id", "difficult_negative_case"),
]


def write_table(path: Path, columns: Iterable[str], lines: Iterable[Mapping[str, str]]) -> None:
    """Write a table; what a line does not say is left empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def vindr_image(study: str, image: str, **more: str) -> dict[str, str]:
    """Describe one line of VinDr-Mammo's table of images."""
    return {
        "study_id": study,
        "series_id": f"series {study}",
        "laterality": "L",
        "view_position": "CC",
        "image_id": image,
        "height": "100",
        "width": "80",
        "breast_birads": "BI-RADS 4",
        "breast_density": "DENSITY C",
        "split": "training",
        **more,
    }


def write_vindr(
    folder: Path,
    images: list[dict[str, str]],
    findings: list[dict[str, str]],
    *,
    inverse: Iterable[str] = (),
    windowless: Iterable[str] = (),
) -> None:
    """Write both tables and the images; a finding says its image and what it adds."""
    by_name = {image["image_id"]: image for image in images}
    write_table(folder / "breast-level_annotations.csv", VINDR_BREASTS, images)
    told = [{**by_name.get(one["image_id"], {}), **one} for one in findings]
    write_table(folder / "finding_annotations.csv", VINDR_FINDINGS, told)
    for name, image in by_name.items():
        write_vindr_image(
            folder / "images" / image["study_id"] / f"{name}.dicom",
            image["laterality"],
            inverse=name in inverse,
            window=name not in windowless,
        )


def write_rsna(folder: Path, lines: list[dict[str, str]], *, inverse: Iterable[str] = ()) -> None:
    """Write the table and the images."""
    write_table(folder / "train.csv", RSNA, lines)
    for line in lines:
        path = folder / "train_images" / line["patient_id"] / f"{line['image_id']}.dcm"
        write_rsna_image(path, line["laterality"], inverse=line["image_id"] in inverse)
