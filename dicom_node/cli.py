"""The commands. Each reads like a sentence; `--json` where a script may want the answer.

Heavy libraries are imported inside the commands that need them, so that --help is quick. A longer
command is a plain function in a module of its own in commands/, registered here by one line.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from dicom_node.commands.at_hand import (
    ACCESSION,
    JSON,
    NAME_HELP,
    STUDY_OR_CASE,
    console,
    open_node,
    say,
    visible,
)
from dicom_node.commands.audit import app as audit
from dicom_node.commands.balance import balance
from dicom_node.commands.calibrate import calibrate
from dicom_node.commands.models import app as models
from dicom_node.commands.page import page, password
from dicom_node.commands.peers import echo, send
from dicom_node.commands.phantom import phantom
from dicom_node.commands.recall import recall
from dicom_node.commands.render import render
from dicom_node.commands.retry import retry
from dicom_node.commands.rules import app as rules
from dicom_node.commands.settle import settle
from dicom_node.commands.simulate import app as simulate
from dicom_node.commands.unpack import unpack
from dicom_node.errors import Busy, Misconfigured, NotYourTurn
from dicom_node.settings.file import ENVIRONMENT_VARIABLE, load_settings, settings_path

if TYPE_CHECKING:
    from dicom_node.renewing import Renewal
    from dicom_node.wiring import Node

app = typer.Typer(
    name="dicom-node",
    help="A mammography AI node: studies come in over DICOM, findings go out as SR and SEG. "
    "For research use only.",
    epilog="First steps: `dicom-node demo`, then `dicom-node check` with your own node.toml.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


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
    *,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, help="Say which version this is."),
    ] = False,
) -> None:
    if version:
        typer.echo(f"fourviews {installed_version('fourviews')}, for research use only")
        raise typer.Exit
    if config is not None:
        os.environ[ENVIRONMENT_VARIABLE] = str(config.absolute())


def run() -> None:
    """Run a command; say what is wrong in a sentence, with an exit status of its own."""
    try:
        app()
    except Misconfigured as faults:
        for fault in faults.faults:
            typer.echo(visible(fault), err=True)
        sys.exit(os.EX_CONFIG)
    except Busy as trouble:
        typer.echo(visible(trouble), err=True)
        sys.exit(os.EX_TEMPFAIL)
    except NotYourTurn as answer:
        typer.echo(visible(answer), err=True)
        sys.exit(1)
    except OSError as trouble:
        if trouble.filename is None:
            raise
        typer.echo(visible(f"{trouble.filename}: {trouble.strerror}"), err=True)
        sys.exit(1)


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
    from dicom_node.auditing.keeping import sign_the_rest
    from dicom_node.household import keep_house
    from dicom_node.receiving.port import wait_for_port
    from dicom_node.renewing import may_start_anew
    from dicom_node.tending import let_sighup_wait, stop_on_signals

    let_sighup_wait()
    node = open_node(begins=True)
    settings = node.settings
    serve = settings.watching.page.serve
    stop, tell = threading.Event(), threading.Event()

    def again() -> None:
        if may_start_anew(node):
            tell.set()

    stop_on_signals(stop, again)
    wait_for_port(settings.receiving, stop)
    status = keep_house(settings_path().absolute(), stop, tell, with_page=serve)
    sign_the_rest(node.ledger, settings)
    raise typer.Exit(status)


@app.command()
@_logging
def listen(number: Annotated[int, typer.Option(hidden=True)] = 0) -> None:
    """Take images in, settle studies, and sweep. One of these; it needs no torch."""
    from dicom_node.household import keep_listeners
    from dicom_node.ledger.arrivals import close_left_open
    from dicom_node.receiving.port import wait_for_port
    from dicom_node.renewing import Renewal
    from dicom_node.tending import caring, let_sighup_wait, stop_on_signals

    let_sighup_wait()
    node = open_node(begins=True)
    stop, tell, renewal = threading.Event(), threading.Event(), Renewal(node)

    def again() -> None:
        if renewal.again():
            tell.set()

    stop_on_signals(stop, again)
    receiving = node.settings.receiving
    if number:  # one of several on a port: another process settles and sweeps
        _take_in(renewal, stop, number)
    elif receiving.processes == 1:
        with caring(node, stop):
            _take_in(renewal, stop)
    else:
        wait_for_port(receiving, stop)
        node.spool.forget_incoming()  # there may have been more of them, or one alone
        close_left_open(node.ledger, "", alone=True)
        with caring(node, stop):
            path = settings_path().absolute()
            raise typer.Exit(keep_listeners(path, receiving.processes, stop, tell))


def _take_in(renewal: "Renewal", stop: threading.Event, number: int = 0) -> None:
    """Listen until told to stop; then the door closes at once."""
    from dicom_node.receiving.commitment import committers
    from dicom_node.receiving.listener import Listener

    node = renewal.node
    listener = Listener(
        node.settings.receiving,
        node.ledger,
        node.spool,
        number,
        committers=committers(node.settings),
    )
    listener.start()
    renewal.begin(lambda new: listener.renew(new.receiving, committers(new)))
    try:
        stop.wait()
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
    from dicom_node.auditing.duty import on_duty
    from dicom_node.life import VERBS
    from dicom_node.wiring import CODE_VERSION
    from dicom_node.worker import work as serve

    verbs = [verb for verb in VERBS if not only or verb.name in only]
    unknown = sorted(set(only or ()) - {verb.name for verb in VERBS})
    if unknown:
        raise typer.BadParameter(f"no such step: {', '.join(unknown)}")
    node = open_node(begins=True)
    name = "-".join(verb.name for verb in verbs)
    with on_duty(node.ledger, node.settings, f"work {name}", CODE_VERSION):
        node.engine.dispose()  # connections survive no fork
        serve(node.settings, verbs, name)


@app.command()
def sweep() -> None:
    """Take back cases that lost their worker and ring for what is due, once, now."""
    from dicom_node.tending import sweep_once

    rung = sweep_once(open_node())
    console.print(f"rang for {rung} cases")


@app.command()
def migrate() -> None:
    """Bring the ledger's tables up to date. Run once after each upgrade, with the node stopped."""
    from dicom_node.wiring import migrate as bring_up_to_date

    before, after = bring_up_to_date(open_node(check=False))
    console.print(
        f"the ledger was at revision {before or 'none'} and is now at {after}"
        if before != after
        else f"the ledger is at revision {after} already"
    )


# --- looking ------------------------------------------------------------------------------------


@app.command()
def check(
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every received image and compare its digest, too.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Ask everything that can be wrong, and say what to do. Exit 1 where something is."""
    from dicom_node.watching.checkup import checkup

    path = settings_path()
    node = open_node(check=False)
    answers = list(checkup(node, deep=deep))
    if as_json:
        told = [
            {"question": one.question, "good": one.good, "sentence": one.sentence}
            | ({"warning": True} if one.warning else {})
            for one in answers
        ]
        typer.echo(json.dumps({"settings": str(path), "answers": told}, indent=1))
    else:
        say(f"[green]✓[/] the settings can be read  {path}")
        for one in answers:
            mark = "[green]✓[/]" if one.good else "[red]✗[/]"
            mark = "[yellow]![/]" if one.warning else mark
            say(f"{mark} {one.question}  {escape(one.sentence)}")
    raise typer.Exit(0 if all(one.good for one in answers) else 1)


@app.command()
def status(
    limit: Annotated[int, typer.Option(help="How many of the newest cases to list.")] = 10,
    *,
    as_json: JSON = False,
) -> None:
    """Tell where everything stands: cases by state, what is owed, what cannot be reached."""
    from dicom_node.watching.disk import room
    from dicom_node.watching.drift import drift_told
    from dicom_node.watching.pages import status_page
    from dicom_node.watching.story import standing

    node = open_node()
    told = standing(node.questions, limit) | {"bell": trouble_of_bell(node)}
    told |= {"drift": drift_told(node), "disk": room(node).told()}
    if as_json:
        typer.echo(json.dumps(told, indent=1))
    else:
        status_page(console, told)


def trouble_of_bell(node: "Node") -> str:
    """Say what is wrong with the broker, if there is one; without it nothing can be."""
    if not node.settings.broker_url:
        return ""
    from dicom_node.doorbell import ANSWERS, listen_for_answer

    try:
        said = listen_for_answer(node.settings)
    except Busy as trouble:
        return str(trouble)
    return "" if said == ANSWERS else said


@app.command()
def trace(
    name: Annotated[str, typer.Argument(metavar=STUDY_OR_CASE, help=NAME_HELP)],
    *,
    accession: ACCESSION = False,
    as_json: JSON = False,
) -> None:
    """Tell the whole story of a study, or of one case: images, reading, objects, receipts."""
    from dicom_node.watching.accessions import cases_meant
    from dicom_node.watching.pages import story_page
    from dicom_node.watching.story import story

    node = open_node()
    cases = cases_meant(node, name, accession=accession, several=True)
    told = [story(node.questions, case, node.settings) for case in cases]
    if as_json:
        typer.echo(json.dumps(told, indent=1))
    else:
        for one in told:
            story_page(console, one)


app.command()(balance)

# --- acting -------------------------------------------------------------------------------------


app.command()(_logging(page))
app.command()(password)
app.command()(retry)
app.command()(recall)
app.command()(settle)
app.command()(calibrate)
app.command()(render)
app.add_typer(models, name="models")
app.add_typer(rules, name="rules")
app.add_typer(audit, name="audit")
app.command()(echo)
app.command()(send)
app.add_typer(simulate, name="simulate")
app.command()(phantom)
app.command()(unpack)


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

    known = ("auto", "builtin", "orthanc")
    if archive not in known:
        raise typer.BadParameter(f"no such archive: {archive}; there are {', '.join(known)}")
    raise typer.Exit(show(console, folder, seed, bundles or ["shared_trunk"], archive))
