"""Whatever happens at the door stands in the audit trail afterwards."""

import socket
from collections.abc import Callable

import pytest
from open_listener import OpenListener
from senders import associate, connected, send, until
from small_images import mammogram
from sqlalchemy import select

from dicom_node.errors import Busy
from dicom_node.ledger.arrivals import close_left_open
from dicom_node.ledger.tables import NAME_LENGTH, Association
from dicom_node.receiving.listener import Listener

ECHO = ("1.2.840.10008.1.1", "1.2.840.10008.1.2")


def test_A3_what_happens_at_the_door_is_recorded(
    listening: Callable[..., OpenListener], figure: Callable[[str], None]
) -> None:
    listener = listening()
    image = mammogram()
    uids = {"SOPInstanceUID": image.SOPInstanceUID, "StudyInstanceUID": image.StudyInstanceUID}
    other = mammogram(**uids, PatientID="SOMEBODY")
    assert send(listener.port, image, image, other) == [0x0000, 0x0000, 0xA901]
    assert not associate(listener.port, [ECHO], called="SOMEBODY").is_established
    associate(listener.port, [ECHO]).abort()
    deeds = (
        "listening",
        "association accepted",
        "association released",
        "association aborted",
        "association refused",
        "round opened",
        "image received",
        "duplicate received",
        "image refused",
    )
    until(lambda: all(listener.sentences(what) for what in deeds))
    counts = {what: len(listener.sentences(what)) for what in deeds}
    listener.listener.stop()
    full = listening(reserve_megabytes=1 << 40)
    assert send(full.port, mammogram()) == [0xA700]
    assert counts == {what: 2 if what == "association accepted" else 1 for what in counts}
    assert listener.sentences("image refused")[0].startswith("A901")
    assert full.sentences("image refused")[-1].startswith("A700")
    seen = len(counts) + 1
    figure(f"{seen} of {seen} deeds at the door recorded, collision and full disk among them")


def test_a_listener_that_starts_closes_nothing_of_another_machine(
    listening: Callable[..., OpenListener], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = listening()
    with connected(here.port, [ECHO]):
        until(lambda: here.sentences("association accepted"))
        monkeypatch.setattr(socket, "gethostname", lambda: "another")
        close_left_open(here.node.ledger, here.listener.door)
        with here.node.engine.connect() as connection:
            assert connection.scalars(select(Association.closed_at)).all() == [None]
        monkeypatch.undo()
        close_left_open(here.node.ledger, here.listener.door)
        with here.node.engine.connect() as connection:
            assert connection.scalars(select(Association.closed_at)).all() != [None]


def test_a_second_listener_at_the_same_port_takes_nothing_from_the_first(
    listening: Callable[..., OpenListener],
) -> None:
    here = listening()
    with connected(here.port, [ECHO]):
        until(lambda: here.sentences("association accepted"))
        half = here.listener.incoming / "half.dcm"
        half.write_bytes(b"half an image")
        second = Listener(here.listener.receiving, here.node.ledger, here.node.spool)
        with pytest.raises(Busy, match="cannot be listened on: Address already in use"):
            second.start()
        assert half.exists()
        assert here.sentences("association lost") == []
        half.unlink()


@pytest.mark.parametrize("address", ["10.0.0.1", "fe80:1234:1234:1234:1234:1234:1234:1234"])
def test_the_name_of_a_listener_fits_into_the_ledger(
    listening: Callable[..., OpenListener], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "reading-room-" * 5 + ".hospital.example")
    listener = listening().listener
    listener.receiving = listener.receiving.model_copy(update={"address": address})
    assert len(listener.door) <= NAME_LENGTH
    assert listener.door.startswith(listener.name)
