"""Are the received images there that the ledger knows? After a restore they may not be."""

from collections import Counter
from collections.abc import Mapping

from dicom_node.errors import Misconfigured
from dicom_node.ledger.accounts import NAMED, Kept, images_kept, images_purged
from dicom_node.spool import Spool
from dicom_node.wiring import Node

MEND = (
    "put the files back from a backup, or let their sender send these studies again, then "
    "`dicom-node retry` what has FAILED; `dicom-node balance` names each file"
)


def ask_for_images(node: Node, *, deep: bool) -> str:
    """Look for every image, by its size or, `deep`, by its digest; say whose are not there.

    What is missing of a study that is done may have been removed by hand: `Misconfigured` is
    raised only for images that are still to be read.
    """
    there = {} if deep else node.spool.image_sizes()
    wanted, done = Counter[int](), Counter[int]()
    total = 0
    for kept, is_done in images_kept(node.patient_engine):
        total += 1
        if not (_is_whole(node.spool, kept) if deep else _has_its_size(node.spool, kept, there)):
            (done if is_done else wanted)[kept.case_id] += 1
    if wanted:
        also = f"; and {_told(done)} done" if done else ""
        raise Misconfigured([f"{_told(wanted)} not done, are gone or not whole: {MEND}{also}"])
    if done:
        return (
            f"warning: {_told(done)} done, are gone or not whole; unless you removed them, {MEND}"
        )
    how = "hold what was received" if deep else "are there with their sizes"
    purged = images_purged(node.patient_engine)
    if not total:
        return f"none of {purged} is kept any more" if purged else "none came in yet"
    return f"all {total} {how}" + (f"; {purged} more are no longer kept" if purged else "")


def _told(missing: Mapping[int, int]) -> str:
    """Count what is missing, and name the first cases."""
    named = ", ".join(map(str, sorted(missing)[:NAMED]))
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    count, cases = sum(missing.values()), "case" if len(missing) == 1 else "cases"
    return f"{count} {'image' if count == 1 else 'images'} of {cases} {named}{more}, which are"


def _has_its_size(spool: Spool, kept: Kept, there: Mapping[str, int]) -> bool:
    if there.get(kept.path) == kept.size_bytes:
        return True
    try:  # it may have come in since the spool was listed
        return spool.size(kept.path) == kept.size_bytes
    except FileNotFoundError:
        return False


def _is_whole(spool: Spool, kept: Kept) -> bool:
    try:
        spool.image(kept.path, kept.digest)
    except (FileNotFoundError, ValueError):  # gone, cut, or another file
        return False
    return True
