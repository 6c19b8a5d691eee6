"""A real `dicom-node listen` under attack, and what must hold of it whatever is done to it."""

import hashlib
import re
import ssl
import time
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID
from raw_peer import good_echo
from running_node import RunningNode, running_node
from sqlalchemy import select
from sqlalchemy.orm import Session
from vitals import Vitals, settled, vitals

from dicom_node.ledger.tables import Event, Instance

IDLE_SECONDS = 4.0


@dataclass(frozen=True)
class Attacked:
    """A running listener."""

    running: RunningNode
    before: Vitals
    tls: ssl.SSLContext | None = None

    @property
    def port(self) -> int:
        """Say where it listens."""
        return self.running.port

    @property
    def pid(self) -> int:
        """Name its process."""
        return self.running.processes["listen"].pid

    @cached_property
    def spool(self) -> Path:
        """Return its folder of files."""
        return self.running.node.spool.folder

    def sentences(self, what: str) -> list[str]:
        """Return what the audit trail says of one kind of event."""
        with Session(self.running.node.engine) as session:
            asked = select(Event.sentence).where(Event.what == what).order_by(Event.id)
            return list(session.scalars(asked))

    def incoming(self) -> list[Path]:
        """List what lies half received."""
        return list((self.spool / "incoming").iterdir())

    def rows(self) -> Mapping[str, Instance]:
        """Return the images that the ledger knows, by their UIDs."""
        with Session(self.running.node.engine) as session:
            return {row.sop_uid: row for row in session.scalars(select(Instance))}

    def check_what_is_kept(self) -> int:
        """Make sure that each image is whole, and is what its row says; count them."""
        rows = self.rows()
        for uid, row in rows.items():
            path = self.spool / row.path
            said = header(path)
            assert path.stat().st_size == row.size_bytes
            wanted = (uid, row.sop_class_uid, row.study_uid, row.series_uid)
            assert wanted == (
                said.SOPInstanceUID,
                said.SOPClassUID,
                said.StudyInstanceUID,
                said.SeriesInstanceUID,
            )
            assert all(UID(one).is_valid for one in wanted)
            named = hashlib.sha256(uid.encode()).hexdigest()
            assert re.fullmatch(rf"{named}-[0-9a-f]+\.dcm", path.name)
        kept = {path.name for path in (self.spool / "images").rglob("*.dcm")}
        assert kept == {Path(row.path).name for row in rows.values()}
        return len(rows)

    def check_well(self) -> Vitals:
        """Make sure that it lives, serves, holds nothing, and met nothing it did not expect."""
        assert good_echo(self.port, tls=self.tls) < 60
        assert self.running.processes["listen"].poll() is None, self.running.log()[-3000:]
        now = settled(self.pid, self.before)
        assert now.threads <= self.before.threads, f"{now.threads - self.before.threads} held"
        assert now.files <= self.before.files, f"{now.files - self.before.files} held"
        assert self.incoming() == []
        for word in ("Traceback", '"fault"', "Exception in"):
            assert word not in self.running.log(), self.running.log()[-3000:]
        return now


def header(path: Path) -> Dataset:
    """Read what a kept file says of itself, as a stranger would who wonders at nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(path, stop_before_pixels=True)


@contextmanager
def attacked(
    folder: Path,
    more: str = "",
    *,
    guests: int = 16,
    tls: ssl.SSLContext | None = None,
    **receiving: object,
) -> Iterator[Attacked]:
    """Run a listener with short limits, open to anybody, with settings of the test's own."""
    wishes = {
        "any_caller": "true",
        "idle_seconds": IDLE_SECONDS,
        "max_associations": 300,
        **receiving,
    }
    lines = "".join(f"{name} = {value}\n" for name, value in wishes.items())
    with running_node(folder, []) as node:
        text = node.config.read_text().replace("[receiving]\n", f"[receiving]\n{lines}")
        node.config.write_text(text + more)
        node.start("listen")
        node.wait_until(lambda: "listening" in node.log(), "up")
        with ThreadPoolExecutor(guests) as crowd:  # whatever is opened at first use is open now
            list(crowd.map(lambda _: good_echo(node.port, tls=tls), range(64)))
        pid = node.processes["listen"].pid
        time.sleep(0.5)  # until the last of them is forgotten
        yield Attacked(node, vitals(pid), tls)
