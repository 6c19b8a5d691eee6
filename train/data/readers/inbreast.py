"""INbreast: 410 digital mammograms, `INbreast.csv`, and outlines in OsiriX's XML (Moreira 2012).

There is no pathology, only BI-RADS of each image: 1 and 2 count as no cancer, 4 to 6 as cancer, 3
as unknown (as in Shen, section 3.3). What a region is follows as far as that goes: nothing in a
benign image is malignant; in the others the masses are, or the clusters where there is no mass.

Beyond category 1 something was seen: where such an image has no file of outlines, nobody knows
where that is.
"""

import plistlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from inference.findings import Kind
from train.data.readers.pictures import pictures, the_one
from train.data.readers.tables import Row, projection_of, rows, says_something
from train.data.sample import Polygon, Region, Sample, Samples
from train.errors import Refused

NAME = "INbreast"
PITCH_MM = 0.07
_COLUMNS = ("Laterality", "View", "File Name", "Bi-Rads")
_CANCER = {"1": False, "2": False, "3": None, "4": True, "5": True, "6": True}
_NORMAL = "1"  # nothing was seen, so there is nothing to outline
_VIEWS_OF_FILES = {"ML": "MLO"}  # the names of files cut one letter off
_PARTS_OF_NAME = 6  # 22678622_61b13c59bcba149e_MG_L_CC_ANON
_FEW_POINTS = 2  # a calcification is marked by one or two points, everything else by more
_CALCIFICATION, _CLUSTER, _SPICULATED = "calcification", "cluster", "spiculated region"
_NAMES = {  # people wrote them by hand
    "mass": (Kind.MASS, "mass"),
    "spiculated region": (Kind.MASS, _SPICULATED),
    "espiculated region": (Kind.MASS, _SPICULATED),
    "calcification": (Kind.CALCIFICATION, _CALCIFICATION),
    "calcifications": (Kind.CALCIFICATION, _CALCIFICATION),
    "cluster": (Kind.CALCIFICATION, _CLUSTER),
    "distortion": (None, "distortion"),
    "asymmetry": (None, "asymmetry"),
    "assymetry": (None, "asymmetry"),
    "asimmetry": (None, "asymmetry"),
    "assimetry": (None, "asymmetry"),
}
_MUSCLE = "pectoral muscle"
_UNNAMED = "an outline whose name says nothing"
_UNDRAWN = "the outlines of an image that is not BI-RADS 1: there is no file of them"
_AROUND = "a spiculated region around a mass that is outlined too"


def samples(folder: Path) -> Samples:
    """Read the table, and of each image that has one its file of outlines."""
    table = the_one(folder, "INbreast.csv")
    images = _by_number(folder)
    outlines = _outlines(folder)
    found = Samples()
    for row in rows(table, _COLUMNS, _delimiter(table)):
        number = row["File Name"]
        if not says_something(number):  # the table ends in lines without anything
            continue
        if number not in images:
            raise row.refused(f"there is no image {number}_...; get it, or take the line out")
        found.append(_sample(row, images.pop(number), outlines.get(number), found.dropped))
    if images:
        found.dropped[f"an image without a line in {table.name}"] += len(images)
    return found


def _delimiter(table: Path) -> str:
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        return ";" if ";" in file.readline() else ","


def _outlines(folder: Path) -> dict[str, Path]:
    """Find the files of outlines by the number of their image."""
    found = {path.stem: path for path in sorted(folder.rglob("*.xml")) if path.stem.isdigit()}
    if not found:
        raise Refused(
            f"{folder} holds no outlines, and every lesion would be taught as healthy: "
            "INbreast has them in AllXML, a file NUMBER.xml for an image; put that folder there"
        )
    return found


def _by_number(folder: Path) -> dict[str, Path]:
    """Find the images by the number that their names begin with."""
    found = {}
    for name, path in pictures(folder).items():
        parts = name.split("_")
        if len(parts) == _PARTS_OF_NAME and parts[0].isdigit():
            found[parts[0]] = path
    return found


def _sample(row: Row, image: Path, outlines: Path | None, dropped: Counter[str]) -> Sample:
    _, patient, _, side, view, _ = image.stem.split("_")
    if side.upper() != row["Laterality"] or _VIEWS_OF_FILES.get(view, view) != row["View"]:
        raise row.refused(
            f"{row['Laterality']} {row['View']} is not what {image.name} says; correct it"
        )
    cancer = _cancer(row)
    before = dropped[_UNNAMED], dropped[_UNDRAWN]
    marked = [] if outlines is None else list(_outlined(outlines, dropped))
    if outlines is None and not row["Bi-Rads"].startswith(_NORMAL):
        dropped[_UNDRAWN] += 1
    return Sample(
        data_set=NAME,
        patient=patient,
        image=image,
        side=row.side("Laterality"),
        projection=projection_of(row["View"]),
        cancer=cancer,
        regions=_judged(marked, cancer=cancer),
        complete=(dropped[_UNNAMED], dropped[_UNDRAWN]) == before,
        spacing_mm=(PITCH_MM, PITCH_MM),
        facts=row.facts(density="ACR", birads="Bi-Rads"),
    )


def _cancer(row: Row) -> bool | None:
    category = row["Bi-Rads"]  # 4a, 4b, 4c too
    if not says_something(category) or category[0] == "0":
        return None
    if category[0] not in _CANCER:
        raise row.refused(f"Bi-Rads is {category!r}, and not 0 to 6; correct it")
    return _CANCER[category[0]]


def _outlined(path: Path, dropped: Counter[str]) -> list[Region]:
    """Read the outlines of one image, malignancy aside."""
    found = []
    for roi in _rois(path):
        try:
            points = tuple(_point(each) for each in roi["Point_px"])
            if len(points) != roi["NumberOfPoints"] or not points:
                raise Refused(
                    f"{path}: an outline has {len(points)} points, and says that it has "
                    f"{roi['NumberOfPoints']}: get the file anew"
                )
            name = str(roi.get("Name", "")).strip().lower()
        except (AttributeError, KeyError, TypeError, ValueError) as fault:
            raise Refused(f"{path}: an outline is not as OsiriX writes them ({fault!r})") from fault
        if name == _MUSCLE:
            continue
        kind, called = _NAMES.get(name, (None, ""))
        if not called and len(points) <= _FEW_POINTS:
            kind, called = Kind.CALCIFICATION, _CALCIFICATION
        if not called:
            dropped[_UNNAMED] += 1
            continue
        found.append(Region(Polygon(points), kind, None, {"name": called}))
    kept = [one for one in found if not _is_around_another(one, found)]
    if len(kept) < len(found):
        dropped[_AROUND] += len(found) - len(kept)
    return kept


def _rois(path: Path) -> Sequence[Mapping[str, Any]]:
    try:
        with path.open("rb") as file:
            image = plistlib.load(file, fmt=plistlib.FMT_XML)["Images"][0]
        rois, count = image["ROIs"], image["NumberOfROIs"]
    except (ExpatError, IndexError, KeyError, TypeError, ValueError) as fault:
        raise Refused(f"{path} is not what OsiriX writes ({fault!r}): get it anew") from fault
    if len(rois) != count:
        raise Refused(f"{path} holds {len(rois)} outlines, and says {count}: get it anew")
    return rois  # type: ignore[no-any-return]


def _point(said: str) -> tuple[float, float]:
    column, row = said.strip().strip("()").split(",")
    return float(column), float(row)


def _is_around_another(region: Region, others: Sequence[Region]) -> bool:
    """Tell whether a spiculated region has its mass outlined inside: they are one lesion."""
    return region.facts["name"] == _SPICULATED and any(
        other.facts["name"] == "mass" and _holds(region, other) for other in others
    )


def _holds(region: Region, other: Region) -> bool:
    around, inside = _corners(region), _corners(other)
    column, row = (inside[0] + inside[2]) / 2, (inside[1] + inside[3]) / 2
    return around[0] <= column <= around[2] and around[1] <= row <= around[3]


def _corners(region: Region) -> tuple[float, float, float, float]:
    assert isinstance(region.outline, Polygon)
    columns, rows_ = zip(*region.outline.points, strict=True)
    return min(columns), min(rows_), max(columns), max(rows_)


def _judged(regions: Sequence[Region], *, cancer: bool | None) -> tuple[Region, ...]:
    """Say of each region what the image's category says of it."""
    blamed = Kind.MASS if any(one.kind is Kind.MASS for one in regions) else Kind.CALCIFICATION
    judged = []
    for one in regions:
        malignant = cancer
        if cancer and (one.kind is not blamed or one.facts["name"] == _CALCIFICATION):
            malignant = None  # another one may be what the category is for
        judged.append(Region(one.outline, one.kind, malignant, one.facts))
    return tuple(judged)
