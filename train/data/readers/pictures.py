"""The images in the folders of a data set, by their names."""

from collections.abc import Mapping
from pathlib import Path

from train.errors import Refused

# Of one image in several forms, the first of these is taken: the later ones have lost something.
SUFFIXES = (".dcm", ".dicom", ".tif", ".tiff", ".png", ".pgm", ".bmp", ".jpg", ".jpeg")


def pictures(folder: Path) -> dict[str, Path]:
    """Find all images in a folder and in those inside it, by name: small letters, no suffix.

    A Mac leaves a file of its own beside each that it copies, "._" and the same name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
            continue
        name = path.stem.lower()
        if name not in found or _place(path) < _place(found[name]):
            found[name] = path
    return found


def the_one(folder: Path, pattern: str) -> Path:
    """Find the one file of a name, wherever it lies in a folder."""
    found = [path for path in sorted(folder.rglob(pattern)) if not path.name.startswith(".")]
    if not found:
        raise Refused(f"{folder} holds no {pattern}: get it from where the data set came from")
    if len(found) > 1:
        raise Refused(f"{found[0]} and {found[1]}: name the folder in which there is one of them")
    return found[0]


def wanted(found: Mapping[str, Path], name: str, asked_by: str) -> Path:
    """Return an image that has to be there."""
    if name.lower() not in found:
        raise Refused(f"{asked_by}: there is no image {name}; get it, or take the line out")
    return found[name.lower()]


def _place(path: Path) -> int:
    return SUFFIXES.index(path.suffix.lower())
