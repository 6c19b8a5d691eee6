"""Everything that came in is somewhere, and the command that says so notices what is not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from open_listener import place_of
from pydicom.uid import ExplicitVRLittleEndian
from small_images import file_of, mammogram
from sqlalchemy import delete, update
from typer.testing import CliRunner

from dicom_node.cli import app
from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Case, Delivery, Instance, Product
from dicom_node.life import Receipt, State
from dicom_node.receiving.keep import Envelope, keep
from dicom_node.watching import balance as balances
from dicom_node.watching.balance import balance
from dicom_node.wiring import Node


def kept(node: Node) -> Path:
    """Keep one image, and return where it lies."""
    image = mammogram()
    path = node.spool.incoming / "arriving"
    path.write_bytes(file_of(image))
    known = (str(image.SOPClassUID), str(image.SOPInstanceUID), str(ExplicitVRLittleEndian))
    assert keep(node.ledger, node.spool, path, Envelope(None, "MG1", "1.2.3.4", *known))
    return place_of(node, str(image.SOPInstanceUID))


@pytest.fixture
def full(node: Node) -> Node:
    """Fill a node: images with files, and an object that is owed to two."""
    for _ in range(3):
        kept(node)
    name = node.spool.case_name(1, "a" * 32, "00-cad_sr.dcm")
    digest = node.spool.write(name, b"an object")
    with node.ledger.writing() as session:
        product = Product(
            case_id=1,
            kind="cad_sr",
            transfer_syntax_uid="1.2",
            sop_class_uid="1.2",
            sop_uid="1.2.3",
            series_uid="1.2",
            size_bytes=9,
            sha256=digest,
            path=name,
            made_at=now(),
        )
        session.add(product)
        session.flush()
        for destination in ("pacs", "other"):
            session.add(
                Delivery(
                    product_id=product.id,
                    case_id=1,
                    destination=destination,
                    receipt=Receipt.OWED,
                    due_at=now(),
                    owed_since=now(),
                )
            )
    return node


def discrepancies(node: Node, *, deep: bool = False) -> list[str]:
    return list(balance(node, deep=deep).discrepancies)


def test_a_node_of_which_nothing_is_missing_balances(full: Node) -> None:
    closed = balance(full, deep=True)
    assert closed.discrepancies == ()
    images, cases, deliveries = closed.accounts
    assert (images.total, images.parts["pending"]) == (3, 3)
    assert (cases.total, cases.parts["pending"]) == (3, 3)
    assert (deliveries.total, deliveries.parts["owed"]) == (2, 2)
    assert closed.files == 4


def cut(node: Node) -> None:
    next(iter((node.settings.data / "spool/images").rglob("*.dcm"))).write_bytes(b"cut")


def remove(node: Node) -> None:
    next(iter((node.settings.data / "spool/images").rglob("*.dcm"))).unlink()


def flip(node: Node) -> None:
    path = node.spool.path(node.spool.case_name(1, "a" * 32, "00-cad_sr.dcm"))
    path.write_bytes(b"an OBJECT")


def flip_image(node: Node) -> None:
    path = next(iter((node.settings.data / "spool/images").rglob("*.dcm")))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def stranger(node: Node) -> None:
    (node.spool.folder / "images" / "00" / "stranger.dcm").write_bytes(b"nobody's")


def lose_a_row(node: Node) -> None:
    with node.ledger.writing() as session:
        session.execute(delete(Instance).where(Instance.id == 1))


def move_unseen(node: Node) -> None:
    with node.ledger.writing() as session:
        session.execute(update(Case).where(Case.id == 2).values(state=State.DELIVERED))


def receipt_unseen(node: Node) -> None:
    with node.ledger.writing() as session:
        change = update(Delivery).where(Delivery.id == 1)
        session.execute(change.values(receipt=Receipt.DELIVERED))


def hold_without_a_lease(node: Node) -> None:
    with node.ledger.writing() as session:
        case = session.get_one(Case, 3)
        case.state = State.ANALYZING
        node.ledger.note(session, "moved", case=case, start=State.RECEIVED, end=case.state)


def line_without_a_row(node: Node) -> None:
    with node.ledger.writing() as session:
        node.ledger.note(session, "image received", case=session.get_one(Case, 3))


def end_in_debt(node: Node) -> None:
    with node.ledger.writing() as session:
        case = session.get_one(Case, 1)
        case.state = State.DELIVERED
        node.ledger.note(session, "moved", case=case, start=State.DELIVERING, end=case.state)


SPOILED: dict[Callable[[Node], None], str] = {
    cut: "has 3 bytes, not",
    remove: "cannot be opened: No such file",
    flip: "case 1: the cad_sr cases/1/aaaaaaaaaaaa/00-cad_sr.dcm does not hold what was written",
    flip_image: "does not hold what was written",
    stranger: "images/00/stranger.dcm is in the spool and in no row",
    lose_a_row: "case 1 has other numbers of rows and of lines `image received`",
    move_unseen: "case 2 is not where the audit trail last saw it",
    receipt_unseen: "case 1 has other numbers of rows and of lines `delivered`",
    hold_without_a_lease: "case 3 is held by nobody",
    line_without_a_row: "case 3 has other numbers of rows and of lines `image received`",
    end_in_debt: "case 1 is DELIVERED and owes objects still",
}


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_what_does_not_fit_is_named(
    full: Node, spoil: Callable[[Node], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balances, "JUST_NOW_SECONDS", 0.0)
    spoil(full)
    said = discrepancies(full, deep=True)
    assert any(SPOILED[spoil] in sentence for sentence in said), said
    assert len(said) <= 2


def test_an_image_that_just_comes_in_is_no_stranger(full: Node) -> None:
    stranger(full)
    assert discrepancies(full) == []


def test_what_a_lost_turn_left_is_counted_and_no_fault(full: Node) -> None:
    full.spool.write(full.spool.case_name(2, "b" * 32, "findings.json"), b"{}")
    closed = balance(full, deep=False)
    assert (closed.discrepancies, closed.left_over) == ((), 1)


def test_the_command_ends_with_1_where_something_is_missing(
    full: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\ndata = "{full.settings.data}"\n')
    monkeypatch.setenv("FOURVIEWS_CONFIG", str(config))
    good = CliRunner().invoke(app, ["balance", "--deep"])
    assert good.exit_code == 0
    assert "images: 3 received = 0 delivered + 0 failed + 0 declined + 3 pending" in good.output
    assert "everything is there" in good.output
    remove(full)
    bad = CliRunner().invoke(app, ["balance", "--json"])
    assert bad.exit_code == 1
    told = json.loads(bad.output)
    assert told["balanced"] is False
    assert told["images"] == {
        "received": 3,
        "delivered": 0,
        "failed": 0,
        "declined": 0,
        "pending": 3,
    }
    assert len(told["discrepancies"]) == 1
