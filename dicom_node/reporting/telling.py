"""Tell of a case that has no result: its notice, for each destination that wants one.

It is a CAD report for whoever wants those, and a picture for whoever wants pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydicom import Dataset, config
from pydicom.uid import (
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)

from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.tables import Case, Instance, Product
from dicom_node.ledger.tellings import telling
from dicom_node.life import State
from dicom_node.reporting import cad_sr, notice, notice_picture, secondary_capture
from dicom_node.reporting.circumstances import Circumstances, Predecessor
from dicom_node.reporting.notice import Attempt, Ending
from dicom_node.reporting.notice_proof import prove_notice
from dicom_node.reporting.outgoing import Wish, Workshop, kept, maker_for, owed, profiles_for
from dicom_node.reporting.past import has_told, rounds_before
from dicom_node.reporting.profile import Profile
from dicom_node.reporting.report import Built
from dicom_node.reporting.tidy import tidy
from dicom_node.reporting.turn import report
from dicom_node.reporting.unread import Unread, kept_header, view_in

MAMMOGRAMS = {
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
}
WISHES = (  # whoever wants the one wants to know why there is none
    Wish(notice.KIND, cad_sr.KIND),
    Wish(notice_picture.KIND, secondary_capture.KIND),
)
UNTOLD = {
    "S01": "nobody knows whose notice it would be",
    "S06": "the former result stands, and a notice would hide it",
}


def report_or_tell(shop: Workshop, case_id: int) -> None:
    """Report a case that was analyzed; tell of one that has ended without a result."""
    case = shop.questions.case(case_id)
    if case is not None and case.telling is not None:
        tell(shop, case_id)
    else:
        report(shop, case_id)


def tell(shop: Workshop, case_id: int) -> None:
    """Take a case's turn: write the notices of how it ended, and leave them in the outbox."""
    with telling(shop.ledger, case_id) as turn:
        case = shop.questions.case(case_id)
        assert case is not None
        assert case.telling is not None
        if quiet := UNTOLD.get(case.reason.partition(":")[0]) or _outdated(shop, case):
            turn.remark = f"no notice: {quiet}"
            return
        images = [one for one in _of_this_round(shop, case) if one.sop_class_uid in MAMMOGRAMS]
        seen = tuple(_images(shop, case, images))
        if not seen:
            turn.remark = "no notice: there is no mammogram that it could speak of"
            return
        recalled, standing = rounds_before(shop.questions, case)
        stands = any(has_told(shop.questions, former) for former in standing)
        ending = Ending(case.telling, case.reason, seen, _attempts(shop, case), stands)
        written = shop.questions.products_of(case_id)
        known = {product.sop_uid for product in written}
        for number, (wish, profile) in enumerate(_wanted(shop), start=1):
            circumstances = Circumstances(
                case.round,
                by_the_clock().astimezone(),
                _former(case, written, wish.kind, profile),
                0,
                recalled=recalled,
            )
            dataset = _proved(shop, wish.kind, ending, circumstances, profile)
            if str(dataset.SOPInstanceUID) not in known:  # it failed in the same way before
                name = f"{len(written) + number:02d}-{wish.kind}.dcm"
                product = kept(shop, turn, Built(wish.kind, dataset), profile, name)
                turn.leave(product, *owed(shop, images, product, wish))
        if turn.rows:
            turn.remark = f"a notice is written: {case.telling}"


def _wanted(shop: Workshop) -> list[tuple[Wish, Profile]]:
    """List in which forms the destinations want a notice, each way once."""
    return [(wish, profile) for wish in WISHES for profile in profiles_for(shop, wish)]


def _outdated(shop: Workshop, case: Case) -> str:
    """Say why a notice would come too late: it would seem to be the newest word on the study."""
    if shop.questions.recall_of(case.id) is not None:
        return "what this case told was recalled meanwhile"
    for one in shop.questions.cases_of(case.study_uid):
        if one.round > case.round and has_told(shop.questions, one):
            return f"round {one.round} has a result meanwhile"
    return ""


def _of_this_round(shop: Workshop, case: Case) -> Sequence[Instance]:
    """Return the images that came in this round; one opened by hand is about those before it."""
    received = [one for one in shop.questions.images_of(case) if one.purged_at is None]
    return [image for image in received if image.case_id == case.id] or received


def _images(shop: Workshop, case: Case, images: Sequence[Instance]) -> Iterator[Unread]:
    """Describe images, each with the rule that declined it."""
    verdicts = shop.questions.verdicts_of(case.id)
    for image in images:
        header = kept_header(shop.spool, image)
        verdict = verdicts.get(image.id)
        code, sentence = (verdict.code, verdict.sentence) if verdict else ("", "")
        yield Unread(tidy(header), view_in(header), code, sentence)


def _attempts(shop: Workshop, case: Case) -> tuple[Attempt, ...]:
    """List the bundles that failed; of a declined study none was asked."""
    if case.telling is not State.FAILED:
        return ()
    return tuple(
        Attempt(card.system, card.version, card.weights_sha256, card.marks, card.judges)
        for card in shop.cards()
    )


def _former(
    case: Case, written: Sequence[Product], kind: str, profile: Profile
) -> Predecessor | None:
    """Name the notice of an earlier failure of this case."""
    former = [one for one in written if one.kind == kind and one.profile == profile.words]
    if not former:
        return None
    last = former[-1]
    return Predecessor(last.sop_class_uid, last.sop_uid, last.series_uid, case.round)


def _proved(
    shop: Workshop, kind: str, ending: Ending, circumstances: Circumstances, profile: Profile
) -> Dataset:
    circumstances = replace(circumstances, edition=profile.words)
    with config.disable_value_validation():
        maker = maker_for(shop, profile)
        if kind == notice_picture.KIND:
            dataset = notice_picture.notice_picture(ending, maker, circumstances)
        else:
            dataset = notice.notice(ending, maker, circumstances, profile.dialect)
    dataset.file_meta.TransferSyntaxUID = profile.transfer_syntax_uid
    prove_notice(dataset, ending, circumstances, profile)
    return dataset
