"""What all tests share: the private servers, and the rule that nothing is skipped unseen."""

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from orthanc_server import OrthancServer, orthanc_server
from postgres_server import PostgresServer, postgres_server
from redis_server import RedisServer, redis_server

pytest_plugins = ("promises",)

# Folders of files that take long, besides the journeys: they train, or start a program each time.
LONG = frozenset({"train", "reporting"})

# Two test processes that each compute with every core are slower than with one each.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# How long an example takes is the machine's affair, and so is how fast examples are made. CI's own
# profile of Hypothesis, where it is chosen, stays what this one is made from.
settings.register_profile(
    "unhurried",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unhurried")
# A console that is made while these are set keeps its size, and a test cannot ask for another.
for size in ("COLUMNS", "LINES"):
    os.environ.pop(size, None)


@pytest.fixture(scope="session")
def pacs_of_this_process() -> Iterator[OrthancServer]:
    """Run the PACS of this test process."""
    with orthanc_server() as server:
        yield server


@pytest.fixture(scope="module")
def orthanc(pacs_of_this_process: OrthancServer) -> OrthancServer:
    """Lend the PACS, emptied: it would keep an earlier module's object of the same UID."""
    pacs_of_this_process.start()
    pacs_of_this_process.clear()
    return pacs_of_this_process


@pytest.fixture(scope="session")
def private_redis() -> Iterator[RedisServer]:
    """Lend the Redis of this test process; it keeps what earlier tests left."""
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(private_redis: RedisServer) -> str:
    """Say where the Redis of this test process is."""
    return private_redis.url


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Lend the PostgreSQL of this test process; each test makes databases of its own in it."""
    with postgres_server() as server:
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long: one that came last would be waited for alone."""
    long = {
        item.path
        for item in items
        if item.get_closest_marker("journey") or LONG.intersection(item.path.parts)
    }
    items.sort(key=lambda item: item.path not in long)


def _skips_fail() -> bool:
    return os.environ.get("FOURVIEWS_NO_SKIPS") == "1" or os.environ.get("CI") == "true"


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    # An expected failure is reported as skipped as well, and is none.
    if report.outcome == "skipped" and not hasattr(report, "wasxfail") and _skips_fail():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"no test may be skipped in this run, but this one was: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,  # noqa: ARG001 - named by pytest
    call: pytest.CallInfo[Any],  # noqa: ARG001 - named by pytest
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where every test has to run."""
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,  # noqa: ARG001 - named by pytest
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped test module into a failed one where every test has to run."""
    report = yield
    _fail_if_skipped(report)
    return report
