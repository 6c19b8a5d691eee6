"""One arriving image becomes a file and a row, durably, before anybody says Success."""

import errno
import threading
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID

from dicom_node.errors import Busy, Declined
from dicom_node.ledger.arrivals import Arrival, Known, keep_row, known_image
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.patience import within
from dicom_node.life import Priority
from dicom_node.receiving.header import IDENTIFIERS, read_header, view_of
from dicom_node.receiving.structure import Unsound
from dicom_node.spool import Spool, data_set_digest

ANSWER_SECONDS = 2.5  # twice: a sender hears within 5 s that the ledger is away
_LOCKS = tuple(threading.Lock() for _ in range(64))


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the network said of an image, before the image itself was read."""

    association_id: int | None
    caller: str
    address: str
    sop_class_uid: str
    sop_uid: str
    transfer_syntax_uid: str
    priority: Priority = Priority.MEDIUM


class Collision(Declined):
    """Say that another image already has this UID."""


class Unintelligible(Declined):
    """Say that what came in is no data set that can be filed."""


def keep(
    ledger: Ledger,
    spool: Spool,
    arrived: Path,
    envelope: Envelope,
    digest: str | None = None,
    written: int | None = None,
) -> bool:
    """Keep an arrived image; False: it was here before.

    Its data set may be digested already, and the descriptor that wrote it may still be open.

    The order is the promise: bytes to the disk, row, rename, folder to the disk, commit. Killed
    anywhere in between, the sender has no Success and sends again.
    """
    header = _checked(arrived, envelope)
    size, digest = arrived.stat().st_size, digest or data_set_digest(arrived)
    with _LOCKS[hash(envelope.sop_uid) % len(_LOCKS)]:
        known, is_there = _known(ledger, spool, envelope.sop_uid)
        if known is not None and known.is_kept:
            like = known.digest
            if digest != like and data_set_digest(arrived, like=like) != like:
                raise _collision(spool, arrived, envelope, digest)
            _pass_duplicate(ledger, spool, arrived, envelope, known.path, is_there=is_there)
            return False
        # What was purged may come again, from an archive perhaps and not to the last byte as it
        # was; but no UID ever belongs to two studies.
        if known is not None and known.study_uid != str(header.StudyInstanceUID):
            raise _collision(spool, arrived, envelope, digest)
        generation = 0 if known is None else known.generation + 1
        name = spool.image_name(envelope.sop_uid, digest, generation)
        # As long as a disk or a bucket takes: no time of the ledger's.
        spool.secure(arrived, name, written)
        with within(ANSWER_SECONDS), ledger.writing() as session:
            arrival = Arrival(
                association_id=envelope.association_id,
                caller=envelope.caller,
                address=envelope.address,
                study_uid=str(header.StudyInstanceUID),
                series_uid=str(header.SeriesInstanceUID),
                sop_uid=envelope.sop_uid,
                sop_class_uid=envelope.sop_class_uid,
                transfer_syntax_uid=envelope.transfer_syntax_uid,
                view=view_of(header),
                size_bytes=size,
                digest=digest,
                generation=generation,
                priority=envelope.priority,
            )
            keep_row(ledger, session, arrival, name)
            spool.take(arrived, name)
    return True


def _known(ledger: Ledger, spool: Spool, sop_uid: str) -> tuple[Known | None, bool]:
    """Say whether an image came before, and whether its file is there and whole."""
    with within(ANSWER_SECONDS):
        known = known_image(ledger, sop_uid)
    if known is None or not known.is_kept or spool.holds(known.path, known.digest):
        return known, True
    with within(ANSWER_SECONDS):  # its file is lost, unless it was purged just now
        return known_image(ledger, sop_uid), False


def _checked(arrived: Path, envelope: Envelope) -> Dataset:
    """Refuse what cannot be filed, or is not what the network announced."""
    try:
        header = read_header(arrived, UID(envelope.transfer_syntax_uid))
        values = {keyword: str(header.get(keyword) or "") for keyword in IDENTIFIERS}
    except Unsound as fault:
        raise Unintelligible("C000", f"the data set is not sound: {fault}") from fault
    except MemoryError as trouble:
        raise Busy("there is no memory to look at it") from trouble
    except Exception as fault:
        if isinstance(fault, OSError) and fault.errno not in {None, errno.EINVAL}:
            raise  # trouble with the disk, and no word about the image; a parser's has no number
        sentence = f"the data set cannot be parsed ({type(fault).__name__})"
        raise Unintelligible("C000", sentence) from fault
    for keyword, value in values.items():
        if not value:
            raise Unintelligible("C002", f"{keyword} is missing")
        if not UID(value).is_valid:
            raise Unintelligible("C002", f"{keyword} is no valid UID")
    announced = (envelope.sop_uid, envelope.sop_class_uid)
    if (values["SOPInstanceUID"], values["SOPClassUID"]) != announced:
        raise Declined("A900", "the data set is not the object that the request announced")
    return header


def _pass_duplicate(
    ledger: Ledger, spool: Spool, arrived: Path, envelope: Envelope, name: str, *, is_there: bool
) -> None:
    """Drop an exact duplicate, unless the kept file is gone or damaged: then it is welcome."""
    sentence = "the same image is already here"
    if is_there:
        arrived.unlink()
    else:
        spool.secure(arrived, name)
        spool.take(arrived, name)
        sentence = "the file of this image was gone from the spool, or damaged; it is back"
    about = {"sop_uid": envelope.sop_uid, "caller": envelope.caller}
    ledger.record("duplicate received", sentence, **about)


def _collision(spool: Spool, arrived: Path, envelope: Envelope, digest: str) -> Collision:
    """Set a different object of a known UID aside."""
    name = spool.set_aside(arrived, envelope.sop_uid, digest)
    where = f"kept aside as {name.rpartition('/')[2]}" if name else "not kept: too much is aside"
    return Collision("A901", f"another image with this UID is already here; {where}")
