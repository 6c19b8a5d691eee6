"""R7: who may call whom from where, with what; who may not is told why, and so are we."""

from collections.abc import Callable, Iterator

import pytest
import wire
from attacked import Attacked, attacked
from raw_peer import STANDARD, Peer
from wire import item, offered

pytestmark = pytest.mark.journey

CALLERS = """
[[receiving.callers]]
ae_title = "KNOWN"
addresses = ["127.0.0.1"]
[[receiving.callers]]
ae_title = "GOOD"
[[receiving.callers]]
ae_title = "ELSEWHERE"
addresses = ["10.1.0.0/16", "192.168.1.7", "fd00::/8"]
[[receiving.callers]]
ae_title = "TWICE"
addresses = ["10.1.0.0/16"]
[[receiving.callers]]
ae_title = "TWICE"
addresses = ["127.0.0.0/8"]
"""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked(
        tmp_path_factory.mktemp("strict"), CALLERS, guests=1, any_caller="false", max_associations=4
    ) as target:
        yield target


def answer(
    target: Attacked,
    calling: str,
    called: str = "FOURVIEWS",
    source: str | None = None,
    **how: object,
) -> wire.Pdu:
    with Peer(target.port, source=source) as peer:
        peer.say(
            wire.associate(
                *STANDARD,
                called=called.encode(),
                calling=calling.encode(),
                **how,  # type: ignore[arg-type]
            )
        )
        return peer.hear()


REJECTED = {
    "another called title": (("KNOWN", "ANOTHER"), (1, 1, 7), "KNOWN at 127.0.0.1 called ANOTHER"),
    "the called title in small letters": (("KNOWN", "fourviews"), (1, 1, 7), "called fourviews"),
    "a longer called title": (("KNOWN", "FOURVIEWS2"), (1, 1, 7), "called FOURVIEWS2"),
    "a stranger": (("STRANGER",), (1, 1, 3), "STRANGER at 127.0.0.1 is in no"),
    "a caller in small letters": (("known",), (1, 1, 3), "known at 127.0.0.1 is in no"),
    "a longer caller": (("KNOWN2",), (1, 1, 3), "KNOWN2 at 127.0.0.1 is in no"),
    "a pattern": (("*",), (1, 1, 3), "* at 127.0.0.1 is in no"),
    "a caller from elsewhere": (("ELSEWHERE",), (1, 1, 3), "ELSEWHERE may not come from 127.0.0.1"),
    "another of its addresses": (
        ("KNOWN", "FOURVIEWS", "127.0.0.9"),
        *((1, 1, 3), "KNOWN may not come from 127.0.0.9"),
    ),
}


def test_R7_who_may_not_come_is_rejected_with_the_right_code(
    strict: Attacked, figure: Callable[[str], None]
) -> None:
    for asked, code, _ in REJECTED.values():
        assert answer(strict, *asked).rejection == code
    other = item(0x10, b"1.2.840.10008.3.1.1.9")
    assert answer(strict, "KNOWN", application=other).rejection == (1, 1, 2)
    assert answer(strict, "KNOWN", protocol=2).rejection == (1, 2, 2)
    let_in = [answer(strict, *one).kind for one in (("KNOWN",), ("TWICE",), ("KNOWN ",))]
    assert let_in == [wire.ACCEPT] * 3
    said = strict.sentences("association refused")
    wanted = [sentence for _, _, sentence in REJECTED.values()] + ["application", "version"]
    assert [one for one in wanted if not any(one in sentence for sentence in said)] == []
    figure(f"{len(wanted)} kinds of callers turned away, each by its code and in words")


def test_R7_where_all_places_are_taken_it_is_a_matter_of_time(
    strict: Attacked, figure: Callable[[str], None]
) -> None:
    peers = [Peer(strict.port, source=f"127.0.0.{2 + n}") for n in range(4)]
    try:
        assert [one.open(STANDARD, calling=b"TWICE").kind for one in peers] == [wire.ACCEPT] * 4
        assert answer(strict, "KNOWN").rejection == (2, 3, 2)
        peers[0].release()
        peers[0].socket.close()
        strict.running.wait_until(
            lambda: answer(strict, "KNOWN").kind == wire.ACCEPT, "let in where somebody left"
        )
    finally:
        for peer in peers:
            peer.socket.close()
    assert any("connected already" in one for one in strict.sentences("association refused"))
    figure("a full house: rejected as transient, let in once somebody left")


UNKNOWN = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "a modality worklist": "1.2.840.10008.5.1.4.31",
    "find": "1.2.840.10008.5.1.4.1.2.2.1",
    "storage commitment of a private kind": "1.2.826.0.1.3680043.9.7433.2.9",
}
PRIVATE = "1.2.826.0.1.3680043.9.7433.2.1"


def test_R7_what_is_not_read_is_not_negotiated_and_said(
    strict: Attacked, figure: Callable[[str], None]
) -> None:
    contexts = [
        *STANDARD,
        *[offered(11 + 2 * n, uid, wire.EXPLICIT) for n, uid in enumerate(UNKNOWN.values())],
        offered(21, wire.MAMMOGRAM, PRIVATE),
        offered(23, wire.MAMMOGRAM, PRIVATE, wire.EXPLICIT),
        offered(25, wire.MAMMOGRAM, "1.2.840.10008.1.2.4.100"),
    ]
    with Peer(strict.port) as peer:
        results = peer.open(contexts, calling=b"KNOWN").results
        peer.release()
    assert results == {1: 0, 11: 3, 13: 3, 15: 3, 17: 3, 21: 4, 23: 0, 25: 4}
    said = strict.sentences("contexts not accepted")
    assert len(said) == 1
    assert "CT Image Storage" in said[0]
    assert "1.2.826.0.1.3680043.9.7433.2.9" in said[0]
    figure(f"{len(UNKNOWN)} unknown classes (3), 2 private or unknown syntaxes (4), in words")
