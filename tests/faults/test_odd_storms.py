"""R3, R4: what no list of attacks had: many at once about the same thing, and very odd images."""

import struct
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import wire
from attacked import Attacked
from pydicom import Dataset
from pydicom.uid import generate_uid
from raw_peer import Gone, Peer
from small_images import encoded, mammogram

pytestmark = pytest.mark.journey

SENDERS = 8


def stored(port: int, image: Dataset) -> int | None:
    """Send one image in an association of its own."""
    with Peer(port) as peer:
        assert peer.open().kind == wire.ACCEPT
        return peer.store(str(image.SOPInstanceUID), encoded(image))


def at_once(port: int, images: list[Dataset]) -> Counter[int | None]:
    """Send images side by side, and count the answers."""
    with ThreadPoolExecutor(len(images)) as crowd:
        return Counter(crowd.map(lambda image: stored(port, image), images))


def test_R3_one_uid_sent_by_eight_at_once_is_one_image(
    listener: Attacked, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    rounds = at_length(5, 50)
    for _ in range(rounds):
        one = mammogram()
        assert at_once(listener.port, [one] * SENDERS) == {0: SENDERS}
        first = mammogram()
        others = [
            mammogram(
                SOPInstanceUID=first.SOPInstanceUID,
                StudyInstanceUID=first.StudyInstanceUID,
                AccessionNumber=str(number),
            )
            for number in range(SENDERS)
        ]
        assert at_once(listener.port, others) == {0: 1, 0xA901: SENDERS - 1}
    assert listener.check_what_is_kept() == 2 * rounds
    listener.check_well()
    figure(
        f"{rounds} times 8 senders with one UID: equal ones all a Success and one row, different "
        "ones one Success and 7 collisions"
    )


def test_R3_many_images_of_one_study_and_many_studies_are_filed(
    listener: Attacked, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    count, study = at_length(60, 1000), generate_uid()
    images = [mammogram(StudyInstanceUID=study) for _ in range(count)]
    images += [mammogram() for _ in range(count)]
    before = len(listener.rows())
    with ThreadPoolExecutor(SENDERS) as crowd:
        answers = Counter(crowd.map(lambda image: stored(listener.port, image), images))
    assert answers == {0: 2 * count}
    assert len(listener.rows()) == before + 2 * count
    figure(f"{count} images of one study and {count} studies of one image: 0 lost")


def test_R3_who_leaves_before_the_answer_loses_nothing_and_holds_nothing(
    listener: Attacked, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    count = at_length(48, 1000)

    def leave(number: int) -> str:
        image = mammogram()
        uid = str(image.SOPInstanceUID)
        with Peer(listener.port) as peer:
            assert peer.open().kind == wire.ACCEPT
            peer.say(wire.store_request(3, wire.MAMMOGRAM, uid, encoded(image)))
            if number % 3 == 0:
                peer.reset()
            elif number % 3 == 1:
                peer.say(wire.pdu(wire.ABORT, bytes(4)))
            else:
                peer.say(wire.pdu(wire.RELEASE, bytes(4)))
                with suppress(Gone):
                    peer.hear()
        return uid

    with ThreadPoolExecutor(SENDERS) as crowd:
        uids = list(crowd.map(leave, range(count)))
    listener.check_well()
    listener.check_what_is_kept()
    kept = sum(uid in listener.rows() for uid in uids)
    figure(f"{count} senders gone before their answer: {kept} images kept, each whole; 0 held")


def nested(depth: int) -> bytes:
    """Put sequences into each other, as an element before the pixels."""
    open_ = 0xFFFFFFFF
    beginning = struct.pack("<HH2sHI", 0x0040, 0x0555, b"SQ", 0, open_)
    beginning += struct.pack("<HHI", 0xFFFE, 0xE000, open_)
    ending = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return beginning * depth + ending * depth


def with_before_pixels(image: Dataset, content: bytes) -> bytes:
    """Put an element where the pixels begin."""
    whole = encoded(image)
    at = whole.index(b"\xe0\x7f\x10\x00OW")
    return whole[:at] + content + whole[at:]


def replaced(image: Dataset, former: bytes, new: bytes) -> bytes:
    """Put other bytes of the same length into an encoded image."""
    content = encoded(image)
    assert len(former) == len(new)
    assert former in content
    return content.replace(former, new)


# What is a sound data set, but of values that nobody can make sense of: kept, and judged later.
ODD_VALUES: dict[str, Callable[[Dataset], bytes]] = {
    "65,535 rows and columns": lambda image: encoded(
        _with(image, Rows=65535, Columns=65535, NumberOfFrames="2147483647")
    ),
    "no rows": lambda image: encoded(_with(image, Rows=0, Columns=0)),
    "a spacing of nan": lambda image: replaced(image, b"0.1\\0.1 ", b"nan\\inf "),
    "a spacing of 1e400": lambda image: replaced(image, b"0.1\\0.1 ", b"1e400   "),
    "a date that is none": lambda image: replaced(image, b"20250901", b"99999999"),
    "an unknown character set": lambda image: replaced(image, b"ISO_IR 192", b"ISO_IR 666"),
    "a name that is no text": lambda image: replaced(
        image, b"Small^Image", b"\xff\xfe\x00\x1b\x9b\r\n^^^="
    ),
    "a name of format letters": lambda image: replaced(image, b"Small^Image", b"%s%n{0}${x}"),
    "32 sequences in each other": lambda image: with_before_pixels(image, nested(32)),
    "a private megabyte": lambda image: with_before_pixels(
        image, struct.pack("<HH2sHI", 0x0041, 0x1001, b"OB", 0, 1 << 20) + bytes(1 << 20)
    ),
    "a text of a megabyte": lambda image: with_before_pixels(
        image, struct.pack("<HH2sHI", 0x0040, 0xA160, b"UT", 0, 1 << 20) + b"\\" * (1 << 20)
    ),
}
UNSOUND: dict[str, Callable[[Dataset], bytes]] = {
    "10,000 sequences in each other": lambda image: with_before_pixels(image, nested(10_000)),
    "file meta within": lambda image: (
        b"\2\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99" + encoded(image)
    ),
    "rubbish at its end": lambda image: encoded(image) + b"rubbish!",
    "pixels of 4 GiB": lambda image: replaced(
        image, b"\xe0\x7f\x10\x00OW\0\0\0\2\0\0", b"\xe0\x7f\x10\x00OW\0\0\xfe\xff\xff\xff"
    ),
}


def _with(image: Dataset, **values: object) -> Dataset:
    for keyword, value in values.items():
        setattr(image, keyword, value)
    return image


@pytest.mark.filterwarnings("ignore:Unknown encoding")
def test_R3_odd_values_are_kept_and_unsound_images_are_not(
    listener: Attacked, figure: Callable[[str], None]
) -> None:
    answers: dict[str, int | None] = {}
    for name, make in {**ODD_VALUES, **UNSOUND}.items():
        image = mammogram()
        with Peer(listener.port) as peer:
            peer.open()
            answers[name] = peer.store(str(image.SOPInstanceUID), make(image))
    assert answers == {**dict.fromkeys(ODD_VALUES, 0), **dict.fromkeys(UNSOUND, 0xC000)}
    listener.check_what_is_kept()
    listener.check_well()
    figure(f"{len(ODD_VALUES)} odd images kept as they are, {len(UNSOUND)} unsound ones refused")
