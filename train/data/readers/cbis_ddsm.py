"""CBIS-DDSM, curated film mammograms: as the archive gives it away, or resized to squares."""

from pathlib import Path

from train.data.readers import cbis_archive, cbis_resized
from train.data.readers.cbis_tables import TABLES
from train.data.sample import Samples
from train.errors import Refused


def samples(folder: Path) -> Samples:
    """Read whichever form lies in the folder."""
    if (folder / cbis_resized.LABELS).is_file():
        return cbis_resized.samples(folder)
    if any(folder.glob(TABLES)):
        return cbis_archive.samples(folder)
    raise Refused(
        f"{folder} holds neither {cbis_resized.LABELS} nor {TABLES}: "
        "name the folder in which the data set's tables lie"
    )
