"""CBIS-DDSM as the archive gives it away: four tables, and a folder of DICOM files an image.

A line of a table names three files: the film, the crop of one abnormality, and its mask. The last
two are taken for each other in many lines, and newer downloads name all folders and files below
the first folder anew. So only that first folder is believed; which of the two files in it is the
mask is told by their pixels, when they are opened.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from pydicom.errors import InvalidDicomError

from inference.decoding.files import open_file
from inference.errors import Unreadable
from train.data.readers.cbis_tables import NAME, TABLES, Abnormality, View, abnormalities
from train.data.sample import MaskImage, Region, Sample, Samples
from train.errors import Refused

_DIGITIZED = "film, digitized at 0.042 to 0.05 mm; which of them is not told"
_NO_IMAGES = "abnormalities of a table of which no image is here"
_AGAIN = "films that both tables have: their lesions are told of one image"
_NO_MASK = "abnormalities without a mask"
_TWO_SPLITS = "test"  # of a film that one table has for training and the other for tests
_DEEPEST = 3  # folders between the tables and those of the images, as manifest-1/CBIS-DDSM


def samples(folder: Path) -> Samples:
    """Read all tables that are there."""
    found = Samples()
    places = _places(folder)
    films: dict[View, dict[str, list[Abnormality]]] = defaultdict(lambda: defaultdict(list))
    for table in sorted(folder.glob(TABLES)):
        told = list(abnormalities(table))
        here = any(_first(one, "image file path") in places for one in told)
        if not here:
            found.dropped[_NO_IMAGES] += len(told)
        for one in told:
            films[one.view][_first(one, "image file path") if here else ""].append(one)
    for view, told_of in films.items():
        found.extend(_of_view(view, told_of, places, found))
    return found


def _of_view(
    view: View, films: dict[str, list[Abnormality]], places: dict[str, Path], found: Samples
) -> Iterable[Sample]:
    """Make one sample of a view, or two where the two tables have it in two sizes."""
    away = films.pop("", [])
    images = {name: _film(name, told[0], places) for name, told in films.items()}
    cancer = any(one.malignant for told in [away, *films.values()] for one in told)
    if len(images) > 1 and len({_size(image) for image in images.values()}) == 1:
        found.dropped[_AGAIN] += len(images) - 1
        films = {next(iter(films)): [one for told in films.values() for one in told]}
    alone = len(films) == 1 and not away
    for name, told in films.items():
        regions = [_region(one, places) for one in told]
        if None in regions:
            found.dropped[_NO_MASK] += regions.count(None)
        splits = {_split(one.row.table) for one in told}
        yield Sample(
            data_set=NAME,
            patient=view.patient,
            image=images[name],
            side=view.side,
            projection=view.projection,
            cancer=cancer,
            regions=tuple(region for region in regions if region is not None),
            # The lesions of the other table are in the picture too.
            complete=alone and None not in regions,
            split=_TWO_SPLITS if len(splits) > 1 else splits.pop(),
            facts={"geometry": _DIGITIZED, **_density(told)},
        )


def _region(one: Abnormality, places: dict[str, Path]) -> Region | None:
    mask = _first(one, "ROI mask file path")
    files = _files(places[mask]) if mask in places else []
    if not files:
        return None
    # The table's own words decide which is tried first.
    said = one.row["ROI mask file path"].rpartition("/")[2]
    files.sort(key=lambda path: (path.name != said, path))
    outline = MaskImage(files[0], files[1] if len(files) > 1 else None)
    return Region(outline, one.kind, one.malignant, one.facts)


def _film(name: str, one: Abnormality, places: dict[str, Path]) -> Path:
    files = _files(places[name]) if name in places else []
    if len(files) != 1:
        raise one.row.refused(
            f"{name} holds {len(files)} DICOM files, and it should be one film; get it anew"
        )
    return files[0]


def _size(image: Path) -> tuple[int, int]:
    try:
        header = open_file(image).header
    except (InvalidDicomError, Unreadable) as fault:
        raise Refused(f"{image} cannot be read: {fault}; get it anew") from fault
    return int(header.get("Rows") or 0), int(header.get("Columns") or 0)


def _first(one: Abnormality, column: str) -> str:
    """Return the first folder of a path; it names split, patient, side, view and abnormality."""
    return one.row[column].split("/")[0].strip()


def _places(folder: Path) -> dict[str, Path]:
    """Find the images' folders, wherever below the tables they were put."""
    found: dict[str, Path] = {}
    for depth in range(1, _DEEPEST + 1):
        pattern = "/".join(["*"] * (depth - 1) + ["*-*_P_*"])
        found |= {path.name: path for path in sorted(folder.glob(pattern)) if path.is_dir()}
    return found


def _files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.dcm"))


def _split(table: Path) -> str:
    return "test" if "_test_" in table.name else "train"


def _density(told: Iterable[Abnormality]) -> dict[str, str]:
    """Take the density; the tables spell its column in two ways."""
    return {
        name: value
        for one in told
        for column in ("breast_density", "breast density")
        for name, value in one.row.facts(density=column).items()
    }
