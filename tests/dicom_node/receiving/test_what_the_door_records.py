"""Whatever happens at the door stands in the audit trail afterwards."""

from collections.abc import Callable

from open_listener import OpenListener
from senders import associate, send, until
from small_images import mammogram

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
    until(lambda: listener.sentences("association aborted"))
    counts = {
        what: len(listener.sentences(what))
        for what in (
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
    }
    listener.listener.stop()
    full = listening(reserve_megabytes=1 << 40)
    assert send(full.port, mammogram()) == [0xA700]
    assert counts == {what: 2 if what == "association accepted" else 1 for what in counts}
    assert listener.sentences("image refused")[0].startswith("A901")
    assert full.sentences("image refused")[-1].startswith("A700")
    seen = len(counts) + 1
    figure(f"{seen} of {seen} deeds at the door recorded, collision and full disk among them")
