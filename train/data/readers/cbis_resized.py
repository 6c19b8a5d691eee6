"""CBIS-DDSM's masses, resized to squares, with boxes in a file as COCO has it.

All images were stretched to one square, so true sizes and the ratio of height and width are
unknown: no spacing is given, and the facts of each sample say so. Only masses are marked.
"""

from collections.abc import Mapping
from pathlib import Path

from inference.findings import Kind
from train.data.readers import coco_file
from train.data.readers.cbis_tables import (
    MALIGNANT,
    NAME,
    SIDES,
    TABLES,
    VIEWS,
    Abnormality,
    View,
    abnormalities,
)
from train.data.readers.tables import Row, rows, says_something
from train.data.sample import Outline, Region, Sample, Samples

LABELS = "labels.csv"
ANNOTATIONS = "_annotations.coco.json"
STRETCHED = "stretched to a square; the true size is unknown"

_COLUMNS = ("split", "file", "patient", "side", "view", "malignant", "pathology", "breast_density")
_OF_EACH_MASS = {
    "pathology": "pathology",
    "birads": "birads_assessment",
    "subtlety": "subtlety",
    "shape": "shape",
    "margins": "margins",
}
_EMPTY = "a box with nothing in it"


def samples(folder: Path) -> Samples:
    """Read the labels, one line an image, and the boxes of each."""
    found = Samples()
    calcifications = _calcifications(folder)
    boxes: dict[str, dict[str, list[Outline | None]]] = {}
    for row in rows(folder / LABELS, _COLUMNS):
        split = row["split"]
        if split not in boxes:
            boxes[split] = _boxes(folder / split / ANNOTATIONS)
        if row["file"] not in boxes[split]:
            raise row.refused(f"{row['file']} is not in {split}/{ANNOTATIONS}; get both files anew")
        marked = boxes[split][row["file"]]
        if None in marked:
            found.dropped[_EMPTY] += marked.count(None)
        found.append(_sample(row, folder, marked, calcifications))
    return found


def _sample(
    row: Row,
    folder: Path,
    marked: list[Outline | None],
    calcifications: Mapping[View, Abnormality],
) -> Sample:
    view = View(row["patient"], row.one_of("side", SIDES), row.one_of("view", VIEWS))
    image = folder / row["split"] / row["file"]
    if not image.is_file():
        raise row.refused(f"{image} is missing: get it from where the data set came from")
    said = _said_of_all(row, len(marked))
    also = calcifications.get(view)
    return Sample(
        data_set=NAME,
        patient=view.patient,
        image=image,
        side=view.side,
        projection=view.projection,
        cancer=_cancer(row) or (also is not None and also.malignant),
        regions=tuple(_region(outline, row, said) for outline in marked if outline is not None),
        # A box that is lost leaves a mass unmarked.
        complete=None not in marked,
        split=row["split"],
        facts={
            "geometry": STRETCHED,
            **row.facts(density="breast_density"),
            **(
                {"calcification": also.row["pathology"], "unmarked": "calcification"}
                if also
                else {}
            ),
        },
    )


def _region(outline: Outline, row: Row, said: Mapping[str, str]) -> Region:
    pathology = said.get("pathology")
    if pathology is not None and pathology not in MALIGNANT:
        raise row.refused(f"pathology is {pathology!r}, and none of {', '.join(MALIGNANT)}")
    return Region(outline, Kind.MASS, MALIGNANT[pathology] if pathology else None, said)


def _said_of_all(row: Row, masses: int) -> dict[str, str]:
    """Keep what holds for every mass of the image: nothing says which of them is which box."""
    said = {}
    for name, column in _OF_EACH_MASS.items():
        each = row.values.get(column, "").split("|")
        if len(each) != masses:
            raise row.refused(f"{column} tells of {len(each)} masses, and {masses} are marked")
        if len(set(each)) == 1 and says_something(each[0]):
            said[name] = each[0]
    return said


def _cancer(row: Row) -> bool:
    cancer = row.truth("malignant")
    if cancer is None or cancer != ("MALIGNANT" in row["pathology"].split("|")):
        raise row.refused("malignant is not what pathology says; get the file anew")
    return cancer


def _boxes(path: Path) -> dict[str, list[Outline | None]]:
    """Read the boxes of each image; None where one has nothing in it."""
    file = coco_file.read(path)
    of_images = file.of_images()
    return {
        image.file_name: [coco_file.outline_of(one, image) for one in of_images[image.id]]
        for image in file.images
    }


def _calcifications(folder: Path) -> dict[View, Abnormality]:
    """Find the views that show calcifications too, if the official tables lie beside the labels.

    Of several in one view, the malignant one counts.
    """
    found: dict[View, Abnormality] = {}
    for table in sorted(folder.glob(f"calc{TABLES}")):
        for one in abnormalities(table):
            if one.malignant or one.view not in found:
                found[one.view] = one
    return found
