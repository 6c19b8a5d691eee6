"""Modalities that never stop sending, and remember exactly what they were told."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from blake3 import blake3
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.presentation import build_context
from running_node import RunningNode
from small_images import encoded, mammogram
from sqlalchemy import select
from sqlalchemy.orm import Session

from dicom_node.ledger.tables import Instance
from dicom_node.spool import data_set_digest


@dataclass
class Modalities:
    """What was sent, and which of it was answered with Success."""

    port: int
    sent: dict[str, str] = field(default_factory=dict)  # UID -> digest of the data set
    told: dict[str, str] = field(default_factory=dict)  # those that have the node's word
    answers: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)

    def send_on(self) -> None:
        """Send small images until told to stop, over one association after the other."""
        while not self.stop.is_set():
            ae = AE(ae_title="STORESCU")
            ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
            ae.connection_timeout = 2
            kind = build_context(mammogram().SOPClassUID, ExplicitVRLittleEndian)
            association = ae.associate(
                "127.0.0.1", self.port, contexts=[kind], ae_title="FOURVIEWS"
            )
            while association.is_established and not self.stop.is_set():
                image = mammogram()
                uid = str(image.SOPInstanceUID)
                self.sent[uid] = "blake3:" + blake3(encoded(image)).hexdigest()
                image.ensure_file_meta()
                image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
                try:
                    answer = association.send_c_store(image)
                except RuntimeError:  # the listener has gone just now
                    break
                status = f"{answer.Status:04X}" if "Status" in answer else "none"
                self.answers[status] += 1
                if status == "0000":
                    self.told[uid] = self.sent[uid]
            if association.is_established:
                association.release()
            self.stop.wait(0.02)

    def wait_for(self, more: int, seconds: float = 300) -> None:
        """Wait until so many more images have the node's word."""
        wanted, deadline = len(self.told) + more, time.monotonic() + seconds
        while len(self.told) < wanted:
            assert time.monotonic() < deadline, f"{self.answers} and no more"
            time.sleep(0.005)


@contextmanager
def modalities(port: int, how_many: int = 4) -> Iterator[Modalities]:
    """Let some of them send for the length of the block."""
    group = Modalities(port)
    threads = [threading.Thread(target=group.send_on) for _ in range(how_many)]
    for thread in threads:
        thread.start()
    try:
        yield group
    finally:
        group.stop.set()
        for thread in threads:
            thread.join()


def faults_of(node: RunningNode, group: Modalities) -> list[str]:
    """List whatever is lost, altered or half there, of all that was sent."""
    spool = node.node.spool
    with Session(node.node.engine) as session:
        rows = {row.sop_uid: row for row in session.scalars(select(Instance))}
    faults = [f"lost: {uid}" for uid in group.told if uid not in rows]
    faults += [f"no one sent: {uid}" for uid in rows if uid not in group.sent]
    for uid, row in rows.items():
        path = spool.path(row.path)
        if row.digest != group.sent.get(uid) or not path.exists():
            faults.append(f"altered or gone: {uid}")
    whole = set(group.sent.values())
    visible = (spool.folder / "images").glob("*/*")
    return faults + [f"partial: {one.name}" for one in visible if data_set_digest(one) not in whole]
