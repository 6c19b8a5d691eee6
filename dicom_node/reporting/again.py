"""Objects whose files were lost are made again from the record of their case, byte for byte.

Somebody may have them already, and no UID ever has two contents: what comes out otherwise than it
was proved is not kept.
"""

import hashlib
from collections.abc import Sequence

from dicom_node.errors import Lost, NotYourTurn, told
from dicom_node.ledger.questions import NEVER_AGAIN
from dicom_node.ledger.tables import Case, Product
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.outgoing import Workshop
from dicom_node.reporting.turn import NotReadThere, built_again

PUT_BACK = "put its file back from a backup of the spool, and call this again"
READ_AGAIN = "or take the result back with `dicom-node recall`, and this reads the study again"


def make_again(shop: Workshop, case: Case, lost: Sequence[Product]) -> None:
    """Put lost objects of a case back where they were, or say why that cannot be (NotYourTurn)."""
    for one in lost:
        if one.kind in NEVER_AGAIN:
            why = f"the {one.kind} of case {case.id} is lost and cannot be made a second time"
            raise NotYourTurn(f"{why}: {PUT_BACK}")
    left = {one.sop_uid: one for one in lost}
    try:
        _build(shop, case, left)
    except (
        OSError,
        ValueError,
        NotReadThere,
        Lost,
    ) as fault:  # images or findings are lost as well
        why = f"what is lost of case {case.id} cannot be made again ({told(fault)})"
        raise NotYourTurn(f"{why}: {PUT_BACK}, {READ_AGAIN}") from fault
    for one in left.values():
        why = (
            f"the {one.kind} of case {case.id} comes out otherwise than it was made; "
            "the settings or the version of the node may be other ones"
        )
        raise NotYourTurn(f"{why}: {PUT_BACK}, {READ_AGAIN}")


def _build(shop: Workshop, case: Case, left: dict[str, Product]) -> None:
    """Build a case's objects again, and keep those that are left, as long as any is."""
    run = shop.questions.run_of(case.id)
    if run is None:
        return
    for built in built_again(shop, case, run):
        one = left.get(str(built.dataset.SOPInstanceUID))
        content = encoded(built.dataset)
        if one is not None and hashlib.sha256(content).hexdigest() == one.sha256:
            shop.spool.write(one.path, content)
            with shop.ledger.writing() as session:
                said = f"the {one.kind}, as it was"
                about = {"sop_uid": one.sop_uid, "sha256": one.sha256}
                shop.ledger.note(session, "made again", said, case=case, details=about)
            del left[one.sop_uid]
        if not left:
            return
