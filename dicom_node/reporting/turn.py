"""Report one case: findings -> objects, each proved, written and owed to whoever wants it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pydicom import Dataset

from dicom_node.errors import Busy, Lost
from dicom_node.ledger.ledger import now
from dicom_node.ledger.questions import NOTICES
from dicom_node.ledger.removals import came_by
from dicom_node.ledger.tables import Case, Instance, Lesion, ModelRun, Product
from dicom_node.life import REPORT, State
from dicom_node.reporting.circumstances import Circumstances, Predecessor
from dicom_node.reporting.common_proof import Origin
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.outgoing import Wish, Workshop, kept, maker_for, owed, profiles_for
from dicom_node.reporting.past import Past, left_out, remembered
from dicom_node.reporting.profile import PLAIN, Profile, point_in
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import KINDS, Built
from dicom_node.reporting.report import report as build
from dicom_node.reporting.shown import shown
from dicom_node.reporting.sources import edition_words
from dicom_node.reporting.tidy import tidy
from dicom_node.reporting.unread import Unread, kept_header, not_received, view_in
from dicom_node.reporting.whole_proof import prove_whole
from inference.decoding.files import open_file
from inference.findings import ExamFindings
from inference.transcript import unpack

FORMER_WAIT = timedelta(seconds=2)
UNREPORTED = {State.RECEIVED, State.ANALYZING, State.ANALYZED, State.REPORTING}


class NotReadThere(Exception):
    """Say at which operating point a study was not read, though somebody wants that."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What the objects of a case are made of, whoever wants them."""

    images: Sequence[Instance]
    headers: list[Dataset]
    exams: dict[str, ExamFindings]  # by operating point; "" is the node's own
    lightbox: Lightbox
    unread: tuple[Unread, ...]
    remarks: tuple[str, ...]  # of the study, for every text
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
        material, lesions = _material(shop, case, run)
        turn.leave(*lesions)
        counts = Counter[str]()
        for wish, profile, built in _objects(shop, case, run, material):
            counts[wish.kind] += 1
            name = f"{sum(counts.values()):02d}-{wish.kind}.dcm"
            product = kept(shop, turn, built, profile, name)
            turn.leave(product, *owed(shop, material.images, product, wish))
        turn.remark = ", ".join(f"{count} {kind}" for kind, count in counts.items())


def built_again(shop: Workshop, case: Case, run: ModelRun) -> Iterator[Built]:
    """Build a case's objects once more from its record; nothing is kept or owed."""
    material, _ = _material(shop, case, run)
    for _, _, built in _objects(shop, case, run, material):
        yield built


def _material(shop: Workshop, case: Case, run: ModelRun) -> tuple[Material, list[Lesion]]:
    """Gather what the objects are made of, and what the lesions are called from now on."""
    exams = _read_at(shop, run)
    exam = exams[""]
    images = shop.questions.images_of(case)
    if gone := sum(image.purged_at is not None for image in images):
        raise Lost(f"{gone} of the images that were read are no longer kept here")
    past, lesions = remembered(shop.questions, shop.spool, case, exam)
    unread = tuple(_unread(shop, case, images, exam))
    required = shop.settings.receiving.required_views
    material = Material(
        images,
        _headers(shop, images, exam),
        exams,
        _lightbox(shop, images),
        unread,
        (*not_received(required, _came(images, exam, unread)), *_not_kept(shop, case, images)),
        past,
    )
    return material, lesions


def _objects(
    shop: Workshop, case: Case, run: ModelRun, material: Material
) -> Iterator[tuple[Wish, Profile, Built]]:
    """Build and prove what the destinations want."""
    for wish, profile in _wanted(shop, run.operating_point):
        circumstances = _circumstances(shop, case, material, wish.kind, profile, run)
        for built in _proved(shop, wish.kind, profile, material, circumstances):
            yield wish, profile, built


def _after_the_former(shop: Workshop, case: Case) -> None:
    """Wait for the round before: this one's reports name those that they replace."""
    for former in shop.questions.cases_of(case.study_uid):
        if former.round < case.round and former.state in UNREPORTED:
            raise Busy(f"round {former.round} is not reported yet", now() + FORMER_WAIT)


def _headers(shop: Workshop, images: Sequence[Instance], exam: ExamFindings) -> list[Dataset]:
    """Read the headers of the images that were read."""
    seen = {view.sop_instance_uid for view in exam.views}
    return [kept_header(shop.spool, image) for image in images if image.sop_uid in seen]


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
        header = kept_header(shop.spool, image)
        view = view_in(header)
        missed = bool(view) and view not in read
        yield Unread(tidy(header), view, verdict.code, verdict.sentence, missed)


def _came(images: Sequence[Instance], exam: ExamFindings, unread: Sequence[Unread]) -> set[str]:
    """Name the views that any image shows, read or not."""
    read = {f"{view.side}{view.projection}" for view in exam.views}
    return read | {image.view for image in images} | {one.view for one in unread}


def _not_kept(shop: Workshop, case: Case, images: Sequence[Instance]) -> Iterator[str]:
    """Tell of images that were removed before this round, and could not be read when they came."""
    came = came_by(shop.questions, case.study_uid, case.id)
    if count := len(came - {image.sop_uid for image in images}):
        images_are = (
            "1 image that came earlier and is"
            if count == 1
            else f"{count} images that came earlier and are"
        )
        yield f"Not read: {images_are} no longer kept."


def _lightbox(shop: Workshop, images: Sequence[Instance]) -> Lightbox:
    """Open images with their pixels when an object shows them, and not before."""
    names = {image.sop_uid: image.path for image in images}
    return Lightbox(lambda sop_uid: open_file(shop.spool.path(names[sop_uid])))


def _wanted(shop: Workshop, operating_point: str) -> list[tuple[Wish, Profile]]:
    """List what the destinations want, each only once however many want it."""
    destinations = shop.settings.delivering.destinations
    kinds = {kind for one in destinations for kind in one.objects} if destinations else KINDS
    wishes = [Wish(kind, kind, operating_point) for kind in sorted(kinds)]
    if not destinations:
        return [(wish, PLAIN) for wish in wishes]
    return [(wish, profile) for wish in wishes for profile in profiles_for(shop, wish)]


def _read_at(shop: Workshop, run: ModelRun) -> dict[str, ExamFindings]:
    """Return what stands at each operating point that somebody wants; "" is the node's own."""
    own = unpack(shop.spool.read(run.findings_path, run.findings_sha256))
    wanted = {one.operating_point for one in shop.settings.delivering.destinations}
    elsewhere = wanted - {"", run.operating_point}
    if unknown := elsewhere - set(run.elsewhere):
        raise NotReadThere(
            f"the study was not read at operating point {', '.join(sorted(unknown))}, which a "
            "destination wants; take it out of delivering.destinations, or use a bundle that has it"
        )
    return {"": own} | {
        point: unpack(shop.spool.read(run.elsewhere[point]["path"], run.elsewhere[point]["sha256"]))
        for point in elsewhere
    }


def _proved(
    shop: Workshop,
    kind: str,
    profile: Profile,
    material: Material,
    circumstances: Circumstances,
) -> Iterator[Built]:
    """Build one kind of object as a destination wants it; prove each, and that all are there."""
    exam = material.exams[profile.operating_point]
    what, names = shown(exam, profile), material.past.names_of(exam)
    remarks = (*material.remarks, *what.remarks)
    circumstances = replace(
        circumstances,
        unread=material.unread,
        remarks=remarks,
        names=names,
        unshown=left_out(exam, what.exam, names),
        before=material.past.told_to(profile),
        recalled=material.past.recalled,
        given=what.given,
    )
    maker, made = maker_for(shop, profile), []
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
            remarks=remarks,
            origin=Origin(maker, circumstances),
        )
        made.append(built.dataset)
        yield built
    prove_whole(kind, made, what.exam)


def _circumstances(
    shop: Workshop,
    case: Case,
    material: Material,
    kind: str,
    profile: Profile,
    run: ModelRun,
) -> Circumstances:
    """Say when this is written and what it replaces; each object names its own predecessor."""
    products = shop.questions.predecessors_of(case, kind, profile.words)
    former = tuple(_predecessor(shop, product) for product in products)
    since = products[0].case_id if products else case.id - 1
    added = {image.sop_uid for image in material.images if image.case_id > since}
    added -= came_by(shop.questions, case.study_uid, since)  # what was removed and came again
    return Circumstances(
        case.round,
        run.made_at.astimezone(),  # the clock on the wall, as the images have it
        former[0] if former else None,
        len(added),
        former,
        views_added=tuple(
            f"{view.side}{view.projection}"
            for view in material.exams[""].views
            if view.sop_instance_uid in added
        ),
        settings=run.settings_digest,
    )


def _predecessor(shop: Workshop, product: Product) -> Predecessor:
    case, run = shop.questions.case(product.case_id), shop.questions.run_of(product.case_id)
    assert case is not None
    is_notice = product.kind in NOTICES  # of a case that nobody read, or not to its end
    return Predecessor(
        product.sop_class_uid,
        product.sop_uid,
        product.series_uid,
        case.round,
        "" if is_notice or run is None else _made_of(run, product),
        is_notice,
    )


def _made_of(run: ModelRun, product: Product) -> str:
    return edition_words(run, product.profile, point_in(product.profile))
