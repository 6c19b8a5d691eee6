"""An image that came in, kept and written down as the listener does it."""

from pydicom import Dataset

from dicom_node.ledger.arrivals import Arrival, keep_row
from dicom_node.receiving.header import view_of
from dicom_node.wiring import Node


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
