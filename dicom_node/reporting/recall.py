"""Take back what a case told: whoever has its objects gets a note, and nobody gets more of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO

from pydicom import Dataset, dcmread

from dicom_node.errors import NotYourTurn
from dicom_node.ledger.ledger import now
from dicom_node.ledger.questions import Debt
from dicom_node.ledger.recalls import recall_case, said_before
from dicom_node.ledger.tables import Case, Delivery, Product, Recall
from dicom_node.life import Receipt
from dicom_node.reporting import codes
from dicom_node.reporting.codes import Concept
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import maker_of
from dicom_node.reporting.outgoing import Workshop
from dicom_node.reporting.rejection import KIND, Recalling, Rejected, rejection
from dicom_node.reporting.rejection_proof import prove_rejection

FOLDER = "recall"


@dataclass(frozen=True, slots=True)
class Holder:
    """One destination, and the objects of the case that it has."""

    destination: str
    target: str
    products: tuple[Product, ...]


def recall(shop: Workshop, case: Case, code: str, by: str) -> str:
    """Recall a case, and say what that did.

    A note names exactly what its destination has: an archive may refuse one that names more.
    Destinations that have the same objects get the same note.
    """
    if former := shop.questions.recall_of(case.id):
        raise NotYourTurn(said_before(former))
    debts = shop.questions.debts_of(case.id)
    if not debts:
        raise NotYourTurn(f"case {case.id} ({case.state}) has sent nothing: nothing to recall")
    at, reason = now(), codes.REJECTIONS[code]
    notes = list(_notes(shop, case, reason, at, list(_holders(debts))))
    row = Recall(
        case_id=case.id,
        code=reason.value,
        reason=reason.meaning,
        recalled_by=by,
        recalled_at=at,
    )
    receipts = {debt.delivery.id: debt.delivery.receipt for debt in debts}
    withdrawn = recall_case(shop.ledger, row, notes, receipts)
    there = {one.name for one in shop.settings.delivering.destinations}
    gone = {note.destination for note in notes} - there
    return _told(case, reason, notes, withdrawn, _perhaps(debts), gone)


def _holders(debts: Sequence[Debt]) -> Iterator[Holder]:
    """List who has what."""
    places = dict.fromkeys((debt.delivery.destination, debt.delivery.target) for debt in debts)
    for destination, target in places:
        products = tuple(
            debt.product
            for debt in debts
            if debt.delivery.receipt == Receipt.DELIVERED
            and (debt.delivery.destination, debt.delivery.target) == (destination, target)
        )
        if products:
            yield Holder(destination, target, products)


def _notes(
    shop: Workshop, case: Case, reason: Concept, at: datetime, holders: Sequence[Holder]
) -> Iterator[Delivery]:
    """Write one note for each set of objects that somebody has, and owe it to them."""
    written: dict[tuple[str, ...], Product] = {}
    for holder in holders:
        uids = tuple(product.sop_uid for product in holder.products)
        if uids not in written:
            number = len(written) + 1
            written[uids] = _note(shop, case, reason, at, number, holder.products)
        yield Delivery(
            product=written[uids],
            case_id=case.id,
            destination=holder.destination,
            target=holder.target,
            receipt=Receipt.OWED,
            attempts=0,
            due_at=at,
            owed_since=at,
            last_error="",
        )


def _note(
    shop: Workshop,
    case: Case,
    reason: Concept,
    at: datetime,
    number: int,
    products: Sequence[Product],
) -> Product:
    """Build, prove and keep one note."""
    source = _header(shop, [*products, *shop.questions.products_of(case.id)])
    rejected = tuple(Rejected(one.sop_class_uid, one.sop_uid, one.series_uid) for one in products)
    recalling = Recalling(reason, case.round, at.astimezone(), rejected)
    maker = replace(  # as its destination knows it
        maker_of(shop.settings.reporting, shop.code_version),
        manufacturer=str(source.Manufacturer),
        model=str(source.ManufacturerModelName),
    )
    dataset = rejection(source, recalling, maker)
    dataset.file_meta.TransferSyntaxUID = source.file_meta.TransferSyntaxUID
    prove_rejection(dataset, source, recalling, maker)
    content = encoded(dataset)
    path = shop.spool.case_name(case.id, FOLDER, f"{number:02d}-{KIND}.dcm")
    return Product(
        case_id=case.id,
        kind=KIND,
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        sop_class_uid=str(dataset.SOPClassUID),
        sop_uid=str(dataset.SOPInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        size_bytes=len(content),
        sha256=shop.spool.write(path, content),
        path=path,
        made_at=at,
    )


def _header(shop: Workshop, products: Sequence[Product]) -> Dataset:
    """Read the header of the first object that is still there: they all tell of one patient."""
    for one in products:
        if one.purged_at is None and shop.spool.is_whole(one.path, one.sha256):
            content = shop.spool.read(one.path, one.sha256)
            return dcmread(BytesIO(content), stop_before_pixels=True)
    why = f"no object of case {products[0].case_id} is left in the spool to make a note from"
    raise NotYourTurn(f"{why}: put one back from a backup, or take the objects back by hand")


def _perhaps(debts: Sequence[Debt]) -> int:
    """Count what was sent and never answered: nobody knows whether it arrived."""
    return sum(
        debt.delivery.receipt == Receipt.OWED
        and debt.delivery.attempts > 0
        and debt.delivery.status is None
        for debt in debts
    )


def _told(
    case: Case,
    reason: Concept,
    notes: Sequence[Delivery],
    withdrawn: int,
    perhaps: int,
    gone: set[str],
) -> str:
    names = ", ".join(sorted({note.destination for note in notes} - gone))
    sentences = [
        f"case {case.id}, round {case.round}, is recalled ({reason.value}, {reason.meaning})"
    ]
    if names:
        sentences.append(f"{names} will be told")
    if gone:
        there = ", ".join(sorted(gone))
        sentences.append(f"not in the settings any more, so take it back there by hand: {there}")
    if not notes:
        sentences.append("nobody had anything of it yet")
    if withdrawn:
        sentences.append(f"{withdrawn} object{'' if withdrawn == 1 else 's'} withdrawn")
    if perhaps:
        sentences.append(f"{perhaps} of them may have arrived without an answer: look there")
    return "; ".join(sentences)
