"""The commands. Each reads like a sentence; `--json` where a script may want the answer.

Heavy libraries are imported inside the commands that need them, so that --help is quick.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from dicom_node.errors import Busy, Misconfigured, NotYourTurn
from dicom_node.settings import ENVIRONMENT_VARIABLE, Settings, load_settings, settings_path

app = typer.Typer(
    name="dicom-node",
    help="A mammography AI node: studies come in over DICOM, findings go out as SR and SEG. "
    "For research use only.",
    epilog="First steps: `dicom-node demo`, then `dicom-node check` with your own node.toml.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
console = Console()
SENDER = "FOURVIEWS_SEND"  # how `send` and `echo` call this node's own listener


def say(words: str) -> None:
    """Print a line as it is; a terminal may break it, we do not."""
    console.print(words, highlight=False, soft_wrap=True)


JSON = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]


@app.callback()
def _everywhere(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="The settings file. Default: $FOURVIEWS_CONFIG, ./config/node.toml, "
            "else the one shipped with the node.",
        ),
    ] = None,
) -> None:
    if config is not None:
        os.environ[ENVIRONMENT_VARIABLE] = str(config.absolute())


def run() -> None:
    """Run a command; say what is wrong in a sentence, with an exit status of its own."""
    try:
        app()
    except Misconfigured as faults:
        for fault in faults.faults:
            typer.echo(fault, err=True)
        sys.exit(os.EX_CONFIG)
    except Busy as trouble:
        typer.echo(trouble, err=True)
        sys.exit(os.EX_TEMPFAIL)
    except NotYourTurn as answer:
        typer.echo(answer, err=True)
        sys.exit(1)


def _node(*, check: bool = True) -> Any:  # noqa: ANN401 - a Node, imported late
    from dicom_node.wiring import Node, ready

    node = Node(load_settings())
    return ready(node) if check else node


def _logging(command: Callable[..., None]) -> Callable[..., None]:
    """Set up the log before a command that runs for long."""

    @wraps(command)
    def with_log(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever typer gives
        from dicom_node.household import leave_with_the_head
        from dicom_node.logs import set_up

        leave_with_the_head()
        settings = load_settings()
        set_up(settings.node.log_format, settings.node.log_level)
        command(*args, **kwargs)

    return with_log


# --- running ------------------------------------------------------------------------------------


@app.command()
@_logging
def up() -> None:
    """Run the whole node here: listener, sweep and workers. Ctrl-C stops it cleanly."""
    from dicom_node.household import keep_house
    from dicom_node.tending import stop_on_signals

    _node()
    stop = threading.Event()
    stop_on_signals(stop)
    raise typer.Exit(keep_house(settings_path().absolute(), stop))


@app.command()
@_logging
def listen() -> None:
    """Take images in, settle studies, and sweep. One of these; it needs no torch."""
    from dicom_node.receiving.listener import Listener
    from dicom_node.tending import stop_on_signals, tend

    node = _node()
    stop = threading.Event()
    stop_on_signals(stop)
    listener = Listener(node.settings.receiving, node.ledger, node.spool)
    listener.start()
    try:
        tend(node, stop)
    finally:
        listener.stop()


@app.command()
@_logging
def work(
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="Serve only this step: analyze, report or deliver. May be repeated."
        ),
    ] = None,
) -> None:
    """Serve the queues: analyze, report, deliver. As many of these as there are GPUs."""
    from dicom_node.life import VERBS
    from dicom_node.worker import work as serve

    verbs = [verb for verb in VERBS if not only or verb.name in only]
    unknown = sorted(set(only or ()) - {verb.name for verb in VERBS})
    if unknown:
        raise typer.BadParameter(f"no such step: {', '.join(unknown)}")
    node = _node()
    node.engine.dispose()
    serve(node.settings, verbs, "-".join(verb.name for verb in verbs))


@app.command()
def sweep() -> None:
    """Take back cases that lost their worker and ring for what is due, once, now."""
    from dicom_node.tending import sweep_once

    rung = sweep_once(_node())
    console.print(f"rang for {rung} cases")


@app.command()
def migrate() -> None:
    """Bring the ledger's tables up to date. Run once after each upgrade, with the node stopped."""
    from dicom_node.wiring import migrate as bring_up_to_date

    before, after = bring_up_to_date(_node(check=False))
    console.print(
        f"the ledger was at revision {before or 'none'} and is now at {after}"
        if before != after
        else f"the ledger is at revision {after} already"
    )


# --- looking ------------------------------------------------------------------------------------


@app.command()
def check(*, as_json: JSON = False) -> None:
    """Ask everything that can be wrong, and say what to do. Exit 1 where something is."""
    from dicom_node.watching.checkup import checkup

    path = settings_path()
    node = _node(check=False)
    answers = list(checkup(node))
    if as_json:
        told = [
            {"question": one.question, "good": one.good, "sentence": one.sentence}
            for one in answers
        ]
        typer.echo(json.dumps({"settings": str(path), "answers": told}, indent=1))
    else:
        say(f"[green]✓[/] the settings can be read  {path}")
        for one in answers:
            mark = "[green]✓[/]" if one.good else "[red]✗[/]"
            say(f"{mark} {one.question}  {escape(one.sentence)}")
    raise typer.Exit(0 if all(one.good for one in answers) else 1)


@app.command()
def status(
    limit: Annotated[int, typer.Option(help="How many of the newest cases to list.")] = 10,
    *,
    as_json: JSON = False,
) -> None:
    """Tell where everything stands: cases by state, what is owed, what cannot be reached."""
    from dicom_node.watching.pages import status_page
    from dicom_node.watching.story import standing

    told = standing(_node().questions, limit)
    if as_json:
        typer.echo(json.dumps(told, indent=1))
    else:
        status_page(console, told)


@app.command()
def trace(
    name: Annotated[str, typer.Argument(metavar="STUDY|CASE")],
    *,
    as_json: JSON = False,
) -> None:
    """Tell the whole story of a study, or of one case: images, reading, objects, receipts."""
    from dicom_node.watching.pages import story_page
    from dicom_node.watching.story import cases_named, story

    questions = _node().questions
    told = [story(questions, case) for case in cases_named(questions, name)]
    if not told:
        raise NotYourTurn(f"the ledger knows no study or case {name}")
    if as_json:
        typer.echo(json.dumps(told, indent=1))
    else:
        for one in told:
            story_page(console, one)


# --- acting -------------------------------------------------------------------------------------


@app.command()
def retry(name: Annotated[str, typer.Argument(metavar="STUDY|CASE")]) -> None:
    """Try again now: a FAILED case from where it failed, a waiting one without waiting."""
    from dicom_node.tending import try_again

    for sentence in try_again(_node(), name):
        say(escape(sentence))


@app.command()
def echo(
    destination: Annotated[
        str | None,
        typer.Argument(
            help="A destination of the settings, or AE@host:port. Default: this node's listener."
        ),
    ] = None,
    calling: Annotated[
        str | None,
        typer.Option(
            help="The AE title to call from. Default: this node's own; FOURVIEWS_SEND to itself."
        ),
    ] = None,
) -> None:
    """Ask a destination whether it is there (C-ECHO)."""
    from dicom_node.delivering.sender import echo as ask

    peer = _peer(load_settings(), destination, calling or (None if destination else SENDER))
    ask(peer)
    console.print(f"{peer} answers")


@app.command()
def send(
    files: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    to: Annotated[
        str | None, typer.Option(help="AE@host:port. Default: this node's own listener.")
    ] = None,
    calling: Annotated[str, typer.Option(help="The AE title to call from.")] = SENDER,
) -> None:
    """Send images, as a modality would (C-STORE, nothing re-encoded)."""
    from dicom_node.delivering.posting import post

    peer = _peer(load_settings(), to, calling)
    refused = post(peer, files, console)
    raise typer.Exit(1 if refused else 0)


def _peer(settings: Settings, name: str | None, calling: str | None) -> Any:  # noqa: ANN401 - late
    from dicom_node.delivering.deliver import peer_of
    from dicom_node.delivering.sender import Peer

    receiving = settings.receiving
    caller = calling or receiving.ae_title
    if name is None:
        host = "127.0.0.1" if receiving.address == "0.0.0.0" else receiving.address  # noqa: S104
        return Peer(receiving.ae_title, host, receiving.port, caller, 30.0)
    if "@" in name:
        ae_title, _, place = name.rpartition("@")
        host, _, port = place.rpartition(":")
        if not (ae_title and host and port.isdigit()):
            raise typer.BadParameter(f"{name} is not AE@host:port")
        return Peer(ae_title, host, int(port), caller, 30.0)
    peer = peer_of(settings, name, "")
    if peer is None and any(one.name == name for one in settings.delivering.destinations):
        raise typer.BadParameter(f"{name} is whoever sends: call a sender as AE@host:port")
    if peer is None:
        known = ", ".join(one.name for one in settings.delivering.destinations) or "none"
        raise typer.BadParameter(f"no destination is called {name}; the settings have: {known}")
    return peer


@app.command()
def phantom(
    folder: Annotated[Path, typer.Argument(help="Where to write the files.")],
    seed: Annotated[int, typer.Option(help="Which patient; the same seed is the same one.")] = 1,
    count: Annotated[int, typer.Option(min=1, help="How many studies, with seeds from there.")] = 1,
    lesions: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: malignant-mass, benign-mass, malignant-calcification, "
            "benign-calcification; or none. Default: as the seed has it."
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="The vendor style of the headers.")] = "plain",
    pitch_mm: Annotated[float, typer.Option(help="Pixel pitch in millimetres.")] = 0.1,
) -> None:
    """Write synthetic mammography studies: four consistent views with known lesions."""
    from dicom_node.specimens import phantoms

    phantoms(console, folder, range(seed, seed + count), lesions, preset, pitch_mm)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the result is put.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Which synthetic patient.")] = 7,
    bundles: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            help="A system's name or a bundle's; shared_trunk by default. May be repeated: then "
            "they agree.",
        ),
    ] = None,
    archive: Annotated[
        str, typer.Option(help="Who receives: orthanc, builtin, or auto (Orthanc if installed).")
    ] = "auto",
) -> None:
    """Show everything: a phantom study goes the whole way into a PACS, and back as a picture."""
    from dicom_node.demo.show import show

    raise typer.Exit(show(console, folder, seed, bundles or ["shared_trunk"], archive))
