"""Every kind of event is in the table of kinds, and in a real ledger after the deed."""

import ast
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from ledger_book import Book

import dicom_node
from dicom_node.auditing.duty import on_duty, values_kept
from dicom_node.auditing.exporting import export
from dicom_node.auditing.keeping import Keeper
from dicom_node.auditing.signing import signer
from dicom_node.auditing.verify import verify
from dicom_node.commands.audit import _record
from dicom_node.ledger.kinds import KINDS
from dicom_node.life import State
from dicom_node.receiving.wire import CutOff, Lost
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node
from dicom_node.worker import _verify_bundles

ROOT = Path(dicom_node.__file__).parents[1]
WRITERS = {"note": 1, "record": 0, "_try_to_record": 0, "_record": 0}


def literals(node: ast.expr) -> list[str]:
    """Return the texts that an expression may be; of an f-string, its beginning with a star."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return literals(node.body) + literals(node.orelse)
    if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        return [f"{node.values[0].value}*"]
    return []


def written() -> dict[str, str]:
    """Find what the code calls the events that it writes, and where."""
    found = {}
    for path in sorted((ROOT / "dicom_node").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                place = WRITERS.get(node.func.attr)
                if place is not None and len(node.args) > place:
                    for name in literals(node.args[place]):
                        found[name] = f"{path}:{node.lineno}"
    return found


def ways_to_end() -> set[str]:
    """Find how an association may end: the trail says so in the name of the event."""
    found = {CutOff("").how, Lost("").how}
    for path in sorted((ROOT / "dicom_node" / "receiving").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Ended":
                found |= set(literals(node.args[0]))
    return found


def test_A3_every_event_that_the_code_writes_is_of_a_known_kind(
    figure: Callable[[str], None],
) -> None:
    names = written()
    unknown = {
        name: place
        for name, place in names.items()
        if not any(
            kind == name or (name[-1] == "*" and kind.startswith(name[:-1])) for kind in KINDS
        )
    }
    assert unknown == {}
    assert {"moved", "image received", "delivered", "association *"} <= set(names)
    sources = "".join(path.read_text() for path in (ROOT / "dicom_node").rglob("*.py"))
    table = (ROOT / "dicom_node" / "ledger" / "kinds.py").read_text()
    told = (ROOT / "dicom_node" / "auditing" / "messages.py").read_text()
    for text in (table, told):
        sources = sources.replace(text, "")
    ends = {f"association {how}" for how in ways_to_end()}
    assert len(ends) >= 5
    assert ends <= set(KINDS)
    assert {kind for kind in KINDS if f'"{kind}"' not in sources} <= ends
    figure(f"{len(KINDS)} kinds, {len(names)} places that write them")


def whats(node: Node) -> list[str]:
    return [event.what for event in node.questions.events()]


def test_A3_a_process_records_its_start_its_end_and_which_settings_changed(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    figure: Callable[[str], None],
) -> None:
    node = opened(settled())
    for _ in range(2):
        with on_duty(node.ledger, node.settings, "listen", "1"):
            pass
    assert whats(node) == ["settings changed", "started", "stopped", "started", "stopped"]
    home = {"data": node.settings.data, "broker": "redis://:rosebud@localhost/0"}
    other = opened(settled(node=home, receiving={"port": 11113}))
    with on_duty(other.ledger, other.settings, "listen", "1"):
        pass
    event = [one for one in other.questions.events() if one.what == "settings changed"][-1]
    assert event.sentence == "node.broker, receiving.port"
    assert "rosebud" not in str(event.details)
    kept = values_kept(other.engine, other.settings.digest)
    assert kept is not None
    assert (kept["receiving.port"], kept["node.broker"]) == (11113, "**********")
    first = values_kept(other.engine, node.settings.digest)
    assert first is not None
    assert (first["receiving.port"], first["node.broker"]) == (11112, "")
    assert values_kept(other.engine, "0" * 64) is None
    third = {"data": node.settings.data, "broker": "redis://:tulip@localhost/0"}
    again = opened(settled(node=third, receiving={"port": 11113}))
    with on_duty(again.ledger, again.settings, "listen", "1"):
        pass
    assert whats(again)[-1:] == ["stopped"]
    assert whats(again).count("settings changed") == 2, "of a secret nothing can be told"
    figure("started, stopped, settings changed: recorded")


def test_A3_a_bundle_that_is_loaded_or_refused_is_recorded(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    name = "shared_trunk_phantom"
    node = opened(settled())
    (analyzer,) = node.analyzers
    event = node.questions.events()[-1]
    assert (event.what, event.details["digest"]) == ("model loaded", analyzer.digest)
    shutil.copytree(ROOT / "bundles" / name, tmp_path / name)
    weights = tmp_path / name / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    bad = opened(settled(analyzing={"bundles": tmp_path, "bundle": name}))
    with pytest.raises(Exception, match=r"weights"):
        _verify_bundles(bad)
    assert whats(bad)[-1] == "model refused"
    with pytest.raises(Exception, match=r"weights"):
        assert bad.analyzers
    assert whats(bad)[-2:] == ["model refused", "model refused"]
    figure("model loaded and refused: recorded, with the digest")


def test_A3_the_watermark_is_recorded(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    figure: Callable[[str], None],
) -> None:
    node = opened(settled(receiving={"reserve_megabytes": 10**9}))
    keeper = Keeper(node.ledger, node.settings, signer(node.settings))
    keeper.round()
    keeper.round()
    keeper.settings = settled()
    keeper.settings = keeper.settings.model_copy(
        update={"receiving": keeper.settings.receiving.model_copy(update={"reserve_megabytes": 0})}
    )
    keeper.round()
    assert whats(node) == ["watermark reached", "watermark left"]
    figure("watermark reached and left: recorded")


def test_an_early_warning_is_recorded_once_and_taken_back_with_room_to_spare(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = opened(settled(receiving={"reserve_megabytes": 100}))
    keeper = Keeper(node.ledger, node.settings, signer(node.settings))
    for free in (500, 399, 401, 390, 439, 441, 300, 99, 98, 101, 500):
        left = SimpleNamespace(free=free << 20)
        monkeypatch.setattr("shutil.disk_usage", lambda _, left=left: left)
        keeper.round()
    low, enough, below, back = (
        "space runs low",
        "space enough",
        "watermark reached",
        "watermark left",
    )
    assert whats(node) == [low, enough, low, below, back, enough]
    sentence = (
        "399 MB are free, 100 MB are kept in reserve, and below 400 MB somebody should make room"
    )
    assert node.questions.events()[0].sentence == sentence


def test_A3_who_verifies_or_exports_the_trail_is_recorded(
    node: Node, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    found = verify(node.engine, [], tmp_path / "checkpoints")
    _record(node, found)
    export(node.ledger, node.settings, tmp_path / "messages.xml", 0, "")
    looks = [event for event in node.questions.events() if event.what.startswith("trail ")]
    assert [event.what for event in looks] == ["trail verified", "trail exported"]
    assert looks[0].sentence == f"{found.events} events, {len(found.faults)} faults"
    figure("verified and exported: recorded, with what was found")


def test_A3_every_state_is_recorded(node: Node, figure: Callable[[str], None]) -> None:
    book = Book(node.engine)
    for number, state in enumerate(State):
        book.case_at(state, f"2.25.{number + 1}")
    reached = {event.to_state for event in node.questions.events()}
    assert reached - {None} == {str(state) for state in State}
    figure(f"{len(State)} of {len(State)} states recorded")
