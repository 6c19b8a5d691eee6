"""The named points of a study's whole way, and how a test arms them."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ARMED = Path(__file__).parents[1] / "faults" / "armed"


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the code: just before or just after a function."""

    name: str
    stage: str  # whose work it is: one armed point a stage and study, so that no strikes add up
    where: str
    when: str = "before"


def _both(name: str, stage: str, where: str) -> tuple[Point, Point]:
    return (
        Point(f"before-{name}", stage, where),
        Point(f"after-{name}", stage, where, "after"),
    )


SPOOL, ARRIVALS = "dicom_node.spool", "dicom_node.ledger.arrivals"
INCOMING, LEDGER = "dicom_node.receiving.incoming", "dicom_node.ledger.ledger"
OUTGOING, OUTBOX = "dicom_node.reporting.outgoing", "dicom_node.ledger.outbox"

POINTS: tuple[Point, ...] = (
    Point("open-file", "receive", f"{INCOMING}:IncomingFile.__init__"),
    Point("write-file", "receive", f"{INCOMING}:IncomingFile.write"),
    Point("close-file", "receive", f"{INCOMING}:IncomingFile.close"),
    Point("read-header", "receive", "dicom_node.receiving.header:read_header"),
    Point("digest", "receive", f"{SPOOL}:data_set_digest"),
    Point("look-up-digest", "receive", f"{ARRIVALS}:known_image"),
    *_both("file-sync", "receive", f"{SPOOL}:sync_file"),
    *_both("image-row", "receive", f"{ARRIVALS}:keep_row"),
    *_both("rename", "receive", f"{SPOOL}:Spool.take"),
    Point("answer", "receive", "dicom_node.receiving.keep:keep", "after"),  # committed, not told
    *_both("settle", "settle", "dicom_node.receiving.settle:settle"),
    *_both("ring", "settle", "dicom_node.doorbell:Bell.ring"),
    *_both("sweep", "settle", f"{LEDGER}:Ledger.sweep"),
    *_both("begin-of-turn", "analyze", f"{LEDGER}:Ledger._begin"),
    *_both("decode", "analyze", "dicom_node.analyzing.accept:look"),
    *_both("network", "analyze", "inference.analyzer:Analyzer.readings"),
    *_both("keep-findings", "analyze", f"{SPOOL}:Spool.write"),
    *_both("end-of-turn", "analyze", f"{LEDGER}:Ledger._end"),
    *_both("turn-of-reporting", "report", "dicom_node.reporting.turn:report"),
    Point("read-findings", "report", f"{SPOOL}:Spool.read"),
    Point("build", "report", "dicom_node.reporting.report:report"),
    *_both("proof", "report", "dicom_node.reporting.proof:prove"),
    *_both("write-object", "report", f"{OUTGOING}:kept"),
    *_both("debts", "report", f"{OUTGOING}:owed"),
    *_both("turn-of-delivering", "deliver", "dicom_node.delivering.deliver:deliver"),
    *_both("send", "deliver", "dicom_node.delivering.sender:Line.send"),
    *_both("receipt", "deliver", f"{OUTBOX}:record_receipt"),
    *_both("call", "deliver", "dicom_node.delivering.sender:_called"),
    *_both("conclude", "deliver", "dicom_node.delivering.deliver:_conclude"),
)


@dataclass(frozen=True, slots=True)
class Failpoints:
    """A folder in which points are armed, for the processes that are told of it."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Say what a process of the node needs in its environment."""
        path = os.pathsep.join(filter(None, [str(ARMED), os.environ.get("PYTHONPATH", "")]))
        return {"FOURVIEWS_FAILPOINTS": str(self.folder), "PYTHONPATH": path}

    def arm(self, point: Point, deed: str) -> None:
        """Let the next one who comes by do a deed."""
        draft = self.folder / f".{point.name}"
        draft.write_text(deed)
        draft.rename(self.folder / point.name)

    def waiting(self) -> list[str]:
        """List the points that are armed still: nobody came by."""
        names = {point.name for point in POINTS}
        return sorted(path.name for path in self.folder.iterdir() if path.name in names)


def failpoints(folder: Path, points: Sequence[Point] = POINTS) -> Failpoints:
    """Lay out the list of points in a folder."""
    folder.mkdir(parents=True)
    told = {point.name: (point.where, point.when) for point in points}
    (folder / "points.json").write_text(json.dumps(told))
    return Failpoints(folder)
