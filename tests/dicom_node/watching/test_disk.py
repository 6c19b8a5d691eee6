"""How much room there is, for how long, and who is told when it is little."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from ledger_book import Book
from sqlalchemy import select
from typer.testing import CliRunner

from dicom_node.cli import app
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.tables import Instance
from dicom_node.settings.file import Settings
from dicom_node.spool import Spool
from dicom_node.watching.checkup import checkup
from dicom_node.watching.disk import room
from dicom_node.wiring import Node

MEGABYTES = 1000  # that are free here


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spool, "free_bytes", lambda _: MEGABYTES << 20)


def came(node: Node, *days_ago: float) -> None:
    """Let images of 100 MB have come so long ago."""
    book = Book(node.engine)
    for number, days in enumerate(days_ago):
        book.arrive(f"2.25.{number}")
        with node.ledger.writing() as session:
            last = session.scalars(select(Instance).order_by(Instance.id.desc()).limit(1)).one()
            last.size_bytes = 100 << 20
            last.received_at = by_the_clock() - timedelta(days=days)


def test_the_room_is_enough_for_so_many_days_at_the_rate_of_the_last_week(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node]
) -> None:
    node = opened(settled(receiving={"reserve_megabytes": 200}))
    assert room(node).sentence == "1000 MB are free"
    came(node, 0.5)
    assert room(node).a_day is None, "of half a day nobody can tell"
    came(node, 30.0, 4.0001, 3.0, 2.0, 1.0)
    seen = room(node)
    assert (seen.low, seen.a_day, seen.days_left) == (False, 124, 6)
    assert seen.sentence == (
        "1000 MB are free; images take 124 MB a day, so there is room for 6 days"
    )
    keeping = opened(settled(receiving={"reserve_megabytes": 200, "keep_images_days": 90}))
    assert room(keeping).sentence == "1000 MB are free; images take 124 MB a day"


@pytest.mark.parametrize(("wish", "low"), [(0, 1200), (1001, 1001), (1000, 0), (1, 0)])
def test_little_room_is_told_by_check_before_images_are_refused(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node], wish: int, low: int
) -> None:
    node = opened(settled(receiving={"reserve_megabytes": 300, "warning_megabytes": wish}))
    answer = next(one for one in checkup(node) if one.question == "can data be kept?")
    assert (answer.good, answer.warning) == (True, bool(low))
    assert ("images are refused below 300 MB: make room, or have" in answer.sentence) == bool(low)
    assert room(node).low == bool(low)
    if low:
        said = f"1000 MB are free, less than {low}; images are refused below 300"
        assert room(node).sentence == said


def test_status_tells_of_the_disk(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = opened(settled(receiving={"reserve_megabytes": 300}))
    config = node.settings.data / "node.toml"
    config.write_text(
        f'[node]\ndata = "{node.settings.data}"\n[receiving]\nreserve_megabytes = 300\n'
    )
    monkeypatch.setenv("FOURVIEWS_CONFIG", str(config))
    told = CliRunner().invoke(app, ["status"])
    assert "the disk fills up: 1000 MB are free, less than 1200" in told.output
