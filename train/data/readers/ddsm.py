"""DDSM: a folder a case, with an `.ics` about its films and an `.OVERLAY` of each that shows one.

The films are LJPEG of a kind that nothing reads any more. They have to be converted, PNG of 16 bits
or TIFF, under their own names: `A_0002_1.LEFT_CC.LJPEG` becomes `A_0002_1.LEFT_CC.png`, or
`A_0002_1.LEFT_CC.LJPEG.png`. Outlines are scaled where the picture is smaller than the film was.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from inference.findings import Kind
from inference.mammogram import Projection, Side
from train.data.pixels import size_px
from train.data.readers.overlay import Abnormality, abnormalities
from train.data.readers.pictures import pictures
from train.data.sample import Polygon, Region, Sample, Samples
from train.errors import Refused

NAME = "DDSM"
_VIEWS = {
    "LEFT_CC": (Side.LEFT, Projection.CC),
    "LEFT_MLO": (Side.LEFT, Projection.MLO),
    "RIGHT_CC": (Side.RIGHT, Projection.CC),
    "RIGHT_MLO": (Side.RIGHT, Projection.MLO),
}
_MALIGNANT = {
    "MALIGNANT": True,
    "BENIGN": False,
    "BENIGN_WITHOUT_CALLBACK": False,
    "UNPROVEN": None,
}
_KINDS = {"MASS": Kind.MASS, "CALCIFICATION": Kind.CALCIFICATION}
_SAME_SHAPE = 0.02  # how far a picture may be stretched
_NO_OUTLINE = "an abnormality without an outline"
_FACTS = {"DENSITY": "density", "PATIENT_AGE": "age", "FILM_TYPE": "film"}


class _Film(NamedTuple):
    name: str  # LEFT_CC
    rows: int
    columns: int
    pitch_mm: float
    has_overlay: bool


class _Case(NamedTuple):
    path: Path
    name: str  # A-0002-1
    facts: Mapping[str, str]
    films: tuple[_Film, ...]

    def beside(self, film: _Film) -> str:
        """Name a film as its files do."""
        return f"{self.name.replace('-', '_')}.{film.name}"


def samples(folder: Path) -> Samples:
    """Read every case in a folder."""
    cases = sorted(folder.rglob("*.ics"))
    if not cases:
        raise Refused(f"{folder} holds no .ics of DDSM")
    found = Samples()
    # Some tools keep the case's name, A-0002-1, where the archive's files have A_0002_1.
    images = {name.replace("-", "_"): image for name, image in pictures(folder).items()}
    overlays = {
        path.name.removesuffix(".gz").lower(): path for path in sorted(folder.rglob("*.OVERLAY*"))
    }
    for path in cases:
        case = _case(path)
        seen = [_sample(case, film, images, overlays, found.dropped) for film in case.films]
        cancers = {sample.side for sample in seen if sample.cancer}
        found.extend(_doubted(sample, cancers) for sample in seen)
    return found


def _doubted(sample: Sample, cancers: set[Side]) -> Sample:
    """Leave open what a view without an outline shows of a breast whose other view has a cancer."""
    if sample.cancer is False and sample.side in cancers:
        return replace(sample, cancer=None)
    return sample


def _sample(
    case: _Case,
    film: _Film,
    images: Mapping[str, Path],
    overlays: Mapping[str, Path],
    dropped: Counter[str],
) -> Sample:
    name = case.beside(film)
    image = images.get(name.lower()) or images.get(f"{name}.LJPEG".lower())
    if image is None:
        raise Refused(f"{case.path}: there is no picture {name}.png: convert the LJPEG to one")
    overlay = overlays.get(f"{name}.OVERLAY".lower())
    if overlay is None and film.has_overlay:
        raise Refused(
            f"{case.path}: there is no {name}.OVERLAY; get it from where the case is from"
        )
    marked = abnormalities(overlay) if overlay is not None else []
    without = sum(not one.outline for one in marked)
    dropped.update({_NO_OUTLINE: without} if without else {})
    scale = _scale(image, film)
    verdicts = [_verdict(one, overlay) for one in marked]
    side, projection = _VIEWS[film.name]
    return Sample(
        data_set=NAME,
        patient=case.name.rpartition("-")[0],  # the last number counts her examinations
        image=image,
        side=side,
        projection=projection,
        cancer=True if True in verdicts else None if None in verdicts else False,
        regions=tuple(
            region
            for one, malignant in zip(marked, verdicts, strict=True)
            for region in _regions(one, scale, malignant=malignant)
        ),
        complete=not without,
        spacing_mm=(film.pitch_mm / scale[1], film.pitch_mm / scale[0]),
        facts=case.facts,
    )


def _verdict(one: Abnormality, overlay: Path | None) -> bool | None:
    if one.pathology not in _MALIGNANT:
        raise Refused(
            f"{overlay}: the pathology is {one.pathology!r}, and none of {', '.join(_MALIGNANT)}"
        )
    return _MALIGNANT[one.pathology]


def _regions(
    one: Abnormality, scale: tuple[float, float], *, malignant: bool | None
) -> Iterator[Region]:
    """Make a region of each type: of a mass with calcifications it is the outline of both."""
    if not one.outline:
        return
    across, down = scale
    outline = Polygon(
        tuple(
            ((column + 0.5) * across - 0.5, (row + 0.5) * down - 0.5) for column, row in one.outline
        )
    )
    for name, properties in one.types or [("OTHER", {})]:
        facts = {"lesion": name.lower(), "pathology": one.pathology, **one.facts, **properties}
        yield Region(outline, _KINDS.get(name), malignant, facts)


def _scale(image: Path, film: _Film) -> tuple[float, float]:
    """Return how much smaller a picture is than the film that it was made of, across and down."""
    rows, columns = size_px(image)
    across, down = columns / film.columns, rows / film.rows
    if abs(across / down - 1) > _SAME_SHAPE:
        raise Refused(
            f"{image} has {rows} x {columns} pixels, and its film {film.rows} x {film.columns}: "
            "convert it without stretching or cutting it"
        )
    return across, down


def _case(path: Path) -> _Case:
    name, facts, films = "", dict[str, str](), list[_Film]()
    text = path.read_text(encoding="ascii", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        keyword, *words = line.split() or [""]
        try:
            if keyword == "filename":
                name = words[0]
            elif keyword in _FACTS and words:
                facts[_FACTS[keyword]] = words[0]
            elif keyword == "DIGITIZER":
                facts["digitizer"] = words[0]
            elif keyword in _VIEWS:
                films.append(_film(keyword, words))
        except (IndexError, KeyError, ValueError) as fault:
            raise Refused(f"{path}, line {number}: {line!r} is no {keyword}; correct it") from fault
    if not name or not films:
        raise Refused(f"{path} names no case, or no film of it: get it anew")
    return _Case(path, name, facts, tuple(films))


def _film(name: str, words: list[str]) -> _Film:
    """Read LINES 4616 PIXELS_PER_LINE 3016 BITS_PER_PIXEL 12 RESOLUTION 50 OVERLAY."""
    values = dict(zip(words[:-1:2], words[1::2], strict=True))
    overlay = {"OVERLAY": True, "NON_OVERLAY": False}[words[-1]]
    rows, columns = int(values["LINES"]), int(values["PIXELS_PER_LINE"])
    micrometers = float(values["RESOLUTION"])
    if min(rows, columns, micrometers) <= 0:
        raise ValueError(micrometers)
    return _Film(name, rows, columns, micrometers / 1000, overlay)
