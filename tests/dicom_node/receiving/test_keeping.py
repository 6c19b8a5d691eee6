"""Keeping an image is one promise: the file and its row, or neither."""

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian
from small_images import encoded, mammogram
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from dicom_node.errors import NotYourTurn
from dicom_node.ledger import patience
from dicom_node.ledger.arrivals import keep_row
from dicom_node.ledger.patience import left
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Base, Instance
from dicom_node.life import State
from dicom_node.receiving import keep as keeping
from dicom_node.receiving.keep import Collision, Envelope, keep
from dicom_node.settings.file import Settings
from dicom_node.spool import Spool, data_set_digest
from dicom_node.watching.balance import balance
from dicom_node.wiring import Node, migrate

if TYPE_CHECKING:
    from postgres_server import PostgresServer

THREADS = 8


@pytest.fixture(scope="session")
def on_postgres(
    postgres: "PostgresServer", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    url = postgres.create_database(f"keeping_{uuid.uuid4().hex}")
    data = tmp_path_factory.mktemp("keeping")
    node = Node(Settings.model_validate({"node": {"data": data, "database": url}}))
    migrate(node)
    yield node
    node.engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest) -> Node:
    """Open a node without images on either database."""
    node: Node = request.getfixturevalue("node" if request.param == "sqlite" else "on_postgres")
    if request.param == "postgres":
        with node.engine.begin() as connection:
            names = ", ".join(Base.metadata.tables)
            connection.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
    return node


def arrived(spool: Spool, image: Dataset) -> Path:
    """Lay a file into the incoming folder, as the network does."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = image.SOPClassUID
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = spool.incoming / f"{uuid.uuid4().hex}.dcm"
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        write_file_meta_info(file, meta)
        file.write(encoded(image))
    return path


def kept(node: Node, image: Dataset) -> bool:
    """Keep an image that came from the network."""
    path = arrived(node.spool, image)
    envelope = Envelope(
        None,
        "MG1",
        "10.0.0.9",
        str(image.SOPClassUID),
        str(image.SOPInstanceUID),
        str(ExplicitVRLittleEndian),
    )
    return keep(node.ledger, node.spool, path, envelope)


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """Do something in threads that start together; return the answers, or what went wrong."""
    start = threading.Barrier(count)
    answers: list[object] = []

    def begin(number: int) -> None:
        start.wait()
        try:
            answers.append(work(number))
        except Exception as fault:  # noqa: BLE001 - the test looks at it
            answers.append(fault)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_images_of_a_new_study_kept_at_once_make_one_case(either: Node) -> None:
    study = str(mammogram().StudyInstanceUID)
    images = [mammogram(StudyInstanceUID=study) for _ in range(THREADS)]
    assert at_once(THREADS, lambda number: kept(either, images[number])) == [True] * THREADS
    (case,) = Questions(either.engine).cases_of(study)
    rows = either.questions.images_of(case)
    assert {row.sop_uid for row in rows} == {image.SOPInstanceUID for image in images}
    assert all(either.spool.path(row.path).stat().st_size == row.size_bytes for row in rows)
    assert list(either.spool.incoming.iterdir()) == []


def test_the_same_image_kept_at_once_is_one_row_and_many_duplicates(either: Node) -> None:
    image = mammogram()
    answers = at_once(THREADS, lambda _: kept(either, image))
    assert sorted(map(str, answers)) == ["False"] * (THREADS - 1) + ["True"]
    (case,) = either.questions.cases_of(image.StudyInstanceUID)
    assert len(either.questions.images_of(case)) == 1


def test_an_image_whose_row_cannot_be_written_is_not_kept(node: Node) -> None:
    image = mammogram()
    node.spool.prepare()
    with node.engine.begin() as connection:
        connection.execute(text("ALTER TABLE events RENAME TO gone"))
    with pytest.raises(Exception, match="no such table: events"):
        kept(node, image)
    with node.engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO events"))
    assert node.questions.cases_of(image.StudyInstanceUID) == []
    assert kept(node, image) is True


def test_an_image_that_was_in_place_but_never_promised_is_kept_when_it_comes_again(
    node: Node,
) -> None:
    image = mammogram()
    node.spool.prepare()
    digest = "blake3:" + blake3(encoded(image)).hexdigest()
    place = node.spool.path(node.spool.image_name(image.SOPInstanceUID, digest))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"killed between the rename and the commit")
    assert kept(node, image) is True
    assert place.read_bytes().endswith(encoded(image))


def test_a_duplicate_brings_back_a_file_that_had_gone(node: Node) -> None:
    image = mammogram()
    assert kept(node, image)
    (case,) = node.questions.cases_of(image.StudyInstanceUID)
    (row,) = node.questions.images_of(case)
    node.spool.path(row.path).unlink()
    assert not kept(node, image)
    assert data_set_digest(node.spool.path(row.path)) == row.digest
    assert "it is back" in node.questions.last_events(1)[0].sentence


def kept_by_an_older_release(node: Node, image: Dataset) -> Instance:
    """Keep an image, and name it in the ledger as releases before revision 15 did."""
    assert kept(node, image)
    with node.ledger.writing() as session:
        row = session.scalars(select(Instance)).one()
        row.digest = hashlib.sha256(encoded(image)).hexdigest()
    return row


@pytest.mark.parametrize("damaged", [False, True])
def test_an_image_that_an_older_release_kept_is_known_again(node: Node, *, damaged: bool) -> None:
    image = mammogram()
    row = kept_by_an_older_release(node, image)
    if damaged:
        with node.spool.path(row.path).open("r+b") as file:
            file.truncate(row.size_bytes - 1)
    assert not kept(node, image)
    assert node.spool.image(row.path, row.digest).stat().st_size == row.size_bytes
    assert ("it is back" in node.questions.last_events(1)[0].sentence) == damaged
    assert balance(node, deep=True).discrepancies == ()


def test_another_image_with_the_uid_of_one_that_an_older_release_kept_is_set_aside(
    node: Node,
) -> None:
    image = mammogram()
    row = kept_by_an_older_release(node, image)
    with pytest.raises(Collision):
        kept(node, mammogram(SOPInstanceUID=image.SOPInstanceUID, StudyID="other"))
    assert len(list(node.spool.quarantine.iterdir())) == 1
    assert node.spool.holds(row.path, row.digest)


def test_a_round_that_got_an_image_since_it_was_looked_at_is_not_settled(node: Node) -> None:
    image = mammogram()
    kept(node, image)
    (arriving,) = node.questions.arriving()
    kept(node, mammogram(StudyInstanceUID=image.StudyInstanceUID))
    with pytest.raises(NotYourTurn):
        node.ledger.move(
            arriving.case.id,
            State.RECEIVING,
            State.RECEIVED,
            last_image_at=arriving.case.last_image_at,
        )
    (case,) = node.questions.cases_of(str(image.StudyInstanceUID))
    assert case.state == State.RECEIVING


def test_a_listener_that_stood_still_overwrites_nothing_that_was_acknowledged_meanwhile(
    on_postgres: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, image = on_postgres, mammogram()
    node.spool.prepare()
    uids = {"SOPInstanceUID": image.SOPInstanceUID, "StudyInstanceUID": image.StudyInstanceUID}
    other = mammogram(**uids, PatientID="SOMEBODY")
    take, acknowledged = Spool.take, []

    def much_later(spool: Spool, path: Path, name: str) -> None:
        monkeypatch.setattr(Spool, "take", take)
        monkeypatch.setattr(keeping, "_LOCKS", (threading.Lock(),))  # another process has its own
        with node.engine.connect() as connection:  # as PostgreSQL does after a minute
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND state = 'idle in transaction'"
                    " AND pid <> pg_backend_pid()"
                )
            )
        acknowledged.append(kept(node, other))
        take(spool, path, name)

    monkeypatch.setattr(Spool, "take", much_later)
    with pytest.raises(OperationalError):
        kept(node, image)
    assert acknowledged == [True]
    (case,) = node.questions.cases_of(image.StudyInstanceUID)
    (row,) = node.questions.images_of(case)
    assert encoded(other) in node.spool.image(row.path, row.digest).read_bytes()


@pytest.mark.parametrize("harm", ["nothing", "gone"])
def test_an_image_that_an_earlier_release_named_otherwise_stays_where_its_row_says(
    node: Node, harm: str
) -> None:
    image, former = mammogram(), "images/00/by-its-uid-alone.dcm"
    assert kept(node, image)
    (case,) = node.questions.cases_of(image.StudyInstanceUID)
    (row,) = node.questions.images_of(case)
    node.spool.path(row.path).rename(node.spool.path(former))
    with node.ledger.writing() as session:
        session.get_one(Instance, row.id).path = former
    if harm == "gone":
        node.spool.path(former).unlink()
    assert not kept(node, image)
    assert data_set_digest(node.spool.path(former)) == row.digest
    assert balance(node, deep=True).discrepancies == ()


def test_a_slow_disk_takes_no_time_from_the_ledger(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_for: list[float] = []

    def row(*given: Any) -> object:  # noqa: ANN401 - whatever the row is made of
        left_for.append(left(60.0))
        return keep_row(*given)

    monkeypatch.setattr(keeping, "ANSWER_SECONDS", 30.0)
    monkeypatch.setattr(keeping, "keep_row", row)

    def slowly(*_: object) -> None:
        slow = SimpleNamespace(monotonic=lambda: time.monotonic() + 31.0)
        monkeypatch.setattr(patience, "time", slow)

    monkeypatch.setattr(Spool, "secure", slowly)
    assert kept(node, mammogram())
    assert left_for[0] > 1.0
