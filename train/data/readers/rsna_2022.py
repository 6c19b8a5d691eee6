"""The screening mammograms of RSNA's challenge of 2022: cancers by breast, nothing is marked.

Every image of a breast with a cancer is labelled so, whether the image shows it or not.
"""

from pathlib import Path

from train.data.readers.tables import Row, projection_of, rows
from train.data.sample import Sample, Samples

NAME = "RSNA 2022"
TABLE = "train.csv"
IMAGES = "train_images"

_COLUMNS = ("patient_id", "image_id", "laterality", "view", "cancer")
_FACTS = {
    "site": "site_id",
    "age": "age",
    "biopsy": "biopsy",
    "invasive": "invasive",
    "birads": "BIRADS",
    "implant": "implant",
    "density": "density",
    "device": "machine_id",
    "difficult": "difficult_negative_case",
}


def samples(folder: Path) -> Samples:
    """Read the table of images."""
    found = Samples()
    for row in rows(folder / TABLE, _COLUMNS):
        found.append(_sample(row, folder / IMAGES))
    return found


def _sample(row: Row, images: Path) -> Sample:
    image = images / row["patient_id"] / f"{row['image_id']}.dcm"
    if not image.is_file():
        raise row.refused(f"{image} is missing: get it from where the data set came from")
    return Sample(
        data_set=NAME,
        patient=row["patient_id"],
        image=image,
        side=row.side("laterality"),
        projection=projection_of(row["view"]),
        cancer=row.truth("cancer"),
        complete=False,
        split="train",
        facts=row.facts(**_FACTS),
    )
