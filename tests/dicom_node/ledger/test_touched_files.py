"""The files of an embedded ledger, taken away or replaced while it is written to."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from dicom_node.errors import Misconfigured
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node, migrate, ready

Ways = dict[str, Callable[[Path], None]]

FIRST = 5
AFTER = [f"then {number}" for number in range(5)]
# Another process, that is killed in the end: what it has not brought to the disk is lost.
WRITER = """
import sys
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from dicom_node.ledger.engine import open_engine

engines = {}
for line in sys.stdin:
    path, word = line.strip().split(chr(9))
    engine = engines.setdefault(path, open_engine(f"sqlite:///{path}"))
    try:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": word})
    except OperationalError:
        print("no", file=sys.stderr, flush=True)
    else:
        print("yes", file=sys.stderr, flush=True)
"""


def aside(path: Path) -> None:
    path.rename(path.with_name("aside"))


def replaced(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def without(*suffixes: str) -> Callable[[Path], None]:
    def take(path: Path) -> None:
        for suffix in suffixes:
            path.with_name(path.name + suffix).unlink()

    return take


WAYS: Ways = {
    "removed": without(""),
    "all removed": without("", "-wal", "-shm"),
    "put aside": aside,
    "replaced": replaced,
    "-wal removed": without("-wal"),
    "-shm removed": without("-shm"),
    "-wal and -shm removed": without("-wal", "-shm"),
}


def written(path: Path) -> set[str]:
    """Read the ledger as whoever opens it next."""
    with suppress(sqlite3.OperationalError), sqlite3.connect(path) as connection:
        return {row[0] for row in connection.execute("SELECT word FROM words")}
    return set()


def test_R16_what_was_committed_is_there_whatever_is_done_to_the_ledgers_files(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    told: dict[str, list[str]] = {}
    with writing() as write:
        for way, do in WAYS.items():
            path = ledger_of(tmp_path / way)
            with sqlite3.connect(path) as connection:
                connection.execute("CREATE TABLE words (word TEXT)")
            assert all(write(path, f"first {number}") for number in range(FIRST))
            do(path)
            told[way] = [word for word in AFTER if write(path, word)]
    for way, promised in told.items():
        found = written(ledger_of(tmp_path / way))
        assert set(promised) <= found, way
        assert not promised, way
        if "-" in way:  # nothing but logs is gone: what they held was brought to the ledger
            assert len(found) == FIRST, way
    promised_then = sum(len(words) for words in told.values())
    figure(
        f"{len(WAYS)} ways of taking an embedded ledger's files away: {promised_then} of "
        f"{len(WAYS) * len(AFTER)} rows promised after it, 0 lost of those before"
    )


def ledger_of(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder / "ledger.sqlite"


@contextmanager
def writing() -> Iterator[Callable[[Path, str], bool]]:
    """Run the writer until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # the log
        stderr=subprocess.PIPE,
        text=True,
    ) as writer:
        said, heard = writer.stdin, writer.stderr
        assert said is not None
        assert heard is not None

        def write(path: Path, word: str) -> bool:
            said.write(f"{path}\t{word}\n")
            said.flush()
            return heard.readline() == "yes\n"

        try:
            yield write
        finally:
            writer.kill()


def test_a_ledger_that_is_put_back_is_written_to_again(node: Node) -> None:
    node.ledger.record("listening", "before")
    path = node.settings.data / "ledger.sqlite"
    path.rename(path.with_name("aside"))
    with pytest.raises(OperationalError, match="taken away"):
        node.ledger.record("listening", "while it is away")
    assert not path.exists(), "none is made in its place"
    path.with_name("aside").rename(path)
    node.ledger.record("listening", "after")
    assert [event.sentence for event in node.questions.events()] == ["before", "after"]


def test_no_empty_ledger_is_made_beside_images_of_a_lost_one(tmp_path: Path) -> None:
    node = Node(Settings.model_validate({"node": {"data": tmp_path}}))
    image = tmp_path / "spool" / "images" / "00" / "00.dcm"
    image.parent.mkdir(parents=True)
    image.touch()
    with pytest.raises(Misconfigured, match="put the ledger back from its backup"):
        ready(node)
    migrate(node)
    assert ready(node) is node, "an administrator may begin anew"
    node.engine.dispose()
