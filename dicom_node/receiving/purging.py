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
FILES_AT_ONCE = 500

logger = log("receiving")


def purge_images(ledger: Ledger, questions: Questions, spool: Spool, receiving: Receiving) -> int:
    """Remove what may go, and what an earlier run left behind; count the files."""
    days = receiving.keep_images_days
    if days:
        before = now() - timedelta(days=days)
        why = f"nothing was to be done with the study for {days:g} days"
        for study_uid in done_with(questions, before, STUDIES_AT_ONCE):
            purge_study(ledger, study_uid, before, why)
    waiting = to_remove(questions, FILES_AT_ONCE)
    if not waiting or not spool.is_there():  # a disk that is away has them still when it is back
        return 0
    gone = []
    for number, path in waiting:
        try:
            spool.remove(path)
        except (OSError, Busy) as trouble:  # the next sweep tries again, and the others go now
            logger.warning("an image cannot be removed", why=told(trouble))
        else:
            gone.append(number)
    if gone:
        removed(ledger, gone)
    return len(gone)
