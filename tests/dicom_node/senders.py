"""Senders that send exactly the bytes they are told to, and patience for what follows."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import build_context
from small_images import encoded


def until(happens: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something that is bound to happen, be the machine ever so busy."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def associate(
    port: int,
    kinds: Sequence[tuple[str, str]],
    *,
    called: str = "FOURVIEWS",
    calling: str = "TESTER",
) -> Association:
    """Ask for an association; whether it is one is for the test to see."""
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
    wanted = [build_context(sop_class, syntax) for sop_class, syntax in kinds]
    return ae.associate("127.0.0.1", port, contexts=wanted, ae_title=called)


@contextmanager
def connected(
    port: int, kinds: Sequence[tuple[str, str]], calling: str = "TESTER"
) -> Iterator[Association]:
    """Open an association, and release it."""
    association = associate(port, kinds, calling=calling)
    assert association.is_established
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def store(
    association: Association, sop_class: str, sop_uid: str, syntax: str, content: bytes
) -> int | None:
    """Send bytes as the data set of a C-STORE request, whatever they are."""
    (context,) = (
        one.context_id
        for one in association.accepted_contexts
        if (one.abstract_syntax, one.transfer_syntax[0]) == (sop_class, syntax)
    )
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UID(sop_class), UID(sop_uid)
    request.DataSet = BytesIO(content)
    association._reactor_checkpoint.clear()
    until(lambda: association._is_paused)
    association.dimse.send_msg(request, context)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return None if answer is None else int(answer.Status)


def send(
    port: int,
    *images: Dataset,
    syntax: UID = ExplicitVRLittleEndian,
    content: bytes | None = None,
    calling: str = "TESTER",
) -> list[int | None]:
    """Send images in one association, or other bytes in their place."""
    kinds = [(str(image.SOPClassUID), str(syntax)) for image in images]
    with connected(port, list(dict.fromkeys(kinds)), calling) as association:
        return [
            store(
                association,
                str(image.SOPClassUID),
                str(image.SOPInstanceUID),
                str(syntax),
                encoded(image, syntax) if content is None else content,
            )
            for image in images
        ]
