"""A database that is lost in every way there is: A700 in time, never Success, and soon back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from postgres_server import PostgresServer, postgres_server
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from running_node import RunningNode, running_node
from small_images import mammogram
from sqlalchemy.engine import make_url
from tcp_proxy import TcpProxy, tcp_proxy

pytestmark = pytest.mark.journey

SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
ANSWERED_SECONDS, BACK_SECONDS = 5.0, 10.0


@contextmanager
def sender(node: RunningNode, image: Dataset) -> Iterator[Association]:
    """Connect as a modality does."""
    ae = AE("STORESCU")
    ae.add_requested_context(image.SOPClassUID, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", node.port, ae_title="FOURVIEWS")
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def stored(association: Association) -> tuple[int, float]:
    """Store a new image, and say what was answered, and after how long."""
    image, began = mammogram(), time.monotonic()
    image.file_meta = Dataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    answer = association.send_c_store(image)
    return int(answer.Status), time.monotonic() - began


@contextmanager
def black_hole(server: PostgresServer, proxy: TcpProxy, database: str) -> Iterator[None]:
    del server, database
    proxy.set("black hole")
    yield
    proxy.set("open")


@contextmanager
def stopped(server: PostgresServer, proxy: TcpProxy, database: str) -> Iterator[None]:
    del proxy, database
    server.stop()
    yield
    server.start()


@contextmanager
def crowded(server: PostgresServer, proxy: TcpProxy, database: str) -> Iterator[None]:
    """Let nobody in any more, and put out who is in."""
    del proxy
    with _admin(server, "postgres") as admin:
        admin.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database]
        )
        yield
        admin.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true')


@contextmanager
def locked(server: PostgresServer, proxy: TcpProxy, database: str) -> Iterator[None]:
    """Hold what the node wants to write, as a careless query does."""
    del proxy
    with _admin(server, database) as admin:
        admin.execute("BEGIN")
        admin.execute("LOCK TABLE cases IN ACCESS EXCLUSIVE MODE")
        yield
        admin.execute("ROLLBACK")


def _admin(server: PostgresServer, database: str) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1", port=server.port, user="postgres", dbname=database, autocommit=True
    )


WAYS = {one.__name__: one for one in (black_hole, stopped, crowded, locked)}


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL that may be stopped without harm to other tests."""
    with postgres_server() as server:
        yield server


@pytest.mark.parametrize(
    "way",
    [  # one of them each time, all of them in `make faults`
        pytest.param(way, marks=[] if way == "black_hole" else pytest.mark.slow) for way in WAYS
    ],
)
def test_R16_a_sender_hears_in_time_that_the_database_is_lost(
    way: str,
    own_postgres: PostgresServer,
    tmp_path: Path,
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
) -> None:
    database = f"lost_{way}"
    url = make_url(own_postgres.create_database(database))
    with (
        tcp_proxy(own_postgres.port) as proxy,
        running_node(
            tmp_path / "node",
            [],
            database=url.set(port=proxy.port).render_as_string(hide_password=False),
        ) as node,
    ):
        assert node.run("migrate").returncode == 0
        node.start("listen")
        node.wait_until_listening()
        with sender(node, mammogram()) as association:
            assert stored(association)[0] == SUCCESS
            with WAYS[way](own_postgres, proxy, database):
                answers = [stored(association) for _ in range(3)]
                with sender(node, mammogram()) as another:
                    answers.append(stored(another))
            began = time.monotonic()
            while stored(association)[0] != SUCCESS:
                assert time.monotonic() - began < 60, node.log()[-3000:]
            back = time.monotonic() - began
        assert {status for status, _ in answers} == {OUT_OF_RESOURCES}
        slowest = max(seconds for _, seconds in answers)
        figure(
            f"{way}: A700 within {slowest:.1f} s, {len(answers)} of {len(answers)}; "
            f"back after {back:.1f} s"
        )
        assert slowest < ANSWERED_SECONDS * at_length(5, 1)
        assert back < BACK_SECONDS * at_length(5, 1)
        assert node.processes["listen"].poll() is None
