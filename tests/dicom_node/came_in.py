"""An image, or a study, that came in, kept and written down as the listener does it."""

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset

from dicom_node.ledger.arrivals import Arrival, keep_row
from dicom_node.life import State
from dicom_node.receiving.header import view_of
from dicom_node.spool import data_set_digest
from dicom_node.wiring import Node
from phantom.dicom import write


def came_in(node: Node, image: Dataset, content: bytes, name: str, digest: str) -> int:
    """Keep an image under a name in the spool, and return its case."""
    node.spool.write(name, content)
    arrival = Arrival(
        association_id=None,
        caller="MODALITY",
        address="127.0.0.1",
        study_uid=str(image.StudyInstanceUID),
        series_uid=str(image.SeriesInstanceUID),
        sop_uid=str(image.SOPInstanceUID),
        sop_class_uid=str(image.SOPClassUID),
        transfer_syntax_uid=str(image.file_meta.TransferSyntaxUID),
        view=view_of(image),
        size_bytes=len(content),
        digest=digest,
    )
    with node.ledger.writing() as session:
        return keep_row(node.ledger, session, arrival, name).id


def received(node: Node, images: Sequence[Dataset], folder: Path) -> int:
    """Bring a study to where it waits to be read, and return its case."""
    case_id = 0
    for path, image in zip(write(images, folder), images, strict=True):
        digest = data_set_digest(path)
        name = node.spool.image_name(str(image.SOPInstanceUID), digest)
        case_id = came_in(node, image, path.read_bytes(), name, digest)
    node.ledger.move(case_id, State.RECEIVING, State.RECEIVED)
    return case_id
