"""The demo: a phantom study goes the whole way, and one sees it go.

A node of its own starts on the embedded default in a folder of its own; a PACS receives. What is
shown at the end is what the PACS gives back.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import MammographyCADSRStorage
from rich.console import Console
from rich.markup import escape

from dicom_node.delivering.posting import post
from dicom_node.delivering.sender import Peer
from dicom_node.demo.archives import AE_TITLE, Archive, archive, free_port
from dicom_node.errors import Busy, Misconfigured
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Event
from dicom_node.life import State
from dicom_node.reporting.marks import plain_text
from dicom_node.settings.file import ENVIRONMENT_VARIABLE, Settings, load_settings
from dicom_node.shipped import shipped
from dicom_node.specimens import described
from dicom_node.watching.pages import story_page
from dicom_node.watching.picture import picture
from dicom_node.watching.story import line, story
from dicom_node.wiring import Node, ready
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import study

PATIENCE_SECONDS = 300.0
LESIONS = (
    Wanted(kind="mass", malignant=True, side="L"),
    Wanted(kind="calcification", malignant=True, side="R"),
)
ENDS = {State.DELIVERED, State.DECLINED, State.FAILED}


def show(console: Console, folder: Path, seed: int, bundles: Sequence[str], which: str) -> int:
    """Run the demo; 0 where the results came back from the PACS."""
    folder = folder.absolute()
    _clear(folder)
    with (
        archive(which, folder) as pacs,
        _running_node(console, folder, pacs, bundles) as (settings, process),
    ):
        questions = ready(Node(settings)).questions
        images = _phantom(console, folder, seed)
        study_uid = str(images[0].StudyInstanceUID)
        _send(console, settings, process, folder)
        end = _follow(console, questions, study_uid)
        objects = pacs.objects_of(study_uid)
        if end != State.DELIVERED:
            console.print(f"[red]the case ended {end}[/]; the node's log: {folder / 'node.log'}")
            return 1
        _present(console, folder, pacs, [*images, *objects])
        story_page(console, story(questions, questions.cases_of(study_uid)[-1], settings))
    _what_next(console, folder)
    return 0


def _clear(folder: Path) -> None:
    """Start afresh, but never in a folder that is somebody else's."""
    marker = folder / ".fourviews-demo"
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise Misconfigured([f"--folder: {folder} holds other things; choose an empty folder"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()


def _bundle_named(name: str) -> str:
    """Take a bundle's name, or a system's: then its phantom bundle."""
    home = shipped("bundles")
    for candidate in (name, f"{name}_phantom"):
        if (home / candidate / "card.toml").exists():
            return candidate
    there = ", ".join(sorted(path.name for path in home.iterdir() if path.is_dir()))
    raise Misconfigured([f"--system: no bundle is called {name}; there are: {there}"])


def _settings_file(folder: Path, pacs: Archive, bundles: Sequence[str]) -> Path:
    """Write a settings file that differs from the default only in where and to whom."""
    path = folder / "node.toml"
    path.write_text(
        f"""# The demo's node: everything that is not here is the default.
[node]
data = "{folder / "data"}"

[receiving]
port = {free_port()}
reserve_megabytes = 200
grace_seconds = 1.0

[[receiving.callers]]
ae_title = "FOURVIEWS_SEND"
addresses = ["127.0.0.1"]

[analyzing]
bundle = {json.dumps(bundles)}

[[delivering.destinations]]
name = "pacs"
ae_title = "{AE_TITLE}"
host = "127.0.0.1"
port = {pacs.port}
""",
        encoding="utf-8",
    )
    return path


@contextmanager
def _running_node(
    console: Console, folder: Path, pacs: Archive, bundles: Sequence[str]
) -> Iterator[tuple[Settings, "subprocess.Popen[bytes]"]]:
    """Start `dicom-node up` as an administrator would, and stop it the same way."""
    named = [_bundle_named(name) for name in bundles]
    path = _settings_file(folder, pacs, named)
    settings = load_settings(path)
    with (folder / "node.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dicom_node", "up"],
            env={**os.environ, ENVIRONMENT_VARIABLE: str(path)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    console.print(f"PACS  {pacs.name}, AE {AE_TITLE}, port {pacs.port}", highlight=False)
    console.print(
        f"node  AE {settings.receiving.ae_title}, port {settings.receiving.port}, "
        f"ledger SQLite, queue a folder, bundle {' and '.join(named)}",
        highlight=False,
    )
    try:
        yield settings, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _phantom(console: Console, folder: Path, seed: int) -> list[Dataset]:
    """Make a patient with a lesion in each breast."""
    made = study(seed, lesions=LESIONS)
    images = datasets(made)
    write(images, folder / "study")
    console.print(f"study  phantom {seed}: {described(made, images)}", highlight=False)
    return images


def _send(
    console: Console, settings: Settings, process: "subprocess.Popen[bytes]", folder: Path
) -> None:
    """Send as a modality would, once the listener is up."""
    receiving = settings.receiving
    peer = Peer(receiving.ae_title, "127.0.0.1", receiving.port, "FOURVIEWS_SEND", 30.0)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        if process.poll() is not None:
            raise Busy(f"the node did not start; its log is {folder / 'node.log'}")
        try:
            post(peer, [folder / "study"], console)
        except Busy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return


def _follow(console: Console, questions: Questions, study_uid: str) -> State:
    """Print the audit trail as it grows, until the case has come to an end."""
    started, seen = time.monotonic(), 0
    while time.monotonic() < started + PATIENCE_SECONDS:
        for event in questions.events(study_uid=study_uid, after_id=seen):
            seen = event.id
            _print_event(console, event, time.monotonic() - started)
            if event.to_state in ENDS:
                return State(event.to_state)
        time.sleep(0.1)
    raise Busy(f"no result after {PATIENCE_SECONDS:g} s")


def _print_event(console: Console, event: Event, seconds: float) -> None:
    at = event.at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    style = "bold" if event.to_state else "dim"
    console.print(
        f"[cyan]{at}[/] {seconds:6.1f} s  [{style}]{escape(line(event))}[/]", highlight=False
    )


def _present(console: Console, folder: Path, pacs: Archive, objects: list[Dataset]) -> None:
    """Show what came back: the picture, the report as text, and what the PACS holds."""
    drawn = picture(objects, folder / "result.png")
    report = next(one for one in objects if one.SOPClassUID == MammographyCADSRStorage)
    text = plain_text(report)
    (folder / "report.txt").write_text(text, encoding="utf-8")
    console.rule("the report, as the PACS returned it", align="left")
    console.print(text, highlight=False, markup=False)
    console.rule("what the PACS holds", align="left")
    results = folder / "results"
    results.mkdir()
    for one in objects:
        if one.Modality in {"SR", "SEG"}:
            name = f"{one.SeriesNumber}-{one.Modality}-{str(one.SOPInstanceUID)[-8:]}.dcm"
            one.save_as(results / name, enforce_file_format=True)
            console.print(f"{one.SOPClassUID.name}: {one.SeriesDescription}", highlight=False)
    console.rule("the audit trail", align="left")
    console.print(f"{drawn} marks drawn from {pacs.name}'s objects", highlight=False)


def _what_next(console: Console, folder: Path) -> None:
    console.rule("where things are", align="left")
    console.print(f"picture       {folder / 'result.png'}", highlight=False)
    console.print(f"report        {folder / 'report.txt'}", highlight=False)
    console.print(f"objects       {folder / 'results'}", highlight=False)
    console.print(f"settings      {folder / 'node.toml'}", highlight=False)
    console.print(
        f"\nNext: copy {shipped('config') / 'node.toml'},\nname your PACS in "
        "[[delivering.destinations]] and your modality in [[receiving.callers]], and let the node "
        "listen\nwhere it can be reached: receiving.address is this machine alone until you say "
        "otherwise.\nThen `dicom-node check` says what is missing, and `dicom-node up` runs the "
        "node. docs/administration.md goes on from there.",
        highlight=False,
        markup=False,
    )
