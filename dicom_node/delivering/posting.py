"""Send files as a modality would: one association, nothing re-encoded, a progress bar."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom.filereader import read_file_meta_info
from pydicom.misc import is_dicom
from rich.console import Console
from rich.progress import Progress

from dicom_node.delivering.sender import NO_CONTEXT, Line, Parcel, Peer, connected
from dicom_node.delivering.statuses import Meaning, meaning, words_of


def found(files: Sequence[Path]) -> Iterator[Path]:
    """List DICOM files, looking into folders."""
    for path in files:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (one for one in inside if one.is_file() and is_dicom(one))


def post(peer: Peer, files: Sequence[Path], console: Console) -> int:
    """Send files, say how each fared, and count those that were not taken."""
    paths = list(found(files))
    if not paths:
        console.print(f"no DICOM files in {', '.join(str(path) for path in files)}")
        return 1
    kinds = [kind_of(path) for path in paths]
    refused = unanswered = 0
    with connected(peer, kinds) as line, Progress(console=console) as progress:
        for path, kind in progress.track(
            list(zip(paths, kinds, strict=True)), description=f"to {peer}"
        ):
            status = hand_over(line, path, kind, console)
            refused += meaning(status) is not Meaning.ARRIVED
            unanswered += status is None
    console.print(f"{len(paths) - refused} of {len(paths)} taken by {peer}")
    if unanswered:
        console.print("send them all again once it answers: what it has already changes nothing")
    return refused


def hand_over(line: Line, path: Path, kind: tuple[str, str], console: Console) -> int | None:
    """Send one file as it is, say so where it was not taken, and return the answer's status."""
    status = line.send(Parcel(*kind, path.read_bytes()))
    if meaning(status) is not Meaning.ARRIVED:
        said = "no answer" if status is None else f"status {status:04X}"
        why = "it does not accept this kind of object"
        words = why if status == NO_CONTEXT else words_of(status)
        console.print(f"[red]not taken[/] {path.name}  {said}: {words}")
    return status


def kind_of(path: Path) -> tuple[str, str]:
    """Return what a file has to be negotiated as: SOP class and transfer syntax."""
    meta = read_file_meta_info(path)
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
