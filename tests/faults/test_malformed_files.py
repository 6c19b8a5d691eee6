"""R3: malformed files, sent to a whole listener as images: answered, and never half believed.

FOURVIEWS_MALFORMED may name a folder of further such files.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import wire
from attacked import Attacked
from pydicom import dcmread
from pydicom.uid import UID
from raw_peer import Peer
from small_images import file_of, mammogram

from dicom_node.analyzing.accept import look
from dicom_node.analyzing.rules import Terms
from dicom_node.eligibility import Accept

pytestmark = pytest.mark.journey

SEED = 424242
TERMS = Terms(Accept(), ("RCC", "LCC", "RMLO", "LMLO"))


def files(folder: Path, count: int) -> Iterator[Path]:
    """List the malformed files of a folder, or else make some by chance."""
    named = os.environ.get("FOURVIEWS_MALFORMED")
    if named:
        yield from (path for path in sorted(Path(named).rglob("*")) if path.is_file())
    chance = random.Random(SEED)  # noqa: S311 - the same again, on purpose
    for number in range(count):
        content = bytearray(file_of(mammogram()))
        for _ in range(chance.choice((1, 2, 5))):
            at = chance.randrange(len(content)) if number % 2 else chance.randrange(132, 900)
            content[at : at + chance.choice((1, 2, 4, 30))] = chance.randbytes(
                chance.choice((0, 1, 2, 4, 30))
            )
        path = folder / f"{number}.dcm"
        path.write_bytes(content)
        yield path


def data_set_of(path: Path) -> tuple[bytes, str]:
    """Return what a careless sender sends of a file: whatever follows its file meta, and a UID."""
    content = path.read_bytes()
    at = content.find(b"DICM") + 4 if b"DICM" in content[:200] else 0
    if content[at : at + 8] == b"\2\0\0\0UL\4\0":
        at += 12 + int.from_bytes(content[at + 8 : at + 12], "little")
    try:
        uid = str(dcmread(path, force=True, stop_before_pixels=True).SOPInstanceUID)
    except Exception:  # noqa: BLE001 - it is malformed
        uid = "1.2.3.4"
    return content[min(at, len(content)) :], uid if UID(uid).is_valid else "1.2.3.4"


def sent(port: int, path: Path) -> int | None:
    """Send a file, as the class that it says it has or as a mammogram."""
    content, uid = data_set_of(path)
    with Peer(port) as peer:
        assert peer.open().kind == wire.ACCEPT
        return peer.store(uid, content)


@pytest.mark.filterwarnings("ignore")
def test_R3_malformed_files_are_answered_and_judged(
    listener: Attacked,
    tmp_path: Path,
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
) -> None:
    paths = list(files(tmp_path, at_length(150, 2000)))
    with ThreadPoolExecutor(8) as crowd:
        answers = Counter(crowd.map(lambda path: sent(listener.port, path), paths))
    kept = listener.check_what_is_kept()
    listener.check_well()
    verdicts = Counter(
        judged.declined.code if (judged := look(path, TERMS)).declined else "read" for path in paths
    )
    figure(
        f"{len(paths)} malformed files: {answers[0]} harmless ones kept, {len(paths) - answers[0]} "
        f"refused, 0 unanswered, 0 crashes; judged by {len(verdicts)} rules"
    )
    assert None not in answers
    assert kept <= answers[0]
