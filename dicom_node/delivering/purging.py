"""Removing the files of results that have arrived for good."""

from datetime import timedelta

from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.purges import record_purge, ripe
from dicom_node.ledger.questions import Questions
from dicom_node.settings.file import Settings
from dicom_node.spool import Spool

AT_ONCE = 50  # cases: the rest goes with the next sweep


def purge(ledger: Ledger, questions: Questions, spool: Spool, settings: Settings) -> int:
    """Remove what may go, and count the objects."""
    days = settings.delivering.keep_results_days
    if not days:
        return 0
    count = 0
    for case_id, products in ripe(questions, now() - timedelta(days=days), AT_ONCE):
        if not record_purge(ledger, case_id, products):
            continue
        for one in products:
            spool.remove(one.path)
        count += len(products)
    return count
