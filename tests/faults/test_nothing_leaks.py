"""Marked patients and marked secrets go the whole way: none of them is found where it must not be.

The node runs on PostgreSQL and Redis, each with a password, and logs as much as it can.
"""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from dcmtk import storescu
from free_ports import free_port
from marked_patients import NAMES, leaks, malformed, marked, needles
from postgres_server import PostgresServer
from private_process import program
from redis_server import redis_server
from running_node import Pacs, RunningNode, running_node
from slow_pacs import slow_pacs
from small_images import file_of, mammogram

from dicom_node.life import Receipt, State
from dicom_node.watching.page.login import hashed
from dicom_node.watching.story import story
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import study

pytestmark = pytest.mark.journey

MASS = (Wanted(kind="mass", malignant=True, side="L"),)
SECRETS = {
    "database": "ROSEBUD-of-the-database",
    "broker": "ROSEBUD-of-the-broker",
    "token": "ROSEBUD-of-the-metrics",
    "password": "ROSEBUD-of-the-page",
}


@pytest.fixture(scope="module")
def heard(
    request: pytest.FixtureRequest,
    postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, bytes]:
    """Run everything, at full length for both forms of log, and return all that was said where."""
    formats = ("json", "plain") if request.config.getoption("--promises") else ("json",)
    return {
        f"{where} ({log_format})": content
        for log_format in formats
        for where, content in _all_that_is_said(
            tmp_path_factory.mktemp(f"leaks_{log_format}"), postgres, log_format
        )
    }


def _all_that_is_said(
    folder: Path, postgres: PostgresServer, log_format: str
) -> Iterator[tuple[str, bytes]]:
    database = postgres.create_database(f"leaks_{log_format}")
    with (
        redis_server() as queue,
        slow_pacs() as pacs,
        slow_pacs(status=0xC000, ae_title="REFUSING") as refusing,
        monkey_environment() as environment,
    ):
        with redis.Redis(port=queue.port) as client:
            client.config_set("requirepass", SECRETS["broker"])
        environment["LEAKS_BROKER"] = f"redis://:{SECRETS['broker']}@127.0.0.1:{queue.port}/0"
        secret = folder / "database"
        secret.touch(mode=0o600)
        secret.write_text(database.replace("postgres@", f"postgres:{SECRETS['database']}@"))
        gone = Pacs("gone", "GONE", free_port())
        wishes = ('role = "workstation"',)
        destinations = [
            Pacs("pacs", pacs.ae_title, pacs.port),
            Pacs("refusing", "REFUSING", refusing.port, wishes=wishes),
            Pacs("gone", "GONE", gone.port, wishes=wishes),
        ]
        with (
            running_node(
                folder / "node",
                destinations,
                database=f"file:{secret}",
                broker="env:LEAKS_BROKER",
            ) as node,
            listening_in(queue.port) as overheard,
        ):
            _settle(node, folder, log_format)
            yield from _sent_the_whole_way(node, folder)
            yield "arguments of the processes", _arguments(node)
        yield "queue", b"\n".join(overheard)
        yield "log", node.log().encode()
        yield "ledger", _dumped(postgres, database)
        names = [str(path) for path in (folder / "node" / "data").rglob("*")]
        yield "names of files", "\n".join(names).encode()


@contextmanager
def monkey_environment() -> Iterator[dict[str, str]]:
    """Lend an environment for secrets, and take it back."""
    with pytest.MonkeyPatch.context() as patch:

        class Environment(dict[str, str]):
            def __setitem__(self, name: str, value: str) -> None:
                patch.setenv(name, value)

        yield Environment()


def _settle(node: RunningNode, folder: Path, log_format: str) -> None:
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(SECRETS["token"])
    text = node.config.read_text().replace(
        "[receiving]", f'log_format = "{log_format}"\nlog_level = "debug"\n[receiving]', 1
    )
    text += (
        f"[analyzing.accept]\nrows_min = 16\n[watching.page]\nport = {free_port()}\n"
        f'metrics_token = "file:{token}"\n[[watching.page.users]]\nname = "u"\n'
        f'password = "{hashed(SECRETS["password"])}"\n'
    )
    node.config.write_text(text)
    assert node.run("migrate").returncode == 0
    for command in (("listen",), ("work",), ("page",)):
        node.start(*command)
    node.wait_until_listening()
    node.wait_until(lambda: "the status page is served" in node.log(), "serving its page")


def _sent_the_whole_way(node: RunningNode, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Send marked patients in every way that may end otherwise; return what commands said."""
    fine = [marked(one) for one in datasets(study(7, lesions=MASS, pitch_mm=0.4))]
    for one in fine:  # what declines a series is another study's part
        one.SeriesDescription = one.ProtocolName = "ZQ7 screening"
    files = write(fine, folder / "fine")
    assert storescu(files, node.port).returncode == 0
    others = folder / "others"
    others.mkdir()
    for number, character_set in enumerate(NAMES):
        small = marked(mammogram(), character_set)
        (others / f"declined{number}.dcm").write_bytes(file_of(small))
    twice = marked(mammogram())
    (others / "original.dcm").write_bytes(file_of(twice))
    malformed(others)
    said = [node.run("send", str(others)), node.run("send", str(others))]
    twice.PatientComments = "ZQ7-another"
    collision = folder / "collision.dcm"
    collision.write_bytes(file_of(twice))
    said += [node.run("send", str(collision))]
    said += [node.run("send", str(collision), "--calling", "STRANGER")]
    uid = str(fine[0].StudyInstanceUID)
    node.wait_until(lambda: _at_rest(node), "all studies at an end")
    (fine_case,) = node.questions.cases_of(uid)
    receipts = {debt.delivery.receipt for debt in node.questions.debts_of(fine_case.id)}
    assert Receipt.DELIVERED in receipts, fine_case.reason
    cases = node.questions.cases(limit=100)
    stories = [str(story(node.questions, case, node.settings)) for case in cases]
    for command in ("status", "check", "balance", "trace"):
        name = [uid] if command == "trace" else []
        said += [node.run(command, *name), node.run(command, "--json", *name)]
    said += [node.run("retry", uid), node.run("recall", uid)]
    yield "commands", "\n".join([*stories, *(one.stdout + one.stderr for one in said)]).encode()
    yield "states", " ".join(sorted({case.state for case in cases})).encode()
    yield from _page(node)


def _at_rest(node: RunningNode) -> bool:
    cases = node.questions.cases(limit=100)
    ends = {State.DELIVERED, State.DECLINED, State.FAILED}
    return len(cases) > len(NAMES) and all(
        case.state in ends or "still owed to gone" in case.reason for case in cases
    )


def _page(node: RunningNode) -> Iterator[tuple[str, bytes]]:
    """Ask the status page, as a person and as a program."""
    port = node.settings.watching.page.port
    curl = [program("curl"), "-sS", "--cookie-jar", "-", "--location", "-b", ""]
    form = ["--data-urlencode", "name=u", "--data-urlencode", f"password={SECRETS['password']}"]
    page = subprocess.run(
        [*curl, *form, f"http://127.0.0.1:{port}/login"], capture_output=True, check=True
    )
    assert b"Log out" in page.stdout
    yield "status page", page.stdout
    header = f"Authorization: Bearer {SECRETS['token']}"
    numbers = subprocess.run(
        [*curl, "-H", header, f"http://127.0.0.1:{port}/metrics"], capture_output=True, check=True
    )
    assert b"fourviews_cases" in numbers.stdout
    yield "metrics", numbers.stdout


@contextmanager
def listening_in(port: int) -> Iterator[list[bytes]]:
    """Overhear all that is said to Redis."""
    heard: list[bytes] = []
    client = redis.Redis(port=port, password=SECRETS["broker"], socket_timeout=None)

    def listen() -> None:
        try:
            with client.monitor() as monitor:
                heard.extend(str(said["command"]).encode() for said in monitor.listen())
        except (redis.RedisError, ValueError, OSError):  # it was told to stop
            return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        client.close()


def _arguments(node: RunningNode) -> bytes:
    """Read the arguments of all processes that belong to the node."""
    groups = {process.pid for process in node.processes.values()}
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) in groups:
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" "))
        except (OSError, ProcessLookupError):
            continue
    assert len(found) >= len(groups)
    return b"\n".join(found)


def _dumped(postgres: PostgresServer, url: str) -> bytes:
    """Write the whole ledger as text."""
    dump = program("pg_dump", *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
    where = f"postgresql://postgres@127.0.0.1:{postgres.port}/{url.rpartition('/')[2]}"
    return subprocess.run([dump, where], capture_output=True, check=True).stdout


def test_A5_nothing_of_a_patient_is_said_anywhere(
    heard: Mapping[str, bytes], figure: Callable[[str], None]
) -> None:
    found = [leak for where, content in heard.items() for leak in leaks(content, where)]
    size = sum(len(content) for content in heard.values()) >> 10
    figure(
        f"{len(found)} marks of patients ({len(needles())} forms) in {size} KiB of "
        f"{', '.join(heard)}"
    )
    assert found == []
    for where, word in {
        "states": b"DECLINED",
        "log": b"image refused",
        "ledger": b"kept aside",
        "queue": b"analyze",
        "arguments of the processes": b"listen",
    }.items():
        assert word in heard[f"{where} (json)"], "what nobody said is no proof"


def test_S5_no_secret_is_said_anywhere(
    heard: Mapping[str, bytes], figure: Callable[[str], None]
) -> None:
    found = [
        f"{where}: {name}"
        for where, content in heard.items()
        for name, secret in SECRETS.items()
        if secret.encode() in content
    ]
    figure(f"{len(found)} of {len(SECRETS)} secrets in {', '.join(heard)}")
    assert found == []


def test_a_mark_would_be_found() -> None:
    name = next(iter(NAMES.values())).partition("^")[0]
    assert list(leaks(f"... {name} ...".encode(), "x"))
    for left in (
        b"ZQ700X",
        b"a/ZQ707X.dcm",
        b"'ZQ7'",
        b"ZQ70...",
        b"ZQ7 MAKER",
        b"ZQ7-kg  ",
        b"ZQ7Y ",
    ):
        assert list(leaks(b"PatientID " + left, "x")), left
    assert not list(leaks(b"InDZQ7kz3Q/Lnzf7", "x"))  # three letters of a digest
    assert list(leaks(b"born 19370422", "x"))
