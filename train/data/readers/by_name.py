"""The readers by the name of their data set."""

from collections.abc import Callable
from pathlib import Path

from train.data.readers import (
    bcdr,
    cbis_ddsm,
    coco,
    ddsm,
    inbreast,
    mini_mias,
    node_results,
    rsna_2022,
    table,
    vindr_mammo,
)
from train.data.readers.described import DESCRIPTION
from train.data.sample import Samples
from train.errors import Refused

# These have one form, wherever they lie.
READERS: dict[str, Callable[[Path], Samples]] = {
    "bcdr": bcdr.samples,
    "cbis_ddsm": cbis_ddsm.samples,
    "ddsm": ddsm.samples,
    "inbreast": inbreast.samples,
    "mini_mias": mini_mias.samples,
    "node_results": node_results.samples,
    "rsna_2022": rsna_2022.samples,
    "vindr_mammo": vindr_mammo.samples,
}
# These need a description of what stands where, and what its words mean.
DESCRIBED: dict[str, Callable[[Path, Path], Samples]] = {
    "coco": coco.samples,
    "table": table.samples,
}
NAMES = tuple(sorted([*READERS, *DESCRIBED]))


def samples(name: str, folder: Path, description: Path | None = None) -> Samples:
    """Read a folder as one data set."""
    if name not in NAMES:
        raise Refused(f"there is no reader {name!r}: there are {', '.join(NAMES)}")
    if not folder.is_dir():
        raise Refused(f"{folder} is no folder")
    if name in READERS:
        if description is not None:
            raise Refused(f"{name} has one form and needs no description: leave {description} out")
        found = READERS[name](folder)
    else:
        found = DESCRIBED[name](folder, description or folder / DESCRIPTION)
    if not found:
        why = ", ".join(f"{times} {what}" for what, times in found.dropped.items())
        raise Refused(f"{folder} holds no image that can be used: {why or 'none is listed'}")
    return found
