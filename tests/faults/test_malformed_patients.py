"""R3, R21: whole studies that are malformed, through a whole node to the end of each case.

What a fuzz corpus for archives does to any image is done here to four views of a mammogram: each
study comes to an end with a reason, what is delivered and what is not adds up, and nobody who is
marked is named.
"""

import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wire
from faulty_pacs import faulty_pacs
from marked_patients import leaks, marked
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from raw_peer import Peer
from running_node import ENDS, Pacs, RunningNode, running_node
from small_images import encoded

from phantom.dicom import datasets
from phantom.study import study

pytestmark = [pytest.mark.journey, pytest.mark.slow]  # test_accept.py asks the same of single files

SEED = 11
LONG = {"OB", "OW", "SQ", "UN", "UT"}
VALUES: dict[str, tuple[str, tuple[bytes, ...]]] = {
    "ImagerPixelSpacing": ("DS", (rb"nan\nan", rb"1e400\1", rb"0\0", rb"-1\1", b"0.4", b"x")),
    "WindowCenter": ("DS", (b"nan", b"-1e308", b"1e400", b"words", b"1\\" * 3000)),
    "WindowWidth": ("DS", (b"inf", b"0", b"-5", b"1e308")),
    "RescaleSlope": ("DS", (b"nan", b"0", b"1e308")),
    "Rows": ("US", (b"\xff\xff", b"\0\0", b"\1\0\1\0", b"\1")),
    "BitsStored": ("US", (b"\0\0", b"\x10\0", b"\xff\xff")),
    "HighBit": ("US", (b"\3\0",)),
    "PixelRepresentation": ("US", (b"\1\0", b"\7\0")),
    "SamplesPerPixel": ("US", (b"\0\0", b"\3\0")),
    "PhotometricInterpretation": ("CS", (b"RGB", b"<b>")),
    "NumberOfFrames": ("IS", (b"0", b"-1", b"999999999", b"nan", rb"1\1")),
    "PixelData": ("OW", (b"", b"\1\0" * 50)),
    "VOILUTSequence": ("SQ", (b"\xfe\xff\x00\xe0\0\0\0\0",)),
    "ViewCodeSequence": ("SQ", (b"", b"\xfe\xff\x00\xe0\0\0\0\0" * 1000)),
    "SpecificCharacterSet": ("CS", (b"ISO_IR 666", b"rot13", b"utf_7", rb"..\..", b"GB18030")),
    "PatientName": ("PN", (b"Z" * 60000, b"^" * 1000, b"A\x1b$B\xff\xfe\x1b(J", b"\0A\0")),
    "PatientID": ("LO", (b"A\nlistening\r\n\x1b[2J", b"\\" * 500, b"")),
    "AccessionNumber": ("SH", (b"A" * 60000,)),
    "PatientAge": ("AS", (b"-01Y", b"999Y", b"words")),
    "StudyDate": ("DA", (b"99999999", b"yesterday")),
    "TimezoneOffsetFromUTC": ("SH", (b"+9999", b"words")),
    "ImageLaterality": ("CS", (b"B", rb"L\R", b"")),
    "SeriesNumber": ("IS", (b"99999999999999999999", b"nan")),
    "EstimatedRadiographicMagnificationFactor": ("DS", (b"nan", b"1e400", b"0")),
}
LIES = (JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless, RLELossless)

Made = tuple[str, UID, Callable[[Dataset], bytes]]


def element(tag: int, vr: str, value: bytes) -> bytes:
    """Encode an element, whatever its value is."""
    value += b" " * (len(value) % 2)
    length = struct.pack("<HI", 0, len(value)) if vr in LONG else struct.pack("<H", len(value))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + length + value


def patched(image: Dataset, tag: int, new: bytes) -> bytes:
    """Encode an image with one element, or none, in the place of another."""
    before, after = Dataset(), Dataset()
    for one in image:
        if one.tag != tag:
            (before if one.tag < tag else after).add(one)
    return encoded(before) + new + encoded(after)


def malformed(dice: random.Random, by_chance: int) -> Iterator[Made]:
    """List what is done to the four views of a study."""
    for keyword, (vr, values) in VALUES.items():
        for number, value in enumerate(values):
            new = element(Tag(keyword), vr, value)
            tag = int(Tag(keyword))
            yield (
                f"{keyword} {number}",
                ExplicitVRLittleEndian,
                lambda image, tag=tag, new=new: patched(image, tag, new),
            )
    for syntax in LIES:
        yield f"raw as {syntax.name}", syntax, _in_fragments
    for number in range(by_chance):
        seed = dice.random()
        yield f"chance {number}", ExplicitVRLittleEndian, lambda image, s=seed: _by_chance(image, s)


def _in_fragments(image: Dataset) -> bytes:
    head = element(0x7FE00010, "OB", b"")[:8] + b"\xff\xff\xff\xff"
    ending = b"\xfe\xff\xdd\xe0\0\0\0\0"
    return patched(image, 0x7FE00010, head + encapsulate([bytes(image.PixelData)]) + ending)


def _by_chance(image: Dataset, seed: float) -> bytes:
    """Change some bytes of values, and leave the UIDs and the structure as they were."""
    dice, content = random.Random(seed), bytearray(encoded(image))  # noqa: S311 - the same again
    beginning = content.index(b"SQ0") if b"SQ0" in content else 600
    for _ in range(6):
        at = dice.randrange(beginning, len(content))
        content[at] = dice.randrange(256)
    return bytes(content)


def sent(node: RunningNode, images: list[Dataset], made: Made) -> int:
    """Send a study, and count what was taken."""
    _, syntax, spoil = made
    contexts = (wire.offered(3, wire.MAMMOGRAM, str(syntax)),)
    with Peer(node.port) as peer:
        assert peer.open(contexts, calling=b"STORESCU").kind == wire.ACCEPT
        statuses = [peer.store(str(image.SOPInstanceUID), spoil(marked(image))) for image in images]
    return statuses.count(0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(900)
def test_R3_R21_malformed_studies_end_with_a_reason_and_the_books_balance(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    shapes = study(7, pitch_mm=0.4)
    dice = random.Random(SEED)  # noqa: S311 - the same again, on purpose
    with (
        faulty_pacs() as pacs,
        running_node(tmp_path / "node", [Pacs("pacs", pacs.ae_title, pacs.port)]) as node,
    ):
        node.config.write_text(node.config.read_text() + "[analyzing.accept]\nrows_min = 100\n")
        node.start("up")
        node.wait_until_listening()
        taken: dict[str, int] = {}
        for made in malformed(dice, 20):
            images = datasets(shapes, uid_salt=made[0])
            taken[str(images[0].StudyInstanceUID)] = sent(node, images, made)
        began = {uid for uid, count in taken.items() if count}
        ended = Counter(node.wait_for_end(uid).state.value for uid in began)
        assert all(case.reason for uid in began if (case := node.case(uid)) is not None)
        for command in (("balance",), ("audit", "verify")):
            answer = node.run(*command)
            assert answer.returncode == 0, answer.stdout
        assert sum(ended.values()) == len(began)
        assert "Traceback" not in node.log()
        ledger = b"".join(path.read_bytes() for path in node.settings.data.glob("ledger.sqlite*"))
        found = [*leaks(node.log().encode(), "log"), *leaks(ledger, "ledger")]
    told = ", ".join(f"{count} {state}" for state, count in ended.items())
    figure(
        f"{len(taken)} malformed studies: {told}, {len(taken) - len(began)} refused; the "
        f"books balance, {len(found)} marks of patients found"
    )
    assert not found
    assert all(case in {end.value for end in ENDS} for case in ended)
