"""Report one case: findings -> objects, each proved, written and owed to whoever wants it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset, dcmread

from dicom_node.ledger.ledger import Ledger, Turn, now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Base, Case, Delivery, Instance, Product
from dicom_node.life import REPORT, Receipt
from dicom_node.reporting import cad_sr
from dicom_node.reporting.circumstances import Circumstances, Predecessor
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import KINDS
from dicom_node.reporting.report import report as build
from dicom_node.settings import Destination, Settings
from dicom_node.spool import Spool
from inference.transcript import unpack


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the reporting of a case needs."""

    ledger: Ledger
    questions: Questions
    spool: Spool
    settings: Settings
    code_version: str


def report(shop: Workshop, case_id: int) -> None:
    """Take a case's turn: build what the destinations want, prove it, and leave it in the outbox.

    The bytes that were proved are the bytes that are kept and sent; nothing is built twice.
    """
    with shop.ledger.turn(case_id, REPORT) as turn:
        case, run = shop.questions.case(case_id), shop.questions.run_of(case_id)
        assert case is not None
        assert run is not None
        exam = unpack(shop.spool.read(run.findings_path, run.findings_sha256))
        images = shop.questions.images_of(case)
        seen = {view.sop_instance_uid for view in exam.views}
        headers = [
            dcmread(shop.spool.path(image.path), stop_before_pixels=True)
            for image in images
            if image.sop_uid in seen
        ]
        destinations = shop.settings.delivering.destinations
        wanted = frozenset(kind for one in destinations for kind in one.objects) or KINDS
        circumstances = Circumstances(
            case.round,
            run.made_at,
            _predecessor(shop, case),
            sum(image.case_id == case_id for image in images),
        )
        for built in build(headers, exam, _maker(shop), circumstances, wanted):
            prove(built.dataset, headers, exam)
            product = _kept(shop, turn, built.kind, built.dataset)
            turn.leave(product)
            turn.leave(*_owed(shop, images, product, destinations))
        kinds = [row.kind for row in turn.rows if isinstance(row, Product)]
        turn.remark = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def _maker(shop: Workshop) -> Maker:
    reporting = shop.settings.reporting
    return Maker(
        manufacturer=reporting.manufacturer,
        model=reporting.model,
        software_version=shop.code_version,
        serial_number=reporting.serial_number,
        research_statement=reporting.research_statement,
    )


def _predecessor(shop: Workshop, case: Case) -> Predecessor | None:
    former = shop.questions.predecessor_of(case, cad_sr.KIND)
    if former is None:
        return None
    return Predecessor(former.sop_class_uid, former.sop_uid, former.series_uid)


def _kept(shop: Workshop, turn: Turn, kind: str, dataset: Dataset) -> Product:
    """Write an object to the spool and describe it."""
    content = encoded(dataset)
    number = sum(isinstance(row, Product) for row in turn.rows) + 1
    path = shop.spool.case_name(turn.case_id, turn.lease, f"{number:02d}-{kind}.dcm")
    return Product(
        case_id=turn.case_id,
        kind=kind,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_uid=str(dataset.SOPInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        size_bytes=len(content),
        sha256=shop.spool.write(path, content),
        path=path,
        made_at=now(),
    )


def _owed(
    shop: Workshop,
    images: Sequence[Instance],
    product: Product,
    destinations: Sequence[Destination],
) -> list[Base]:
    """Owe an object to each destination that asks for its kind."""
    at = now()
    return [
        Delivery(
            product=product,
            case_id=product.case_id,
            destination=destination.name,
            target=_sender(shop, images) if destination.return_to_sender else "",
            receipt=Receipt.OWED,
            attempts=0,
            due_at=at,
            owed_since=at,
            last_error="",
        )
        for destination in destinations
        if product.kind in destination.objects
    ]


def _sender(shop: Workshop, images: Sequence[Instance]) -> str:
    """Name whoever sent the last image, as AE@host:port."""
    last = images[-1]
    ports = [
        caller.return_port
        for caller in shop.settings.receiving.callers
        if caller.ae_title == last.caller
    ]
    return f"{last.caller}@{last.address}:{ports[0] if ports else 104}"
