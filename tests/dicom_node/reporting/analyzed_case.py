"""A node whose one case was read: its images, without pixels, and findings lie in the spool."""

import hashlib
from collections.abc import Sequence
from io import BytesIO

from came_in import came_in
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import select
from sqlalchemy.orm import Session

from dicom_node.analyzing.analyze import _rows
from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Delivery, ModelRun, Product
from dicom_node.life import ANALYZE, State
from dicom_node.reporting.outgoing import Workshop
from dicom_node.reporting.turn import report
from dicom_node.wiring import Node
from inference.findings import ExamFindings
from inference.transcript import pack


def workshop(node: Node) -> Workshop:
    return Workshop(node.ledger, node.questions, node.spool, node.settings, "1.0")


def kept(node: Node, headers: Sequence[Dataset]) -> int:
    """Keep images that came in, and close their round."""
    case_id = 0
    for number, header in enumerate(headers):
        content = _file(header)
        name = f"images/{number}-{header.SOPInstanceUID}.dcm"
        case_id = came_in(node, header, content, name, hashlib.sha256(content).hexdigest())
    node.ledger.move(case_id, State.RECEIVING, State.RECEIVED)
    return case_id


def analyzed(node: Node, headers: Sequence[Dataset], exam: ExamFindings) -> int:
    """Bring a study to where its report is to be written."""
    case_id = kept(node, headers)
    read(node, case_id, exam)
    return case_id


def read(node: Node, case_id: int, exam: ExamFindings) -> None:
    """Leave a reading of a case."""
    with node.ledger.turn(case_id, ANALYZE) as turn:
        path = node.spool.case_name(case_id, turn.lease, "findings.json")
        turn.leave(
            ModelRun(
                case_id=case_id,
                system=exam.system,
                bundle="b",
                version=exam.version,
                digest=exam.digest,
                operating_point=exam.operating_point,
                code_version="1.0",
                settings_digest="0" * 64,
                device="cpu",
                seconds=0.1,
                cancer_score=exam.cancer_score,
                findings_count=len(exam.findings),
                findings_path=path,
                findings_sha256=node.spool.write(path, pack(exam)),
                made_at=now(),
            ),
            *_rows(turn, exam),
        )


def reported(node: Node, headers: Sequence[Dataset], exam: ExamFindings) -> int:
    case_id = analyzed(node, headers, exam)
    report(workshop(node), case_id)
    return case_id


def owed(node: Node, destination: str, kind: str = "cad_sr") -> list[Dataset]:
    """Read the objects of a kind that a destination is owed."""
    with Session(node.engine) as session:
        products = session.scalars(
            select(Product)
            .join(Delivery, Delivery.product_id == Product.id)
            .where(Delivery.destination == destination, Product.kind == kind)
            .order_by(Product.id)
        ).all()
    return [dcmread(node.spool.path(product.path)) for product in products]


def _file(header: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, header, enforce_file_format=True)
    return buffer.getvalue()
