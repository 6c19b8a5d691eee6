"""mini-MIAS: `Info.txt` and 322 films of 1024 x 1024 pixels (Suckling and others 1994).

Its circles stand on a grid whose origin is the corner at the bottom left. Two films that follow
each other are a woman's: odd numbers show the right breast, even ones the left, all of them MLO.
Calcifications all over a breast have no circle.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from inference.findings import Kind
from inference.mammogram import Projection, Side
from train.data.readers.pictures import pictures, the_one, wanted
from train.data.sample import Circle, Region, Sample, Samples
from train.errors import Refused

NAME = "mini-MIAS"
PITCH_MM = 0.2
_SIDE_PX = 1024
_FILMS = 322
_TISSUES = {"F": "fatty", "G": "fatty-glandular", "D": "dense-glandular"}
_HEALTHY = "NORM"
_KINDS = {
    "CALC": Kind.CALCIFICATION,
    "CIRC": Kind.MASS,
    "SPIC": Kind.MASS,
    "MISC": Kind.MASS,  # "other, ill-defined masses"
    "ARCH": None,
    "ASYM": None,
}
_MALIGNANT = {"B": False, "M": True}
_NO_CIRCLE = "an abnormality without a circle: it is spread over the breast"


class _Line(NamedTuple):
    film: int
    tissue: str
    region: Region | None
    malignant: bool | None  # None: healthy
    lacks_circle: bool


def samples(folder: Path) -> Samples:
    """Read the table, some films of which have several lines."""
    table = the_one(folder, "[Ii]nfo.txt")
    films: dict[int, list[_Line]] = defaultdict(list)
    for line in _lines(table):
        films[line.film].append(line)
    if not films:
        raise Refused(f"{table} has no line that begins with mdb: get it anew")
    found, images = Samples(), pictures(folder)
    for film, lines in sorted(films.items()):
        spread = sum(line.lacks_circle for line in lines)
        found.dropped.update({_NO_CIRCLE: spread} if spread else {})
        found.append(
            Sample(
                data_set=NAME,
                patient=f"{(film + 1) // 2:03d}",
                image=wanted(images, f"mdb{film:03d}", str(table)),
                side=Side.RIGHT if film % 2 else Side.LEFT,
                projection=Projection.MLO,
                cancer=any(line.malignant for line in lines),
                regions=tuple(line.region for line in lines if line.region is not None),
                complete=not spread,
                spacing_mm=(PITCH_MM, PITCH_MM),
                facts={"tissue": _TISSUES[lines[0].tissue]},
            )
        )
    return found


def _lines(table: Path) -> Iterator[_Line]:
    """Read what stands between the words that explain it."""
    text = table.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words and words[0].lower().startswith("mdb"):
            try:
                yield _line(words)
            except (IndexError, KeyError, ValueError) as fault:
                raise Refused(
                    f"{table}, line {number}: {line.strip()!r} is no reference, tissue, class, "
                    "severity, x, y and radius; correct it"
                ) from fault


def _line(words: list[str]) -> _Line:
    film, tissue, kind = int(words[0][3:]), words[1], words[2]
    if tissue not in _TISSUES or not 0 < film <= _FILMS:
        raise KeyError(tissue)
    if kind == _HEALTHY:
        return _Line(film, tissue, None, None, lacks_circle=False)
    malignant, place = _MALIGNANT[words[3]], words[4:]
    if not place or place[0].startswith("*"):  # "*NOTE 3*", a note that says why
        _KINDS[kind]
        return _Line(film, tissue, None, malignant, lacks_circle=True)
    column, up, radius = (int(word) for word in place[:3])
    circle = Circle(column, _SIDE_PX - up, radius)
    region = Region(circle, _KINDS[kind], malignant, {"class": kind})
    return _Line(film, tissue, region, malignant, lacks_circle=False)
