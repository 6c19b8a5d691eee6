"""What is sent is kept byte for byte, or refused with its status and a sentence."""

import errno
import fcntl
import os
import socket
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import dcmtk
import pytest
from open_listener import OpenListener
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
)
from senders import associate, connected, send, store, until
from small_images import encoded, mammogram

from dicom_node.errors import Busy
from dicom_node.receiving import keep as keeping
from dicom_node.receiving.contexts import SOP_CLASSES, TRANSFER_SYNTAXES
from dicom_node.spool import Spool, data_set_offset

MAMMOGRAM = str(DigitalMammographyXRayImageStorageForPresentation)
LITTLE_ENDIAN = str(ExplicitVRLittleEndian)


def rows(listener: OpenListener) -> list[str]:
    """List the images that the ledger knows."""
    questions = listener.node.questions
    return [
        image.sop_uid
        for case in questions.cases(limit=100)
        for image in questions.images_of(case)
        if image.case_id == case.id
    ]


@pytest.mark.parametrize("sop_class", SOP_CLASSES, ids=SOP_CLASSES.values())
def test_every_transfer_syntax_is_taken_and_kept_byte_for_byte(
    listener: OpenListener, sop_class: UID
) -> None:
    kinds = [(str(sop_class), str(syntax)) for syntax in TRANSFER_SYNTAXES]
    with connected(listener.port, kinds) as association:
        assert len(association.accepted_contexts) == len(TRANSFER_SYNTAXES)
        for syntax in TRANSFER_SYNTAXES:
            image = mammogram(SOPClassUID=sop_class)
            sent = encoded(image, syntax)
            uid = image.SOPInstanceUID
            assert store(association, str(sop_class), uid, str(syntax), sent) == 0x0000
            path = listener.place(uid)
            assert path.read_bytes()[data_set_offset(path) :] == sent
            kept = dcmread(path, stop_before_pixels=True)
            assert kept.file_meta.TransferSyntaxUID == syntax
            assert kept.file_meta.MediaStorageSOPInstanceUID == uid
            assert kept.PatientName == "Small^Image"
            (case,) = listener.node.questions.cases_of(image.StudyInstanceUID)
            (row,) = listener.node.questions.images_of(case)
            assert (row.sop_class_uid, row.transfer_syntax_uid) == (sop_class, syntax)
            view = "LCC" if sop_class == MAMMOGRAM else ""
            assert (row.view, row.caller, row.address) == (view, "TESTER", "127.0.0.1")
            assert row.size_bytes == path.stat().st_size
    assert listener.incoming() == []


def test_what_nobody_can_read_later_is_not_negotiated(listener: OpenListener) -> None:
    mpeg, enhanced = "1.2.840.10008.1.2.4.102", "1.2.840.10008.5.1.4.1.1.4.1"
    kinds = [(MAMMOGRAM, mpeg), (enhanced, LITTLE_ENDIAN), (MAMMOGRAM, LITTLE_ENDIAN)]
    kinds += [(MAMMOGRAM, str(DeflatedExplicitVRLittleEndian))]
    with connected(listener.port, kinds) as association:
        accepted = [one.transfer_syntax[0] for one in association.accepted_contexts]
    assert accepted == [LITTLE_ENDIAN]


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        JPEGLosslessSV1,
        RLELossless,
    ],
    ids=lambda syntax: syntax.keyword,
)
def test_storescu_sends_what_is_kept(listener: OpenListener, tmp_path: Path, syntax: UID) -> None:
    image, path = mammogram(), tmp_path / "sent.dcm"
    if syntax == ExplicitVRBigEndian:
        image.PixelData = b"".join(n.to_bytes(2, "big") for n in range(256))
    image.ensure_file_meta()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax.is_encapsulated else syntax
    image.save_as(path, enforce_file_format=True)
    if syntax == JPEGLosslessSV1:
        dcmtk.dcmcjpeg(path, tmp_path / "compressed.dcm")
    elif syntax == RLELossless:
        dcmtk.dcmcrle(path, tmp_path / "compressed.dcm")
    sent = tmp_path / ("compressed.dcm" if syntax.is_encapsulated else "sent.dcm")
    ended = dcmtk.storescu([sent], listener.port)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    kept = dcmread(BytesIO(listener.kept(dcmread(sent).SOPInstanceUID)))
    assert kept.file_meta.TransferSyntaxUID == syntax
    assert kept == dcmread(sent)
    assert (kept.pixel_array == mammogram_pixels()).all()


def mammogram_pixels() -> object:
    image = mammogram()
    image.ensure_file_meta()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image.pixel_array


def test_echo_is_answered_to_echoscu_too(listener: OpenListener) -> None:
    assert dcmtk.echoscu(listener.port).returncode == 0
    with connected(listener.port, [("1.2.840.10008.1.1", "1.2.840.10008.1.2")]) as association:
        assert association.send_c_echo().Status == 0x0000


def test_an_exact_duplicate_is_a_success_and_no_second_row(listener: OpenListener) -> None:
    image = mammogram()
    assert send(listener.port, image, image) == [0x0000, 0x0000]
    assert send(listener.port, image) == [0x0000]
    assert rows(listener) == [image.SOPInstanceUID]
    assert len(listener.sentences("duplicate received")) == 2
    assert listener.incoming() == []


def test_another_image_of_the_same_uid_is_refused_and_set_aside(listener: OpenListener) -> None:
    image = mammogram()
    other = mammogram(
        SOPInstanceUID=image.SOPInstanceUID,
        StudyInstanceUID=image.StudyInstanceUID,
        PatientID="SOMEBODY",
    )
    assert send(listener.port, image, other) == [0x0000, 0xA901]
    assert encoded(image) in listener.kept(image.SOPInstanceUID)
    (aside,) = listener.node.spool.quarantine.iterdir()
    assert dcmread(aside).PatientID == "SOMEBODY"
    assert rows(listener) == [image.SOPInstanceUID]
    (said,) = listener.sentences("image refused")
    assert said.startswith("A901: another image with this UID is already here; kept aside as ")
    assert aside.name in said


def test_a_collision_is_refused_and_recorded_where_too_much_is_set_aside_already(
    listener: OpenListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_node.spool.ASIDE_FILES", 1)
    image = mammogram()
    uids = {"SOPInstanceUID": image.SOPInstanceUID, "StudyInstanceUID": image.StudyInstanceUID}
    others = [mammogram(**uids, PatientID=f"OTHER{number}") for number in range(3)]
    assert send(listener.port, image, *others) == [0x0000, 0xA901, 0xA901, 0xA901]
    assert len(list(listener.node.spool.quarantine.iterdir())) == 1
    said = [one.rpartition("; ")[2] for one in listener.sentences("image refused")]
    assert sum(one == "not kept: too much is aside" for one in said) == 2
    assert listener.incoming() == []


def refused(listener: OpenListener, image: Dataset, content: bytes) -> tuple[int | None, str]:
    """Send bytes as an image, and return the answer and its sentence in the audit trail."""
    (status,) = send(listener.port, image, content=content)
    assert rows(listener) == []
    assert listener.incoming() == []
    assert list(listener.node.spool.quarantine.iterdir()) == []
    (said,) = listener.sentences("image refused")
    return status, said


@pytest.mark.parametrize(
    "keyword", ["SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"]
)
@pytest.mark.parametrize("value", [None, "", "1.2.nonsense"])
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # the node ignores all warnings
def test_an_image_without_its_uids_cannot_be_filed(
    listener: OpenListener, keyword: str, value: str | None
) -> None:
    image = mammogram()
    content = encoded(image)
    if value is None:
        lacking = deepcopy(image)
        delattr(lacking, keyword)
        content = encoded(lacking)
    else:
        former = encoded(Dataset({image[keyword].tag: image[keyword]}))
        length = len(value) + len(value) % 2
        short = former[:6] + length.to_bytes(2, "little") + value.encode().ljust(length, b"\0")
        content = content.replace(former, short)
    status, said = refused(listener, image, content)
    assert status == 0xC002
    assert said == f"C002: {keyword} is {'no valid UID' if value else 'missing'}"


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID"])
def test_an_image_that_is_not_what_was_announced_is_refused(
    listener: OpenListener, keyword: str
) -> None:
    announced = mammogram()
    other = deepcopy(announced)
    setattr(other, keyword, "1.2.840.10008.5.1.4.1.1.7")
    status, said = refused(listener, announced, encoded(other))
    assert status == 0xA900
    assert said == "A900: the data set is not the object that the request announced"


@pytest.mark.parametrize(
    "content",
    [
        b"no data set at all, but an even length",
        encoded(mammogram())[:61],
        b"\xff" * 4096,
        b"\x08\x00\x16\x00UI\xff\xff1.2",
    ],
    ids=["text", "cut off", "ones", "a length beyond the end"],
)
def test_garbage_is_answered_and_never_kept(listener: OpenListener, content: bytes) -> None:
    status, said = refused(listener, mammogram(), content + b"\0" * (len(content) % 2))
    assert status == 0xC000
    assert said.startswith("C000: the data set is not sound: ")


def test_a_side_said_twice_is_a_view_unknown_and_no_fault(listener: OpenListener) -> None:
    image = mammogram(ImageLaterality=["L", "R"])
    assert send(listener.port, image) == [0x0000]
    (case,) = listener.node.questions.cases_of(image.StudyInstanceUID)
    assert [row.view for row in listener.node.questions.images_of(case)] == [""]


@pytest.mark.parametrize("harm", ["cut", "altered", "gone"])
def test_a_duplicate_mends_what_was_damaged_in_the_spool(listener: OpenListener, harm: str) -> None:
    image = mammogram()
    assert send(listener.port, image) == [0x0000]
    path = listener.place(image.SOPInstanceUID)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:100], "altered": whole[:-2] + b"!!", "gone": b""}[harm])
    if harm == "gone":
        path.unlink()
    assert send(listener.port, image) == [0x0000]
    assert path.read_bytes() == whole
    (said,) = listener.sentences("duplicate received")
    assert said.endswith("it is back")


def test_a_file_is_synced_through_the_descriptor_that_wrote_it(
    listener: OpenListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def sync(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().parent == listener.node.spool.incoming:
            synced.append(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE)

    monkeypatch.setattr(os, "fsync", sync)
    assert send(listener.port, mammogram()) == [0x0000]
    assert synced == [os.O_WRONLY], "another one need not be told of a write that failed"


def test_without_the_reserve_every_image_is_told_to_come_later(
    listening: Callable[..., OpenListener],
) -> None:
    listener = listening(reserve_megabytes=1 << 40)
    status, said = refused(listener, mammogram(), encoded(mammogram()))
    assert status == 0xA700
    assert said == f"A700: less than {1 << 40} MB are free"


def test_a_spool_that_cannot_be_asked_for_room_is_no_fault_of_the_image(
    listener: OpenListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Spool) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Spool, "free_bytes", gone)
    status, said = refused(listener, mammogram(), encoded(mammogram()))
    assert status == 0xA700
    assert said == "A700: the spool cannot be asked for room: Input/output error"


@pytest.mark.parametrize(
    "trouble", [OSError(errno.EMFILE, "Too many open files"), MemoryError()], ids=["disk", "memory"]
)
def test_trouble_of_the_machine_while_an_image_is_checked_is_none_of_the_image(
    listener: OpenListener, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def stumble(*_: object) -> None:
        raise trouble

    with monkeypatch.context() as stumbling:
        stumbling.setattr(keeping, "read_header", stumble)
        assert refused(listener, mammogram(), encoded(mammogram()))[0] == 0xA700
    assert send(listener.port, mammogram()) == [0x0000]


def test_without_a_database_an_image_is_told_to_come_later(listener: OpenListener) -> None:
    image = mammogram()
    with connected(listener.port, [(MAMMOGRAM, LITTLE_ENDIAN)]) as association:
        ledger = listener.node.settings.data / "ledger.sqlite"
        moved = [path.rename(f"{path}.away") for path in ledger.parent.glob("ledger.sqlite*")]
        listener.node.engine.dispose()
        answer = store(association, MAMMOGRAM, image.SOPInstanceUID, LITTLE_ENDIAN, encoded(image))
        assert answer == 0xA700
        listener.node.engine.dispose()
        for path in moved:
            path.rename(str(path).removesuffix(".away"))
        again = store(association, MAMMOGRAM, image.SOPInstanceUID, LITTLE_ENDIAN, encoded(image))
        assert again == 0x0000
    assert rows(listener) == [image.SOPInstanceUID]
    assert listener.incoming() == []


def test_an_object_larger_than_allowed_is_cut_off(listening: Callable[..., OpenListener]) -> None:
    listener = listening(max_object_megabytes=1)
    image = mammogram(PixelData=bytes(3 << 20))
    assert send(listener.port, image) == [None]
    until(lambda: listener.incoming() == [])
    assert rows(listener) == []
    assert send(listener.port, mammogram()) == [0x0000]


def half_sent(listener: OpenListener) -> socket.socket:
    """Begin to send a large image by hand, and return the connection before its end."""
    association = associate(listener.port, [(MAMMOGRAM, LITTLE_ENDIAN)])
    assert association.is_established
    image = mammogram(PixelData=bytes(8 << 20))
    plug = association.dul.socket
    assert plug is not None
    assert plug.socket is not None
    connection = plug.socket
    sent = 0

    def only_half(data: bytes, *_: object) -> None:
        nonlocal sent
        if sent < 4 << 20:
            connection.sendall(data)
            sent += len(data)

    plug.send = only_half  # type: ignore[method-assign]
    association.dimse_timeout = 0.01  # it looks at once, before what it began is forgotten
    store_half(association, image)
    until(lambda: len(listener.incoming()) == 1)
    until(lambda: sent >= 4 << 20)
    return connection


def store_half(association: object, image: Dataset) -> None:
    """Send, and hear nothing."""
    content = encoded(image)
    assert store(association, MAMMOGRAM, image.SOPInstanceUID, LITTLE_ENDIAN, content) is None  # type: ignore[arg-type]


def test_a_connection_that_breaks_leaves_no_file_and_no_row(listener: OpenListener) -> None:
    connection = half_sent(listener)
    connection.shutdown(socket.SHUT_RDWR)
    until(lambda: listener.incoming() == [])
    assert rows(listener) == []
    until(
        lambda: listener.sentences("association lost") + listener.sentences("association aborted")
    )
    assert send(listener.port, mammogram()) == [0x0000]


def test_a_sender_that_falls_silent_in_the_middle_leaves_no_file(
    listening: Callable[..., OpenListener],
) -> None:
    listener = listening(idle_seconds=2.0)
    half_sent(listener)
    until(lambda: listener.incoming() == [])
    assert rows(listener) == []


def test_what_an_earlier_run_left_half_received_is_forgotten(
    listening: Callable[..., OpenListener],
) -> None:
    listener = listening()
    listener.listener.stop()
    (listener.node.spool.incoming / "half.dcm").write_bytes(b"half")
    listener.listener.start()
    assert listener.incoming() == []
    assert [event.details for event in listener.node.questions.last_events(1)] == [
        {"forgotten_files": 1}
    ]


def test_a_port_that_is_taken_is_said_to_be(listening: Callable[..., OpenListener]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Busy, match="cannot be listened on: Address already in use"):
            listening(port=taken.getsockname()[1])
