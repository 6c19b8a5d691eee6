"""A modality with bad habits: late views, images sent twice, long pauses, a line broken off.

Nothing is re-encoded or renamed, so what the node says of such a study is what it would say of the
same from a real device.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from rich.console import Console

from dicom_node.delivering.posting import found, hand_over, kind_of
from dicom_node.delivering.sender import Peer, connected
from dicom_node.delivering.statuses import Meaning, meaning

UNASKED = 64 << 10  # of an element: longer ones lie unread


@dataclass(frozen=True, slots=True)
class Habits:
    """How it sends."""

    late_seconds: float = 0.0  # so long after all others comes the last image of each study
    times: int = 1  # so often each image is sent
    slow_seconds: float = 0.0  # between two images, on an open association
    breaks_after: int = 0  # images: then the line is cut, and all is sent again on a new one
    one_each: bool = False  # an association for each image


def visits(paths: Sequence[Path], late: set[Path], habits: Habits) -> Iterator[list[Path]]:
    """Divide files into associations; what comes late has the last ones."""
    for group in ([one for one in paths if one not in late], [one for one in paths if one in late]):
        whole = [path for path in group for _ in range(habits.times)]
        if habits.one_each:
            yield from ([path] for path in whole)
        elif whole:
            yield whole


def _last_of_each_study(paths: Sequence[Path]) -> set[Path]:
    """Take the last file of each study; a study of one file has nothing that could be late."""
    studies: dict[str, list[Path]] = {}
    for path in paths:
        header = dcmread(
            path, stop_before_pixels=True, defer_size=UNASKED, specific_tags=["StudyInstanceUID"]
        )
        studies.setdefault(str(header.get("StudyInstanceUID", "")), []).append(path)
    return {files[-1] for files in studies.values() if len(files) > 1}


def simulate(peer: Peer, files: Sequence[Path], habits: Habits, console: Console) -> int:
    """Send files as a device of these habits does, and count what was not taken at last."""
    paths = list(found(files))
    if not paths:
        console.print(f"no DICOM files in {', '.join(str(path) for path in files)}")
        return 1
    late = _last_of_each_study(paths) if habits.late_seconds else set()
    taken: dict[Path, bool] = {}
    sent, waited = 0, False
    if habits.breaks_after:
        punctual = [path for path in paths if path not in late]
        sent += _broken_off(peer, punctual[: habits.breaks_after], console)
    for visit in visits(paths, late, habits):
        if not waited and late.issuperset(visit):
            console.print(f"the late views come in {habits.late_seconds:g} seconds")
            time.sleep(habits.late_seconds)
            waited = True
        taken |= _visit(peer, visit, habits.slow_seconds, console)
        sent += len(visit)
    console.print(f"{sum(taken.values())} of {len(paths)} taken by {peer}, of {sent} sent")
    return len(paths) - sum(taken.values())


def _visit(
    peer: Peer, paths: Sequence[Path], slow_seconds: float, console: Console
) -> dict[Path, bool]:
    taken = {}
    kinds = [kind_of(path) for path in paths]
    with connected(peer, kinds) as line:
        for number, (path, kind) in enumerate(zip(paths, kinds, strict=True)):
            time.sleep(slow_seconds if number else 0)
            taken[path] = meaning(hand_over(line, path, kind, console)) is Meaning.ARRIVED
    return taken


def _broken_off(peer: Peer, paths: Sequence[Path], console: Console) -> int:
    """Send some, and abort instead of a release."""
    kinds = [kind_of(path) for path in paths]
    with connected(peer, kinds) as line:
        for path, kind in zip(paths, kinds, strict=True):
            hand_over(line, path, kind, console)
        line.abort()
    console.print(f"broken off after {len(paths)}; everything comes again")
    return len(paths)
