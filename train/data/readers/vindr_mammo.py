"""VinDr-Mammo: digital mammograms of screening with boxes, judged by radiologists alone.

There is no pathology: a category of BI-RADS is what somebody thought. As with INbreast, 1 and 2
stand for no cancer, 4 and 5 for one, and of 3 nobody knows; a suspicious breast's view without a
box is unknown too. What was thought benign (BI-RADS 2) is seen and not marked.
"""

import ast
from collections import defaultdict
from pathlib import Path

from inference.findings import Box, Kind
from train.data.readers.coco_file import box_within
from train.data.readers.tables import Row, projection_of, rows
from train.data.sample import Region, Sample, Samples

NAME = "VinDr-Mammo"
BREASTS = "breast-level_annotations.csv"
FINDINGS = "finding_annotations.csv"

_OF_BREASTS = (
    *("study_id", "image_id", "laterality", "view_position", "height", "width"),
    *("breast_birads", "breast_density", "split"),
)
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_OF_FINDINGS = ("image_id", "finding_categories", "finding_birads", *_EDGES)
_KINDS = {"Mass": Kind.MASS, "Suspicious Calcification": Kind.CALCIFICATION}
_NOTHING = "No Finding"
_SPLITS = {"TRAINING": "train", "TEST": "test"}
_UNMARKED = "2"  # BI-RADS: benign findings
_CANCER = {"1": False, "2": False, "4": True, "5": True}  # BI-RADS; of others nobody knows
_EMPTY = "boxes with nothing of their image in them"
_BOXLESS = "findings without a box"


def samples(folder: Path) -> Samples:
    """Read the table of images, and the findings of each."""
    found = Samples()
    findings: dict[str, list[Row]] = defaultdict(list)
    for row in rows(folder / FINDINGS, _OF_FINDINGS):
        findings[row["image_id"]].append(row)
    for row in rows(folder / BREASTS, _OF_BREASTS):
        found.append(_sample(row, folder, findings.pop(row["image_id"], []), found))
    for left in findings.values():
        raise left[0].refused(f"{left[0]['image_id']} is not in {BREASTS}; get both tables anew")
    return found


def _sample(row: Row, folder: Path, findings: list[Row], found: Samples) -> Sample:
    image = folder / "images" / row["study_id"] / f"{row['image_id']}.dicom"
    if not image.is_file():
        raise row.refused(f"{image} is missing: get it from where the data set came from")
    birads = _last_word(row["breast_birads"])
    lost = sum(found.dropped.values())
    regions = tuple(region for one in findings for region in _regions(one, row, found))
    cancer = _CANCER.get(birads)
    return Sample(
        data_set=NAME,
        patient=row["study_id"],  # each person was examined once
        image=image,
        side=row.side("laterality"),
        projection=projection_of(row["view_position"]),
        cancer=None if cancer and not regions else cancer,
        regions=regions,
        complete=birads != _UNMARKED and sum(found.dropped.values()) == lost,
        split=row.one_of("split", _SPLITS),
        facts={"birads": birads, "density": _last_word(row["breast_density"])},
    )


def _regions(row: Row, image: Row, found: Samples) -> list[Region]:
    """Read what one box holds: a region of each kind, or one that is neither."""
    categories = _categories(row)
    if categories == [_NOTHING]:
        return []
    edges = [row.number(column) for column in _EDGES]
    left, top, right, bottom = (0.0 if edge is None else edge for edge in edges)
    box = box_within(Box(left, top, right, bottom), image.count("width"), image.count("height"))
    if None in edges or box is None:
        found.dropped[_BOXLESS if None in edges else _EMPTY] += 1
        return []
    birads = _last_word(row["finding_birads"])
    facts = {"finding": ", ".join(categories), "birads": birads}
    kinds: list[Kind | None] = [_KINDS[one] for one in categories if one in _KINDS]
    return [Region(box, kind, _CANCER.get(birads), facts) for kind in kinds or [None]]


def _categories(row: Row) -> list[str]:
    """Read a list as Python writes it."""
    text = row["finding_categories"]
    try:
        said = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        said = None
    if not (isinstance(said, list) and said and all(isinstance(one, str) for one in said)):
        raise row.refused(f"finding_categories is {text!r}, and no list of words; correct it")
    return said


def _last_word(text: str) -> str:
    """Take 4 of "BI-RADS 4", and C of "DENSITY C"."""
    return text.rpartition(" ")[2]
