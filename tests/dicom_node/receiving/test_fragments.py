"""However a message is cut into fragments and PDUs, the same bytes are kept; or it is cut off."""

import os
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from uuid import uuid4

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from open_listener import OpenListener
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu import P_DATA_TF
from raw_senders import (
    ABORT,
    ACCEPTANCE,
    LITTLE_ENDIAN,
    P_DATA,
    VERIFICATION,
    RawSender,
    cut,
    echo_command,
    pdu,
    pdv,
    store_command,
)
from senders import until
from small_images import encoded, mammogram

from dicom_node.ledger.arrivals import known_image
from dicom_node.spool import data_set_offset

MAMMOGRAM = str(DigitalMammographyXRayImageStorageForPresentation)
KINDS = [(MAMMOGRAM, LITTLE_ENDIAN), (VERIFICATION, "1.2.840.10008.1.2")]


@pytest.fixture
def sender(listener: OpenListener) -> Iterator[RawSender]:
    one = RawSender(listener.port)
    assert one.associate(KINDS) == ACCEPTANCE
    yield one
    one.close()


def kept_data_set(listener: OpenListener, sop_uid: str) -> bytes:
    path = listener.place(sop_uid)
    return path.read_bytes()[data_set_offset(path) :]


def as_pynetdicom_reads_it(pdus: list[bytes]) -> bytes:
    """Put the fragments together the stock way."""
    message = DIMSEMessage()
    for one in pdus:
        decoded = P_DATA_TF()
        decoded.decode(one)
        message.decode_msg(decoded.to_primitive())
    assert isinstance(message.data_set, BytesIO)
    return message.data_set.getvalue()


def uids() -> dict[str, str]:
    """Make new UIDs, all of one length: where an image may be cut is the same in every run."""
    keywords = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    return {
        keyword: f"1.2.826.0.1.3680043.8.498.1{uuid4().int % 10**36:036}" for keyword in keywords
    }


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_split_is_kept_as_pynetdicom_would_have_it(
    listener: OpenListener, sender: RawSender, data: st.DataObject
) -> None:
    pixels = data.draw(st.binary(min_size=512, max_size=512))
    image = mammogram(PixelData=pixels, **uids())
    uid = str(image.SOPInstanceUID)
    command, sent = store_command(MAMMOGRAM, uid), encoded(image)
    places = st.lists(st.integers(0, len(sent)), max_size=12)
    commands = cut(command, data.draw(st.lists(st.integers(0, len(command)), max_size=4)))
    pieces = cut(sent, data.draw(places))
    fragments = [
        pdv(piece, command=True, last=number == len(commands) - 1)
        for number, piece in enumerate(commands)
    ] + [pdv(piece, last=number == len(pieces) - 1) for number, piece in enumerate(pieces)]
    borders = data.draw(st.lists(st.integers(1, len(fragments)), max_size=8, unique=True))
    ends = sorted({*borders, len(fragments)})
    pdus = [
        pdu(P_DATA, b"".join(fragments[start:end]))
        for start, end in zip([0, *ends], ends, strict=False)
    ]
    whole = b"".join(pdus)
    for part in cut(whole, data.draw(st.lists(st.integers(0, len(whole)), max_size=5))):
        sender.say(part)
    assert sender.status() == 0x0000
    assert kept_data_set(listener, uid) == as_pynetdicom_reads_it(pdus) == sent


def test_two_images_and_an_echo_may_share_one_pdu(
    listener: OpenListener, sender: RawSender
) -> None:
    first, second = mammogram(), mammogram()
    sender.say(
        pdu(
            P_DATA,
            pdv(store_command(MAMMOGRAM, first.SOPInstanceUID), command=True)
            + pdv(encoded(first))
            + pdv(echo_command(), command=True, context=3)
            + pdv(store_command(MAMMOGRAM, second.SOPInstanceUID), command=True)
            + pdv(encoded(second)),
        )
    )
    assert [sender.status() for _ in range(3)] == [0x0000] * 3
    assert kept_data_set(listener, second.SOPInstanceUID) == encoded(second)
    assert sender.release()


def test_many_images_sent_without_waiting_are_all_kept(
    listener: OpenListener, sender: RawSender
) -> None:
    images = [mammogram() for _ in range(20)]
    for image in images:
        sender.say(
            pdu(P_DATA, pdv(store_command(MAMMOGRAM, image.SOPInstanceUID), command=True)),
            pdu(P_DATA, pdv(encoded(image))),
        )
    assert [sender.status() for _ in images] == [0x0000] * 20
    for image in images:
        assert kept_data_set(listener, image.SOPInstanceUID) == encoded(image)


@pytest.mark.parametrize("step", [1_000, 77_777, 131_060])
def test_a_large_image_is_kept_to_the_letter_and_so_is_its_digest(
    listener: OpenListener, sender: RawSender, step: int
) -> None:
    image = mammogram(PixelData=os.urandom(3 << 20))
    sent = encoded(image)
    pieces = cut(sent, list(range(step, len(sent), step)))
    fragments = [pdv(piece, last=number == len(pieces) - 1) for number, piece in enumerate(pieces)]
    command = pdu(P_DATA, pdv(store_command(MAMMOGRAM, image.SOPInstanceUID), command=True))
    sender.plug.sendall(command + b"".join(pdu(P_DATA, one) for one in fragments))
    assert sender.status() == 0x0000
    assert kept_data_set(listener, image.SOPInstanceUID) == sent
    known = known_image(listener.node.ledger, str(image.SOPInstanceUID))
    assert known is not None
    assert known[1] == "blake3:" + blake3(sent).hexdigest()


IMAGE = mammogram()
COMMAND = pdv(store_command(MAMMOGRAM, IMAGE.SOPInstanceUID), command=True)
DATA = encoded(IMAGE)
WRONG: dict[str, list[bytes]] = {
    "a data set that no command announced": [pdu(P_DATA, pdv(DATA))],
    "a command in the middle of a data set": [
        pdu(P_DATA, COMMAND + pdv(DATA[:100], last=False)),
        pdu(P_DATA, COMMAND),
    ],
    "fragments of two presentation contexts, mixed": [
        pdu(P_DATA, COMMAND + pdv(DATA, context=3)),
    ],
    "a fragment in a presentation context that was not accepted": [
        pdu(P_DATA, pdv(store_command(MAMMOGRAM, "1.2.3"), command=True, context=99)),
    ],
    "a fragment that is longer than its PDU": [
        pdu(P_DATA, COMMAND + struct.pack(">LBB", 5000, 1, 2) + bytes(10)),
    ],
    "a PDU whose parts do not fill it": [pdu(P_DATA, COMMAND + b"\0\0\0")],
    "a PDU of 0 bytes": [pdu(P_DATA, b"")],
    "a command that cannot be read": [pdu(P_DATA, pdv(b"\xff" * 40, command=True))],
    "a command with elements of another group": [
        pdu(
            P_DATA,
            pdv(
                store_command(MAMMOGRAM, "1.2.3") + b"\x10\x00\x10\x00\x02\x00\x00\x00AB",
                command=True,
            ),
        ),
    ],
    "a command of more than 65536 bytes": [
        pdu(P_DATA, pdv(bytes(60_000), command=True, last=False)) * 2,
    ],
    "a request without a number": [
        pdu(P_DATA, pdv(store_command(MAMMOGRAM, "1.2.3", MessageID=None), command=True)),
    ],
    "a C-FIND message, which is no request that is served here": [
        pdu(
            P_DATA,
            pdv(
                store_command(MAMMOGRAM, "1.2.3", CommandField=0x20, CommandDataSetType=0x0101),
                command=True,
            ),
        ),
    ],
    "a C-STORE message, which is no request that is served here": [
        pdu(P_DATA, pdv(store_command(MAMMOGRAM, "1.2.3", CommandField=0x8001), command=True))
        + pdu(P_DATA, pdv(b"")),
    ],
    "a PDU of 4294967295 bytes, where 131072 were agreed on": [
        pdu(P_DATA, COMMAND, length=0xFFFFFFFF)
    ],
    "a PDU of 90000 bytes": [pdu(0x05, b"", length=90_000)],
    "a PDU of a kind that does not exist": [pdu(0x42, bytes(10))],
    "it sent a PDU out of turn": [pdu(0x06, bytes(4))],
}


@pytest.mark.parametrize("said", WRONG, ids=str)
def test_what_cannot_be_told_apart_is_cut_off(
    listener: OpenListener, sender: RawSender, said: str
) -> None:
    sender.say(*WRONG[said])
    assert sender.hear()[0] == ABORT
    assert sender.hear()[0] == 0
    sender.close()
    until(lambda: listener.sentences("association cut off"))
    (told,) = listener.sentences("association cut off")
    assert told.partition(" (")[0] == said
    assert listener.incoming() == []
    assert not listener.node.questions.cases_of(IMAGE.StudyInstanceUID)


AFTER_MANY = {
    "a PDU of 200000 bytes": pdu(P_DATA, b"", length=200_000),
    "fragments of two presentation contexts": pdu(P_DATA, pdv(bytes(100), context=3, last=False)),
    "an object of more than 1 MB": pdu(P_DATA, pdv(bytes(50_000), last=False)) * 20,
}


@pytest.mark.parametrize("said", AFTER_MANY, ids=str)
def test_what_follows_many_whole_pdus_is_looked_at_as_closely(
    listening: Callable[..., OpenListener], said: str
) -> None:
    listener = listening(max_object_megabytes=1)
    sender = RawSender(listener.port)
    assert sender.associate(KINDS) == ACCEPTANCE
    many = pdu(P_DATA, pdv(bytes(50_000), last=False)) * 5
    sender.plug.sendall(pdu(P_DATA, COMMAND) + many + AFTER_MANY[said])
    assert sender.hear()[0] == ABORT
    sender.close()
    until(lambda: listener.sentences("association cut off"))
    (told,) = listener.sentences("association cut off")
    assert told.startswith(said)
    assert listener.incoming() == []


@pytest.mark.filterwarnings("ignore:.*VR UI")  # the node ignores all warnings
@pytest.mark.parametrize("uid", ["1.2.nonsense", "../../etc/passwd", "1.02.3", "9" * 70])
def test_an_image_whose_uid_is_none_is_answered_and_not_kept(
    listener: OpenListener, sender: RawSender, uid: str
) -> None:
    command = store_command(MAMMOGRAM, "X" * len(uid)).replace(b"X" * len(uid), uid.encode())
    sender.say(pdu(P_DATA, pdv(command, command=True)), pdu(P_DATA, pdv(DATA)))
    assert sender.status() == 0x0117
    assert listener.sentences("image refused") == [
        "0117: the SOP Instance UID of the request is missing or invalid"
    ]
    assert listener.incoming() == []
    assert sender.release()


def test_an_image_of_another_class_than_agreed_on_is_refused_before_it_comes(
    listener: OpenListener, sender: RawSender
) -> None:
    command = store_command("1.2.840.10008.5.1.4.1.1.7", IMAGE.SOPInstanceUID)
    sender.say(pdu(P_DATA, pdv(command, command=True)), pdu(P_DATA, pdv(DATA)))
    assert sender.status() == 0xA900
    assert listener.incoming() == []


def test_a_request_without_a_data_set_is_answered(
    listener: OpenListener, sender: RawSender
) -> None:
    command = store_command(MAMMOGRAM, IMAGE.SOPInstanceUID, CommandDataSetType=0x0101)
    sender.say(pdu(P_DATA, pdv(command, command=True)))
    assert sender.status() == 0xC000
    assert listener.sentences("image refused") == ["C000: the request has no data set"]
