"""CBIS-DDSM, curated film mammograms: as the archive gives it away, or resized to squares."""

from pathlib import Path

from train.data.readers import cbis_resized
from train.data.sample import Samples
from train.errors import Refused


def samples(folder: Path) -> Samples:
    """Read whichever form lies in the folder."""
    if (folder / cbis_resized.LABELS).is_file():
        return cbis_resized.samples(folder)
    raise Refused(
        f"{folder} holds no {cbis_resized.LABELS}: "
        "name the folder in which the data set's tables lie"
    )
