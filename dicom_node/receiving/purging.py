"""Removing the files of images whose studies are done with."""

from datetime import timedelta

from dicom_node.errors import Busy, told
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.removals import done_with, purge_study, removed, to_remove
from dicom_node.logs import log
from dicom_node.settings.receiving import Receiving
from dicom_node.spool import Spool

STUDIES_AT_ONCE = 50  # the rest goes with the next sweep
IN_NEED = 5  # studies, the oldest; the next sweep looks at the disk again
FILES_AT_ONCE = 200

logger = log("receiving")


def purge_images(ledger: Ledger, questions: Questions, spool: Spool, receiving: Receiving) -> int:
    """Remove what may go, and what an earlier run left behind; count the files."""
    if days := receiving.keep_images_days:
        before = now() - timedelta(days=days)
        why = f"nothing was to be done with the study for {days:g} days"
        for study_uid in done_with(questions, before, STUDIES_AT_ONCE):
            purge_study(ledger, study_uid, before, why)
    if receiving.emergency_clean and spool.fills_the_disk:
        _make_room(ledger, questions, spool, receiving.warns_below)
    waiting = to_remove(questions, FILES_AT_ONCE)
    if not waiting or not spool.is_there():  # a disk that is away has them still when it is back
        return 0
    gone = [number for number, path in waiting if _remove(spool, path)]
    if gone:
        removed(ledger, gone)
    return len(gone)


def _make_room(ledger: Ledger, questions: Questions, spool: Spool, wanted: int) -> None:
    """Let some studies go, however lately they were done with, while less than this is free."""
    free = spool.free_bytes() >> 20
    if free < wanted:
        before, why = now(), f"{free} MB were free, less than {wanted}"
        for study_uid in done_with(questions, before, IN_NEED):
            purge_study(ledger, study_uid, before, why)


def _remove(spool: Spool, path: str) -> bool:
    try:
        spool.remove(path)
    except (OSError, Busy) as trouble:  # the next sweep tries again, and the others go now
        logger.warning("an image cannot be removed", why=told(trouble))
        return False
    return True
