"""BCDR: parts of films (F01 to F03) and of digital mammograms (D01, D02, DN01), in two tables each.

Every value may begin with a blank. The table of outlines counts views from 1, the table of images
from 0. Parts share patients, and images too, so a patient's number holds for all of them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from inference.findings import Kind
from inference.mammogram import Projection, Side
from train.data.readers.tables import Row, rows
from train.data.sample import Polygon, Region, Sample, Samples
from train.errors import Refused

NAME = "BCDR"
_DIGITAL_MM = 0.07  # as far as parts of digital mammograms go; nobody says it of the films
_IMAGES = ("patient_id", "study_id", "image_filename", "image_type_id")
_OUTLINES = (
    *("patient_id", "study_id", "image_view", "image_filename", "lw_x_points", "lw_y_points"),
    *("mammography_nodule", "mammography_calcification", "mammography_microcalcification"),
    "classification",
)
_VIEWS = (
    (Side.RIGHT, Projection.CC),
    (Side.LEFT, Projection.CC),
    (Side.RIGHT, Projection.MLO),
    (Side.LEFT, Projection.MLO),
)
_OTHER_FINDINGS = {
    "mammography_axillary_adenopathy": "axillary adenopathy",
    "mammography_architectural_distortion": "architectural distortion",
    "mammography_stroma_distortion": "stroma distortion",
}
_MALIGNANT = {"BENIGN": False, "MALIGN": True, "MALIGNANT": True}
_TWICE = "an image that another part of the data set has, too"
_OUTLINED_TWICE = "an outline in an image that another part has outlined, too"
_OTHER_VIEW = "a view other than CC and MLO"


class _Image(NamedTuple):
    path: Path
    patient: str
    study: str
    side: Side
    projection: Projection
    spacing_mm: tuple[float, float] | None
    facts: Mapping[str, str]

    @property
    def breast(self) -> tuple[str, str, Side]:
        return self.patient, self.study, self.side


_Outlines = dict[Path, list[Region]]  # of one image, by the table that they are from


def samples(folder: Path) -> Samples:
    """Read every part in a folder."""
    tables = sorted(folder.rglob("*_img.csv")) + sorted(folder.rglob("*_outlines.csv"))
    if not tables:
        raise Refused(f"{folder} holds neither ..._img.csv nor ..._outlines.csv of BCDR")
    found = Samples()
    images: dict[str, _Image] = {}
    outlines: dict[str, _Outlines] = defaultdict(lambda: defaultdict(list))
    for table in tables:
        outlined = table.name.endswith("_outlines.csv")
        for row in rows(table, _OUTLINES if outlined else _IMAGES):
            number = row.count("image_view") - 1 if outlined else row.count("image_type_id")
            if number not in range(len(_VIEWS)):
                found.dropped[_OTHER_VIEW] += 1
                continue
            image = _image(row, *_VIEWS[number])
            name = row["image_filename"]
            first = images.setdefault(name, image)
            if (first.breast, first.projection) != (image.breast, image.projection):
                raise row.refused(f"{name} is another patient's, or another view, elsewhere")
            if outlined:
                outlines[name][table].extend(_regions(row))
            elif first.path != image.path:
                found.dropped[_TWICE] += 1
    marked = {name: _of_one_table(outlines[name], found) for name in images}
    cancers = {
        images[name].breast
        for name, regions in marked.items()
        if any(region.malignant for region in regions)
    }
    for name, image in sorted(images.items()):
        cancer = _cancer(marked[name], elsewhere=image.breast in cancers)
        found.append(_sample(image, marked[name], cancer=cancer))
    return found


def _of_one_table(outlines: _Outlines, found: Samples) -> list[Region]:
    """Take the outlines of one part, where several have the image."""
    first, *others = outlines.values() or [[]]
    if others:
        found.dropped[_OUTLINED_TWICE] += sum(map(len, others))
    return first


def _sample(image: _Image, regions: list[Region], *, cancer: bool | None) -> Sample:
    return Sample(
        data_set=NAME,
        patient=image.patient,
        image=image.path,
        side=image.side,
        projection=image.projection,
        cancer=cancer,
        regions=tuple(regions),
        spacing_mm=image.spacing_mm,
        facts=image.facts,
    )


def _cancer(marked: list[Region], *, elsewhere: bool) -> bool | None:
    """Judge an image: where its breast's cancer is outlined in the other view alone, nobody can."""
    if any(region.malignant for region in marked):
        return True
    return None if elsewhere or any(region.malignant is None for region in marked) else False


def _image(row: Row, side: Side, projection: Projection) -> _Image:
    path = row.table.parent / row["image_filename"]
    if not path.is_file():
        raise row.refused(f"{path} is missing: get it, or take the line out")
    digital = row.table.name.lower().startswith("bcdr_d")
    return _Image(
        path=path,
        patient=row["patient_id"],
        study=row["study_id"],
        side=side,
        projection=projection,
        spacing_mm=(_DIGITAL_MM, _DIGITAL_MM) if digital else None,
        facts=row.facts(density="density", age="age"),
    )


def _regions(row: Row) -> Iterator[Region]:
    """Read one outline; of a mass with calcifications it is the outline of both."""
    outline = Polygon(
        tuple(zip(_numbers(row, "lw_x_points"), _numbers(row, "lw_y_points"), strict=False))
    )
    malignant = _MALIGNANT.get(row["classification"].upper())
    kinds: list[Kind | None] = []
    if row.truth("mammography_nodule"):
        kinds.append(Kind.MASS)
    if row.truth("mammography_calcification") or row.truth("mammography_microcalcification"):
        kinds.append(Kind.CALCIFICATION)
    others = [
        name
        for column, name in _OTHER_FINDINGS.items()
        if column in row.values and row.truth(column)
    ]
    facts = row.facts(lesion="lesion_id", classification="classification")
    if others:
        facts["finding"] = ", ".join(others)
    for kind in kinds or [None]:
        yield Region(outline, kind, malignant, facts)


def _numbers(row: Row, column: str) -> list[float]:
    """Read the coordinates of an outline, separated by blanks."""
    words = row[column].split()
    other = "lw_y_points" if column == "lw_x_points" else "lw_x_points"
    if not words or len(words) != len(row[other].split()):
        raise row.refused(
            f"an outline has {len(words)} {column}, and {len(row[other].split())} {other}"
        )
    try:
        return [float(word) for word in words]
    except ValueError:
        raise row.refused(f"{column} holds what is no number; correct it") from None
