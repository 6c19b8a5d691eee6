"""The readers by the name of their data set."""

from collections.abc import Callable
from pathlib import Path

from train.data.readers import cbis_ddsm, rsna_2022, vindr_mammo
from train.data.sample import Samples
from train.errors import Refused

READERS: dict[str, Callable[[Path], Samples]] = {
    "cbis_ddsm": cbis_ddsm.samples,
    "rsna_2022": rsna_2022.samples,
    "vindr_mammo": vindr_mammo.samples,
}


def samples(name: str, folder: Path) -> Samples:
    """Read a folder as one data set."""
    if name not in READERS:
        raise Refused(f"there is no reader {name!r}: there are {', '.join(sorted(READERS))}")
    if not folder.is_dir():
        raise Refused(f"{folder} is no folder")
    found = READERS[name](folder)
    if not found:
        raise Refused(f"{folder} holds no image that can be used: {dict(found.dropped)}")
    return found
