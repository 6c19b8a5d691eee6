"""Report one case: findings -> objects, each proved, written and owed to whoever wants it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydicom import Dataset, dcmread

from dicom_node.errors import Busy
from dicom_node.ledger.ledger import Ledger, Turn, now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Case, Delivery, Instance, Product
from dicom_node.life import REPORT, Receipt, State
from dicom_node.reporting.circumstances import Circumstances, Predecessor
from dicom_node.reporting.common_proof import Origin
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.maker import Maker, maker_of
from dicom_node.reporting.past import Past, remembered
from dicom_node.reporting.profile import PLAIN, Profile, profile_of
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import KINDS, Built
from dicom_node.reporting.report import report as build
from dicom_node.reporting.shown import shown
from dicom_node.reporting.sources import edition_words
from dicom_node.reporting.tidy import tidy
from dicom_node.reporting.unread import Unread
from dicom_node.settings import VIEWS, Destination, Settings
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


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What the objects of a case are made of, whoever wants them."""

    headers: list[Dataset]
    exam: ExamFindings
    lightbox: Lightbox
    unread: tuple[Unread, ...]
    past: Past


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
        past, lesions = remembered(shop.questions, shop.spool, case, exam)
        turn.leave(*lesions)
        material = Material(
            _headers(shop, images, exam),
            exam,
            _lightbox(shop, images),
            tuple(_unread(shop, case, images, exam)),
            past,
        )
        counts = Counter[str]()
        made_at = run.made_at.astimezone()  # the clock on the wall, as the images have it
        for kind, profile in _wanted(shop):
            circumstances = _circumstances(shop, case, images, kind, profile, made_at)
            for built in _proved(shop, kind, profile, material, circumstances):
                counts[kind] += 1
                product = _kept(shop, turn, built, profile, sum(counts.values()))
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


def _unread(
    shop: Workshop, case: Case, images: Sequence[Instance], exam: ExamFindings
) -> Iterator[Unread]:
    """Tell of the images that were not read, and of which view there is no other one."""
    verdicts = shop.questions.verdicts_of(case.id)
    read = {f"{view.side}{view.projection}" for view in exam.views}
    for image in images:
        verdict = verdicts.get(image.id)
        if verdict is None or not verdict.code:
            continue
        view = image.view if image.view in VIEWS else ""
        missed = bool(view) and view not in read
        header = tidy(dcmread(shop.spool.path(image.path), stop_before_pixels=True))
        yield Unread(header, view, verdict.code, verdict.sentence, missed)


def _lightbox(shop: Workshop, images: Sequence[Instance]) -> Lightbox:
    """Open images with their pixels when an object shows them, and not before."""
    paths = {image.sop_uid: shop.spool.path(image.path) for image in images}
    return Lightbox(lambda sop_uid: dcmread(paths[sop_uid]))


def _wanted(shop: Workshop) -> list[tuple[str, Profile]]:
    """List what the destinations want, each only once however many want it."""
    destinations = shop.settings.delivering.destinations
    if not destinations:
        return [(kind, PLAIN) for kind in sorted(KINDS)]
    wanted = {(kind, _profile(shop, one).of(kind)) for one in destinations for kind in one.objects}
    return sorted(wanted, key=lambda wish: (wish[0], wish[1].words))


def _profile(shop: Workshop, destination: Destination) -> Profile:
    return profile_of(destination, shop.settings.reporting)


def _proved(
    shop: Workshop,
    kind: str,
    profile: Profile,
    material: Material,
    circumstances: Circumstances,
) -> Iterator[Built]:
    """Build one kind of object as a destination wants it, and prove it."""
    what = shown(material.exam, profile)
    circumstances = replace(
        circumstances,
        unread=material.unread,
        remarks=what.remarks,
        names=material.past.names,
        before=material.past.told_to(profile),
        recalled=material.past.recalled,
    )
    maker = _maker(shop, profile)
    for built in build(
        material.headers,
        what.exam,
        maker,
        circumstances,
        frozenset({kind}),
        profile,
        lightbox=material.lightbox,
    ):
        prove(
            built.dataset,
            material.headers,
            what.exam,
            material.lightbox,
            profile=profile,
            unread=material.unread,
            remarks=what.remarks,
            origin=Origin(maker, circumstances),
        )
        yield built


def _maker(shop: Workshop, profile: Profile) -> Maker:
    own = maker_of(shop.settings.reporting, shop.code_version)
    return replace(
        own,
        manufacturer=profile.manufacturer or own.manufacturer,
        model=profile.model or own.model,
    )


def _circumstances(
    shop: Workshop,
    case: Case,
    images: Sequence[Instance],
    kind: str,
    profile: Profile,
    made_at: datetime,
) -> Circumstances:
    """Say when this is written and what it replaces; each object names its own predecessor."""
    products = shop.questions.predecessors_of(case, kind, profile.words)
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
        product.sop_class_uid,
        product.sop_uid,
        product.series_uid,
        case.round,
        edition_words(run, product.profile),
    )


def _kept(shop: Workshop, turn: Turn, built: Built, profile: Profile, number: int) -> Product:
    """Write an object to the spool and describe it."""
    dataset, content = built.dataset, encoded(built.dataset)
    path = shop.spool.case_name(turn.case_id, turn.lease, f"{number:02d}-{built.kind}.dcm")
    return Product(
        case_id=turn.case_id,
        kind=built.kind,
        profile=profile.words,
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        sop_class_uid=str(dataset.SOPClassUID),
        sop_uid=str(dataset.SOPInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        size_bytes=len(content),
        sha256=shop.spool.write(path, content),
        path=path,
        made_at=now(),
    )


def _owed(shop: Workshop, images: Sequence[Instance], product: Product) -> list[Delivery]:
    """Owe an object to each destination that asks for its kind, made in this way."""
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
        and _profile(shop, destination).of(product.kind).words == product.profile
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
