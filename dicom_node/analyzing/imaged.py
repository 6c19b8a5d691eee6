"""By which device an exam was imaged, in words that no header can choose."""

import hashlib
from collections.abc import Sequence

from pydicom import Dataset

from dicom_node import facts
from dicom_node.analyzing.rules import JudgedStudy
from dicom_node.ledger.tables import Instance

MAKERS = (
    *("agfa", "bemems", "carestream", "fischer", "fuji", "genoray", "giotto", "hologic", "ims"),
    *("kodak", "konica", "lorad", "metaltronica", "philips", "planmed", "sectra", "siemens"),
    *("villa", "general electric", "ge "),
)
SEVERAL, UNKNOWN = "several devices", "unknown"


def imaged_by(images: Sequence[Instance], study: JudgedStudy) -> str:
    """Name the device of the images that are read: who sent them, its maker, and a number.

    The number stands for manufacturer, model and software versions: other software is another
    device. Their words themselves are not kept, since a header may hold anything.
    """
    names = {
        f"{image.caller}: {facts.or_nothing(_made, one.header) or UNKNOWN}"
        for image, one in zip(images, study.images, strict=True)
        if one.declined is None
    }
    return names.pop() if len(names) == 1 else SEVERAL


def _made(header: Dataset) -> str:
    said = [
        "\\".join(facts.words(header, word))
        for word in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions")
    ]
    lower = f"{said[0].lower()} "
    maker = next((one.strip() for one in MAKERS if one in lower), "another maker")
    number = hashlib.sha256("\n".join(said).encode()).hexdigest()[:6]
    return f"{maker} {number}"
