"""Who is killed while writing leaves a change with its line in the trail, or neither."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ledger_book import Book

from dicom_node.ledger.accounts import books
from dicom_node.ledger.chain import GENESIS
from dicom_node.life import State, may_move

WRITE = """
import sys
from contextlib import suppress
from ledger_book import Book
from dicom_node.errors import NotYourTurn
from dicom_node.ledger.engine import open_engine
from dicom_node.life import VERBS, State
book = Book(open_engine(sys.argv[1]))
print("ready", flush=True)
while True:
    for number in range(3):
        study = f"2.25.{sys.argv[2]}.{number}"
        case_id = book.arrive(study)
        print("image", flush=True)
        with suppress(NotYourTurn):
            book.ledger.move(case_id, State.RECEIVING, State.RECEIVED)
            for verb in VERBS:
                with book.ledger.turn(case_id, verb):
                    pass
"""


def test_A1_no_line_is_missing_after_kills(
    book: Book, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    url, kills, acknowledged = book.engine.url, at_length(4, 60), 0
    here = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
    for kill in range(kills):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE, url.render_as_string(hide_password=False), str(kill + 1)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(0.05 + 0.37 * kill % 0.55)
        writer.send_signal(signal.SIGKILL)
        said, _ = writer.communicate()
        acknowledged += said.count("image\n")
    closed = books(book.engine)
    images, cases, _ = closed.accounts
    assert closed.contradictions == ()
    assert images.balanced
    assert cases.balanced
    assert images.total >= acknowledged
    events = book.questions.events()
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert len({event.hash for event in events} | {GENESIS}) == len(events) + 1
    moves = [event for event in events if event.from_state is not None]
    assert all(may_move(State(one.from_state), State(one.to_state)) for one in moves)
    figure(
        f"{book.engine.dialect.name}: {kills} kills, {len(events)} events, {acknowledged} images "
        "acknowledged, 0 changes without their line"
    )
