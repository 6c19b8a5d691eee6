"""Who may send, and what the others are told."""

from collections.abc import Callable

import dcmtk
import pytest
from open_listener import OpenListener
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification
from senders import associate, until
from sqlalchemy.exc import OperationalError

from dicom_node.receiving import visits
from dicom_node.receiving.callers import refusal
from dicom_node.settings.receiving import Receiving

ECHO = [(str(Verification), "1.2.840.10008.1.2")]
PERMANENT, TRANSIENT = 1, 2
USER, PRESENTATION = 1, 3
CALLED_UNKNOWN, CALLER_UNKNOWN, LIMIT_EXCEEDED = 7, 3, 2


def rejection(association: Association) -> tuple[int | None, int | None, int | None]:
    """Return result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    assert association.is_rejected
    answer = association.acceptor.primitive
    assert answer is not None
    return answer.result, answer.result_source, answer.diagnostic


def receiving(*callers: dict[str, object], any_caller: bool = False) -> Receiving:
    return Receiving.model_validate({"callers": callers, "any_caller": any_caller})


@pytest.mark.parametrize(
    ("addresses", "address", "welcome"),
    [
        ([], "10.1.2.3", True),
        (["10.1.2.3"], "10.1.2.3", True),
        (["10.1.2.3"], "10.1.2.4", False),
        (["10.1.0.0/16"], "10.1.2.4", True),
        (["10.1.0.0/16"], "10.2.0.1", False),
        (["10.1.2.3", "10.9.0.0/24"], "10.9.0.77", True),
        (["10.1.2.3"], "::ffff:10.1.2.3", True),
        (["::1"], "::1", True),
        (["127.0.0.1"], "::1", False),
        (["fd00::/8"], "fd12::9", True),
    ],
)
def test_a_caller_may_come_from_its_addresses(
    addresses: list[str],
    address: str,
    welcome: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    rules = receiving({"ae_title": "MG1", "addresses": addresses})
    verdict = refusal(rules, "MG1", "FOURVIEWS", address)
    assert (verdict is None) is welcome
    if verdict is not None:
        assert verdict == (3, f"MG1 may not come from {address}: it is not among its addresses")


def test_one_title_may_stand_in_several_tables() -> None:
    rules = receiving(
        {"ae_title": "MG1", "addresses": ["10.0.0.1"]},
        {"ae_title": "MG1", "addresses": ["10.0.0.2"]},
    )
    assert refusal(rules, "MG1", "FOURVIEWS", "10.0.0.2") is None
    assert refusal(rules, "MG1", "FOURVIEWS", "10.0.0.3") is not None


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("10.0.0.1", 2),
        ("::ffff:10.0.0.1", 2),
        ("10.0.0.2", 3),
        ("10.7.0.1", 4),
        ("fd00::1", 1),
        ("192.168.0.1", 1),
    ],
)
def test_of_several_tables_a_senders_own_is_the_one_that_names_its_address_most_narrowly(
    address: str, port: int
) -> None:
    rules = receiving(
        {"ae_title": "MG2", "addresses": ["10.0.0.1"], "return_port": 9},
        {"ae_title": "MG1", "return_port": 1},
        {"ae_title": "MG1", "addresses": ["10.0.0.1"], "return_port": 2},
        {"ae_title": "MG1", "addresses": ["fe80::1", "10.0.0.0/24"], "return_port": 3},
        {"ae_title": "MG1", "addresses": ["10.0.0.0/8"], "return_port": 4},
    )
    found = rules.caller_at("MG1", address)
    assert found is not None
    assert found.return_port == port
    assert rules.caller_at("MG3", address) is None


def test_nobody_is_known_where_no_table_is() -> None:
    assert refusal(receiving(), "MG1", "FOURVIEWS", "127.0.0.1") == (
        3,
        "MG1 at 127.0.0.1 is in no [[receiving.callers]] table",
    )


def test_anybody_may_still_not_call_somebody_else() -> None:
    rules = receiving(any_caller=True)
    assert refusal(rules, "X", "FOURVIEWS", "10.0.0.1") is None
    assert refusal(rules, "X", "OTHER", "10.0.0.1") == (
        7,
        "X at 10.0.0.1 called OTHER; this node is FOURVIEWS",
    )


def test_a_stranger_is_rejected_for_good_and_written_down(
    listening: Callable[..., OpenListener],
) -> None:
    listener = listening(any_caller=False, callers=[{"ae_title": "MG1"}])
    stranger = associate(listener.port, ECHO, calling="STRANGER")
    assert rejection(stranger) == (PERMANENT, USER, CALLER_UNKNOWN)
    until(lambda: listener.sentences("association refused"))
    assert listener.sentences("association refused") == [
        "STRANGER at 127.0.0.1 is in no [[receiving.callers]] table"
    ]
    known = associate(listener.port, ECHO, calling="MG1")
    assert known.is_established
    known.release()
    assert dcmtk.echoscu(listener.port, calling="MG1").returncode == 0
    ended = dcmtk.echoscu(listener.port, calling="STRANGER")
    assert ended.returncode != 0
    assert "Calling AE Title Not Recognized" in ended.stdout + ended.stderr
    until(lambda: listener.sentences("association accepted") == ["", ""])


def test_a_wrong_called_title_is_rejected_for_good(listener: OpenListener) -> None:
    lost = associate(listener.port, ECHO, called="SOMEBODY")
    assert rejection(lost) == (PERMANENT, USER, CALLED_UNKNOWN)
    until(lambda: listener.sentences("association refused"))
    assert listener.sentences("association refused") == [
        "TESTER at 127.0.0.1 called SOMEBODY; this node is FOURVIEWS"
    ]


def test_a_known_title_from_a_wrong_address_is_rejected(
    listening: Callable[..., OpenListener],
) -> None:
    callers = [{"ae_title": "MG1", "addresses": ["10.0.0.0/8", "::1"]}]
    listener = listening(any_caller=False, callers=callers)
    moved = associate(listener.port, ECHO, calling="MG1")
    assert rejection(moved) == (PERMANENT, USER, CALLER_UNKNOWN)
    until(lambda: listener.sentences("association refused"))
    assert listener.sentences("association refused") == [
        "MG1 may not come from 127.0.0.1: it is not among its addresses"
    ]


def test_one_sender_too_many_is_told_to_come_back(listening: Callable[..., OpenListener]) -> None:
    listener = listening(max_associations=2)
    two = [associate(listener.port, ECHO) for _ in range(2)]
    assert all(one.is_established for one in two)
    third = associate(listener.port, ECHO)
    assert rejection(third) == (TRANSIENT, PRESENTATION, LIMIT_EXCEEDED)
    until(lambda: listener.sentences("association refused"))
    assert listener.sentences("association refused") == [
        "TESTER at 127.0.0.1: 2 senders are connected already"
    ]
    two[0].release()
    until(lambda: listener.sentences("association released"))
    again = associate(listener.port, ECHO)
    assert again.is_established
    again.release()
    two[1].abort()
    until(
        lambda: listener.sentences("association lost") or listener.sentences("association aborted")
    )


def test_who_cannot_be_written_down_while_the_ledger_is_away_is_told_to_come_back(
    listening: Callable[..., OpenListener], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, away = visits.write_visits, [True]

    def maybe(*given: object, in_doubt: bool) -> list[int]:
        if away:
            raise OperationalError("", {}, Exception())
        return write(*given, in_doubt=in_doubt)  # type: ignore[arg-type]

    monkeypatch.setattr(visits, "write_visits", maybe)
    monkeypatch.setattr(visits, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(visits, "MOST_UNWRITTEN", 3)
    listener = listening()
    for _ in range(3):
        associate(listener.port, ECHO).release()
    assert rejection(associate(listener.port, ECHO)) == (TRANSIENT, PRESENTATION, LIMIT_EXCEEDED)
    away.clear()
    until(lambda: associate(listener.port, ECHO).is_established)
    assert len(listener.sentences("association accepted")) >= 3
