"""What the node promises: each promise's figure, the tests that keep it, and what they measured.

A test that keeps a promise has its number in its name, `test_R8_...`, and says with the fixture
`figure` what it measured. `--promises` runs these tests alone, at full length, and prints the
table; it fails where a promise has no figure. `--trace-matrix` lists the tests of each promise.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

WANTED: dict[str, str] = {
    "R1": "slow peers: a good C-ECHO within 2 s; bad ones closed within their limit + 10 %",
    "R2": "endless PDUs, commands, data: at most +64 MiB each; under 300 MiB with 8 senders",
    "R3": "malformed associations, commands, data: 0 crashes, 0 leaks, no Success that should fail",
    "R4": "hostile UIDs: 0 files outside the store, 0 overwritten",
    "R5": "bombs: at most +1 GiB, FAILED with its reason within 60 s, next study unaffected",
    "R6": "TLS: mutual, 1.2 at least, plain and foreign refused; 5 stalled: good peer within 2 s",
    "R7": "who may call whom, unknown classes and syntaxes: right codes, each recorded in words",
    "R8": "100 kills under load, 5000 images: 0 lost, corrupt or partial; listening again in 3 s",
    "R9": "failpoints x kill, raise, stall: every study delivered once",
    "R10": "disk full: A7xx before any loss, back within 30 s, watermark refuses early",
    "R11": "500 studies under mixed faults: 0 without result, 0 with two, 0 UIDs with two contents",
    "R12": "PACS down: 0 lost, at most one association a minute, 200 drained in 10 min",
    "R13": "storage commitment: purged only after it; failed and never answered handled",
    "R14": "broker lost in every way: 0 studies lost, no C-STORE refused, rebuilt within 60 s",
    "R15": "workers lost: run again within 30 s, three strikes, no double result",
    "R16": "database lost: A700 within 5 s, never Success; back within 10 s",
    "R17": "SIGTERM under load: no more accepted, done within 30 s, 0 lost, exit 0",
    "R18": "clock jumps: no transfer killed, audit in sequence, back-off monotonic",
    "R19": "8 senders x 25 images of 17 MB: 0 refused, at least 100 MB/s with fsync",
    "R20": "soak: no growth of memory, threads, descriptors",
    "R21": "received = delivered + failed + declined + pending; NaN never yields a result",
    "A1": "an audit row in the same transaction as each change: none missing after all kills",
    "A2": "every tampering noticed; a million rows verified in 30 s",
    "A3": "every kind of event is recorded",
    "A4": "audit export valid against the schema",
    "A5": "patient data in logs, queue, metrics, addresses: 0 sentinels",
    "A6": "retention with an audited purge: 10 years by default, refuses under 6 months",
    "A7": "every result recomputed from its record: 20 of 20 equal",
    "S1": "no eval, shell or pickle",
    "S2": "weights verified: 100 of 100 byte flips refused",
    "S3": "hashed lock file and bill of materials",
    "S4": "Redis: a password unless on loopback",
    "S5": "no secret in files or messages",
    "S6": "status page: loopback, login, rate limit, CSP",
    "S7": "the listener's process is without torch",
}

PROMISES = re.compile(r"^test((?:_[RAS]\d{1,2})+)_")


def promises_of(name: str) -> list[str]:
    """List the promises that a test's name says it keeps."""
    found = PROMISES.match(name)
    return found.group(1).strip("_").split("_") if found else []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the two options."""
    group = parser.getgroup("promises")
    group.addoption("--promises", action="store_true", help="keep every promise, print the table")
    group.addoption("--trace-matrix", action="store_true", help="list the tests of each promise")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Lend a pen: what it is given stands beside the promise as the figure of this run."""
    assert promises_of(request.node.name), "only a test that keeps a promise measures one"

    def write_down(measured: str) -> None:
        request.node.user_properties.append(("figure", measured))

    return write_down


@pytest.fixture
def at_length(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """Choose how often or how long: a little in `make test`, the whole in `make faults`."""
    whole = bool(request.config.getoption("--promises"))
    return lambda little, much: much if whole else little


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run only tests that keep promises, or list them."""
    if config.getoption("--trace-matrix"):
        _print_matrix(config, items)
        items.clear()
    elif config.getoption("--promises"):
        ours = [item for item in items if promises_of(item.name)]
        others = [item for item in items if not promises_of(item.name)]
        config.hook.pytest_deselected(items=others)
        items[:] = ours


def _print_matrix(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    page = config.get_terminal_writer()
    tests = defaultdict[str, set[str]](set)
    for item in items:
        for promise in promises_of(item.name):
            tests[promise].add(item.nodeid.partition("[")[0])
    for promise, wanted in WANTED.items():
        page.line(f"\n{promise}  {wanted}")
        for name in sorted(tests[promise]) or ["no test"]:
            page.line(f"    {name}")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:  # noqa: ANN401
    """Print what was promised and what was measured."""
    if not config.getoption("--promises"):
        return
    measured, broken = defaultdict[str, list[str]](list), set[str]()
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            for promise in promises_of(report.nodeid.rpartition("::")[2]):
                measured[promise] += [str(said) for key, said in report.user_properties]
                if outcome != "passed":
                    broken.add(promise)
    table = Table("id", "figure wanted", "figure measured", "kept")
    for promise, wanted in WANTED.items():
        if config.getoption("keyword") and promise not in measured:
            continue  # nobody asked
        told = "\n".join(dict.fromkeys(measured[promise])) or "NOT MEASURED"
        kept = "BROKEN" if promise in broken else "yes" if measured[promise] else "MISSING"
        table.add_row(promise, wanted, told, kept, end_section=True)
    with Path("build/promises.txt").open("w") as file:
        Console(file=file, width=160).print(table)
    terminalreporter.write("\n" + Path("build/promises.txt").read_text())


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail where a promise has no figure."""
    if not session.config.getoption("--promises") or hasattr(session.config, "workerinput"):
        return
    asked = set() if session.config.getoption("keyword") else set(WANTED)
    Path("build").mkdir(exist_ok=True)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None
    told = {
        promise
        for report in reporter.stats.get("passed", [])
        if report.user_properties
        for promise in promises_of(report.nodeid.rpartition("::")[2])
    }
    if exitstatus == pytest.ExitCode.OK and asked - told:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
