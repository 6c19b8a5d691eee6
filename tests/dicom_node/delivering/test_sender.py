"""What is sent is what is kept, byte for byte, or an honest answer."""

import socket
import threading
import time
import zlib
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from destinations import Destination
from free_ports import free_port
from orthanc_server import OrthancServer
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)
from rich.console import Console
from small_images import file_of, mammogram

from dicom_node.delivering import sender
from dicom_node.delivering.cable import Cable
from dicom_node.delivering.posting import post
from dicom_node.delivering.sender import NO_CONTEXT, Parcel, Peer, connected, echo
from dicom_node.errors import Busy
from dicom_node.spool import data_set_offset

MAMMOGRAM = str(DigitalMammographyXRayImageStorageForPresentation)
LITTLE_ENDIAN = str(ExplicitVRLittleEndian)
PATIENCE_SECONDS = 30.0  # with a real peer that is to answer, be the machine ever so busy


def peer(destination: Destination) -> Peer:
    return Peer(destination.ae_title, "127.0.0.1", destination.port, "FOURVIEWS", PATIENCE_SECONDS)


def awkward(syntax: UID) -> Dataset:
    """Describe an image with what is easily lost on the way."""
    image = mammogram()
    image.PatientName = "Ĝarcía^Zoë"
    image.PatientComments = ""
    image.private_block(0x0019, "PAPER", create=True).add_new(0x01, "LO", "private")
    image.private_block(0x0019, "PAPER").add_new(0x02, "UN", b"\x00\x01\xff\xfe")
    image.RequestAttributesSequence = []
    image["ViewCodeSequence"].is_undefined_length = True
    if syntax.is_encapsulated:
        image.add_new("PixelData", "OB", encapsulate([b"\x01\x02\x03", b"\x04" * 100]))
    return image


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        JPEG2000Lossless,
        RLELossless,
    ],
    ids=lambda syntax: syntax.keyword,
)
def test_the_data_set_goes_out_byte_for_byte(
    destination: Callable[..., Destination], tmp_path: Path, syntax: UID
) -> None:
    pacs = destination(takes=[(MAMMOGRAM, [syntax])])
    path = tmp_path / "image.dcm"
    path.write_bytes(file_of(awkward(syntax), syntax))
    kept = path.read_bytes()[data_set_offset(path) :]
    with connected(peer(pacs), [(MAMMOGRAM, str(syntax))]) as line:
        assert line.send(Parcel(MAMMOGRAM, str(syntax), path.read_bytes())) == 0x0000
    ((uid, negotiated, came),) = pacs.came
    assert uid == dcmread(path).SOPInstanceUID
    assert negotiated == syntax
    if syntax == DeflatedExplicitVRLittleEndian:
        kept, came = (zlib.decompress(one, -zlib.MAX_WBITS) for one in (kept, came))
    assert came == kept


def test_what_the_peer_did_not_accept_is_answered_and_never_reencoded(
    destination: Callable[..., Destination],
) -> None:
    pacs = destination(takes=[(MAMMOGRAM, [ImplicitVRLittleEndian])])
    syntaxes = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000Lossless)
    kinds = [(MAMMOGRAM, str(syntax)) for syntax in syntaxes]
    answers = []
    with connected(peer(pacs), kinds) as line:
        for syntax in (JPEG2000Lossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            content = file_of(awkward(syntax), syntax)
            answers.append(line.send(Parcel(MAMMOGRAM, str(syntax), content)))
    assert answers == [NO_CONTEXT, NO_CONTEXT, 0x0000]
    assert len(pacs.came) == 1


def test_a_peer_that_takes_nothing_of_it_is_answered_for_too(
    destination: Callable[..., Destination],
) -> None:
    pacs = destination(takes=[("1.2.840.10008.5.1.4.1.1.7", [ExplicitVRLittleEndian])])
    with connected(peer(pacs), [(MAMMOGRAM, LITTLE_ENDIAN)]) as line:
        parcel = Parcel(MAMMOGRAM, LITTLE_ENDIAN, file_of(mammogram()))
        assert line.send(parcel) == NO_CONTEXT
    assert pacs.came == []


def test_the_answer_of_the_peer_is_returned(destination: Callable[..., Destination]) -> None:
    pacs = destination(answers=[0xB000, 0xA700, 0xC123])
    content = file_of(mammogram())
    with connected(peer(pacs), [(MAMMOGRAM, LITTLE_ENDIAN)]) as line:
        parcel = Parcel(MAMMOGRAM, LITTLE_ENDIAN, content)
        assert [line.send(parcel) for _ in range(3)] == [0xB000, 0xA700, 0xC123]
        line.abort()
        assert line.send(parcel) is None


def test_echo_says_who_answers_and_who_does_not(
    destination: Callable[..., Destination], orthanc: OrthancServer
) -> None:
    pacs = destination()
    echo(peer(pacs))
    echo(Peer(orthanc.aet, orthanc.host, orthanc.dicom_port, "FOURVIEWS", PATIENCE_SECONDS))
    with pytest.raises(Busy, match=r"WRONG@.* refuses the association: it is not called WRONG"):
        echo(Peer("WRONG", "127.0.0.1", pacs.port, "FOURVIEWS", PATIENCE_SECONDS))
    with pytest.raises(Busy, match=r"not called WRONG"):
        echo(Peer("WRONG", orthanc.host, orthanc.dicom_port, "FOURVIEWS", PATIENCE_SECONDS))
    with pytest.raises(Busy, match="cannot be reached"):
        echo(Peer("PACS", "127.0.0.1", free_port(), "FOURVIEWS", 5.0))
    for name in ("pacs.hospital.invalid", "x" * 64 + ".invalid"):
        with pytest.raises(Busy, match=f"no address is known for {name}"):
            echo(Peer("PACS", name, 104, "FOURVIEWS", 5.0))


def test_who_accepts_the_connection_and_no_association_is_not_called_out_of_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        wanted = (
            r"accepts the connection, and does not answer the association request within 0\.5 s"
        )
        with pytest.raises(Busy, match=wanted):
            echo(Peer("MUTE", "127.0.0.1", port, "FOURVIEWS", 0.5))
        silent.accept()[0].close()  # the one that was left before

        def hang_up() -> None:
            silent.accept()[0].close()

        hanging_up = threading.Thread(target=hang_up)
        hanging_up.start()
        with pytest.raises(Busy, match="accepts the connection, and ends it at the association"):
            echo(Peer("CURT", "127.0.0.1", port, "FOURVIEWS", PATIENCE_SECONDS))
        hanging_up.join()


def test_a_refusal_is_heard_though_the_caller_looks_late(
    orthanc: OrthancServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer has said no and hung up by then, as happens on a busy machine."""

    class Late(Cable):
        def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401
            super().__init__(*given, **named)
            wait = self._ready.wait
            monkeypatch.setattr(self._ready, "wait", lambda: (wait(), time.sleep(1)))

    monkeypatch.setattr(sender, "Cable", Late)
    with pytest.raises(Busy, match=r"not called WRONG"):
        echo(Peer("WRONG", orthanc.host, orthanc.dicom_port, "FOURVIEWS", 30.0))


def told(pacs: Destination, *files: Path) -> tuple[int, str]:
    """Post files, and return how many were refused and what was said."""
    page = StringIO()
    refused = post(peer(pacs), files, Console(file=page, width=300))
    return refused, page.getvalue()


def test_a_folder_is_posted_whole(destination: Callable[..., Destination], tmp_path: Path) -> None:
    pacs = destination()
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    (tmp_path / "in" / "a.dcm").write_bytes(file_of(mammogram()))
    (tmp_path / "in" / "deeper" / "b").write_bytes(file_of(awkward(RLELossless), RLELossless))
    (tmp_path / "in" / "notes.txt").write_text("no DICOM")
    refused, said = told(pacs, tmp_path / "in")
    assert refused == 0
    assert len(pacs.came) == 2
    assert f"2 of 2 taken by PACS@127.0.0.1:{pacs.port}" in said


def test_a_file_that_is_not_taken_is_named(
    destination: Callable[..., Destination], tmp_path: Path
) -> None:
    pacs = destination(takes=[(MAMMOGRAM, [ExplicitVRLittleEndian])], answers=[0xA700, 0x0000])
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / name).write_bytes(file_of(mammogram()))
    (tmp_path / "c.dcm").write_bytes(file_of(awkward(RLELossless), RLELossless))
    refused, said = told(pacs, tmp_path)
    assert refused == 2
    assert "a.dcm  status A700" in said
    assert "c.dcm  status 0122: it does not accept this kind of object" in said
    assert "1 of 3 taken" in said


def test_who_was_cut_off_is_told_to_send_again(
    destination: Callable[..., Destination], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacs = destination(running=False)
    monkeypatch.setattr(pacs, "_store", lambda event: event.assoc.abort() or 0xA700)
    pacs.start()
    (tmp_path / "a.dcm").write_bytes(file_of(mammogram()))
    refused, said = told(pacs, tmp_path)
    assert refused == 1
    assert "a.dcm  no answer: the connection ended" in said
    assert "send them all again once it answers: what it has already changes nothing" in said


def test_a_folder_without_dicom_is_no_success(
    destination: Callable[..., Destination], tmp_path: Path
) -> None:
    refused, said = told(destination(), tmp_path)
    assert refused == 1
    assert f"no DICOM files in {tmp_path}" in said


def test_a_real_pacs_keeps_what_was_sent(orthanc: OrthancServer) -> None:
    image = awkward(ExplicitVRLittleEndian)
    content = file_of(image)
    to = Peer(orthanc.aet, orthanc.host, orthanc.dicom_port, "FOURVIEWS", PATIENCE_SECONDS)
    with connected(to, [(MAMMOGRAM, LITTLE_ENDIAN)]) as line:
        assert line.send(Parcel(MAMMOGRAM, LITTLE_ENDIAN, content)) == 0x0000
        again = line.send(Parcel(MAMMOGRAM, LITTLE_ENDIAN, content))
    assert again in {0x0000, 0x0111}
    (kept,) = orthanc.datasets(image.StudyInstanceUID)
    assert kept == dcmread(BytesIO(content))
