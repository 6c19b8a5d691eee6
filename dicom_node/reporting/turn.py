"""Report one case: findings -> objects, each proved, written and owed to whoever wants it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom import Dataset, dcmread

from dicom_node.errors import Busy
from dicom_node.ledger.ledger import Ledger, Turn, now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Case, Delivery, Instance, Product
from dicom_node.life import REPORT, Receipt, State
from dicom_node.reporting.circumstances import Circumstances, Predecessor
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import KINDS, Built
from dicom_node.reporting.report import report as build
from dicom_node.reporting.sources import bundle_words
from dicom_node.settings import Settings
from dicom_node.spool import Spool
from inference.findings import ExamFindings
from inference.transcript import unpack

FORMER_WAIT = timedelta(seconds=2)
UNREPORTED = {State.RECEIVED, State.ANALYZING, State.ANALYZED, State.REPORTING}


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
        _after_the_former(shop, case)
        exam = unpack(shop.spool.read(run.findings_path, run.findings_sha256))
        images = shop.questions.images_of(case)
        headers = _headers(shop, images, exam)
        lightbox = _lightbox(shop, images)
        counts = Counter[str]()
        made_at = run.made_at.astimezone()  # the clock on the wall, as the images have it
        for built in _built(shop, case, images, headers, exam, made_at, lightbox=lightbox):
            prove(built.dataset, headers, exam, lightbox)
            counts[built.kind] += 1
            product = _kept(shop, turn, built, sum(counts.values()))
            turn.leave(product, *_owed(shop, images, product))
        turn.remark = ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _after_the_former(shop: Workshop, case: Case) -> None:
    """Wait for the round before: this one's reports name those that they replace."""
    for former in shop.questions.cases_of(case.study_uid):
        if former.round < case.round and former.state in UNREPORTED:
            raise Busy(f"round {former.round} is not reported yet", now() + FORMER_WAIT)


def _headers(shop: Workshop, images: Sequence[Instance], exam: ExamFindings) -> list[Dataset]:
    """Read the headers of the images that were read."""
    seen = {view.sop_instance_uid for view in exam.views}
    return [
        dcmread(shop.spool.path(image.path), stop_before_pixels=True)
        for image in images
        if image.sop_uid in seen
    ]


def _lightbox(shop: Workshop, images: Sequence[Instance]) -> Lightbox:
    """Open images with their pixels when an object shows them, and not before."""
    paths = {image.sop_uid: shop.spool.path(image.path) for image in images}
    return Lightbox(lambda sop_uid: dcmread(paths[sop_uid]))


def _built(  # noqa: PLR0913 - what objects follow from, each by its name
    shop: Workshop,
    case: Case,
    images: Sequence[Instance],
    headers: Sequence[Dataset],
    exam: ExamFindings,
    made_at: datetime,
    *,
    lightbox: Lightbox,
) -> Iterator[Built]:
    """Build each wanted kind; each names its own predecessor."""
    destinations = shop.settings.delivering.destinations
    wanted = {kind for one in destinations for kind in one.objects} if destinations else KINDS
    for kind in sorted(wanted):
        circumstances = _circumstances(shop, case, images, kind, made_at)
        yield from build(
            headers, exam, _maker(shop), circumstances, frozenset({kind}), lightbox=lightbox
        )


def _maker(shop: Workshop) -> Maker:
    reporting = shop.settings.reporting
    return Maker(
        manufacturer=reporting.manufacturer,
        model=reporting.model,
        software_version=shop.code_version,
        serial_number=reporting.serial_number,
        research_statement=reporting.research_statement,
    )


def _circumstances(
    shop: Workshop, case: Case, images: Sequence[Instance], kind: str, made_at: datetime
) -> Circumstances:
    products = shop.questions.predecessors_of(case, kind)
    if not products:
        added = sum(image.case_id == case.id for image in images)
        return Circumstances(case.round, made_at, None, added)
    former = tuple(_predecessor(shop, product) for product in products)
    added = sum(image.case_id > products[0].case_id for image in images)
    return Circumstances(case.round, made_at, former[0], added, former)


def _predecessor(shop: Workshop, product: Product) -> Predecessor:
    case, run = shop.questions.case(product.case_id), shop.questions.run_of(product.case_id)
    assert case is not None
    assert run is not None
    return Predecessor(
        product.sop_class_uid, product.sop_uid, product.series_uid, case.round, bundle_words(run)
    )


def _kept(shop: Workshop, turn: Turn, built: Built, number: int) -> Product:
    """Write an object to the spool and describe it."""
    dataset, content = built.dataset, encoded(built.dataset)
    path = shop.spool.case_name(turn.case_id, turn.lease, f"{number:02d}-{built.kind}.dcm")
    return Product(
        case_id=turn.case_id,
        kind=built.kind,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_uid=str(dataset.SOPInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        size_bytes=len(content),
        sha256=shop.spool.write(path, content),
        path=path,
        made_at=now(),
    )


def _owed(shop: Workshop, images: Sequence[Instance], product: Product) -> list[Delivery]:
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
        for destination in shop.settings.delivering.destinations
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
