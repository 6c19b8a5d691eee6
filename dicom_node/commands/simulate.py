"""`dicom-node simulate`: a modality, an archive and a wire with faults, to try a node with."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Protocol

import typer

from dicom_node.commands.at_hand import SENDER, console, foreign, say
from dicom_node.commands.peers import PORT, TITLE, peer_at, valid
from dicom_node.errors import Busy
from dicom_node.settings.file import load_settings

app = typer.Typer(
    no_args_is_help=True,
    help="Simulate a modality, a PACS or a wire with faults, to try a node with.",
)
Address = Annotated[
    str, typer.Option(help="The address to listen on; 0.0.0.0 for other machines too.")
]
ListenPort = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]


class _Server(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


@app.command()
def modality(  # noqa: PLR0913 - an option for each habit
    files: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    *,
    to: Annotated[
        str | None, typer.Option(help="AE@host:port. Default: this node's own listener.")
    ] = None,
    calling: Annotated[str, typer.Option(help="The AE title to call from.")] = SENDER,
    late: Annotated[
        float,
        typer.Option(min=0, max=86400, help="The last image of each study, so many seconds late."),
    ] = 0.0,
    duplicate: Annotated[int, typer.Option(min=1, max=100, help="Send each image so often.")] = 1,
    slow: Annotated[
        float, typer.Option(min=0, max=86400, help="Seconds between two images.")
    ] = 0.0,
    break_after: Annotated[
        int, typer.Option(min=0, help="Abort after so many images, then send all again.")
    ] = 0,
    one_each: Annotated[
        bool, typer.Option("--one-each", help="An association for each image.")
    ] = False,
) -> None:
    """Send images as a modality with bad habits. Exit 1 where one was not taken at last."""
    from dicom_node.simulating.modality import Habits, simulate

    peer = peer_at(load_settings(), to, calling)
    habits = Habits(late, duplicate, slow, break_after, one_each)
    raise typer.Exit(1 if simulate(peer, files, habits, console) else 0)


@app.command()
def pacs(  # noqa: PLR0913 - an option for each fault
    *,
    port: ListenPort = 11113,
    ae_title: Annotated[str, typer.Option(help="Its AE title, which no caller has to know.")] = (
        "SIMULATED"
    ),
    address: Address = "127.0.0.1",
    into: Annotated[
        Path | None, typer.Option(help="A folder for what it takes. Default: nothing is kept.")
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Reject associations.")] = False,
    refuse: Annotated[bool, typer.Option("--refuse", help="Accept no kind of object.")] = False,
    status: Annotated[
        str, typer.Option(help="Answer objects with this status, as A700 or B000.")
    ] = "0000",
    slow: Annotated[
        float, typer.Option(min=0, max=86400, help="Seconds before each answer.")
    ] = 0.0,
    abort: Annotated[
        bool, typer.Option("--abort", help="Cut the line in the middle of each object.")
    ] = False,
    lose_answers: Annotated[
        bool, typer.Option("--lose-answers", help="Keep objects, and cut the line unanswered.")
    ] = False,
    close_after_each: Annotated[
        bool, typer.Option("--close-after-each", help="Cut the line after each answer.")
    ] = False,
    wrong_answers: Annotated[
        bool, typer.Option("--wrong-answers", help="Answer for another object.")
    ] = False,
    mute_at_release: Annotated[
        bool, typer.Option("--mute-at-release", help="Never answer a release.")
    ] = False,
    times: Annotated[
        int | None,
        typer.Option(min=1, help="So many objects, or associations with --reject, fare so."),
    ] = None,
) -> None:
    """Take objects as a PACS does, with faults, until Ctrl-C."""
    from dicom_node.logs import hush
    from dicom_node.simulating.pacs import FaultyPacs

    hush()
    if into is not None:
        into.mkdir(parents=True, exist_ok=True)
    answer = _status(status)
    one = FaultyPacs(
        valid(TITLE, ae_title),
        port,
        rejects=(1, 1, 1) if reject else None,
        takes_nothing=refuse,
        status=(lambda _: answer) if answer else None,
        stalls_seconds=slow,
        aborts=abort,
        loses_answers=lose_answers,
        closes_after_each=close_after_each,
        wrong_uid=wrong_answers,
        mute_at_release=mute_at_release,
        faulty_times=times,
        address=address,
        digests_only=True,
        into=into,
        tells=lambda words: say(foreign(words)),
    )
    with _running(one, f"{ae_title} listens on {address}:{port}"):
        pass
    say(f"{len(one.kept)} objects taken, {len(one.twice)} of them came again with other bytes")


@app.command()
def wire(  # noqa: PLR0913 - an option for each fault
    to: Annotated[str, typer.Argument(help="host:port of the server behind the wire.")],
    *,
    port: ListenPort = 11114,
    address: Address = "127.0.0.1",
    refuse: Annotated[bool, typer.Option("--refuse", help="Reset every connection.")] = False,
    black_hole: Annotated[
        bool, typer.Option("--black-hole", help="Accept connections, and pass nothing on.")
    ] = False,
    swallow_answers: Annotated[
        bool, typer.Option("--swallow-answers", help="Pass nothing on from the server.")
    ] = False,
    drip: Annotated[
        bool, typer.Option("--drip", help="One byte a second from the server.")
    ] = False,
    delay: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds of delay for each 16 KB.")
    ] = 0.0,
    bytes_per_second: Annotated[
        float, typer.Option(min=0, help="As fast as this; 0: as fast as can be.")
    ] = 0.0,
    cut_after: Annotated[
        int, typer.Option(min=-1, help="Close after so many bytes to the server; -1: never.")
    ] = -1,
    reset_after: Annotated[
        int, typer.Option(min=-1, help="Reset after so many bytes to the server; -1: never.")
    ] = -1,
) -> None:
    """Stand between a sender and a server as a wire with faults, until Ctrl-C."""
    from dicom_node.simulating.wire import FaultProxy

    host, _, number = to.rpartition(":")
    if not (host and number.isdecimal()):
        raise typer.BadParameter("wanted: host:port", param_hint="TO")
    one = FaultProxy(
        valid(PORT, number),
        port,
        to_host=host,
        address=address,
        refuses=refuse,
        black_hole=black_hole,
        swallows_answers=swallow_answers,
        drips=drip,
        delay_seconds=delay,
        bytes_per_second=bytes_per_second,
        cuts_after=cut_after,
        resets_after=reset_after,
    )
    with _running(one, f"a wire from {address}:{port} to {foreign(to)}"):
        pass
    say(f"{len(one.opened)} connections")


def _status(said: str) -> int:
    try:
        value = int(said, 16)
    except ValueError:
        value = -1
    if not 0 <= value <= 0xFFFF:  # noqa: PLR2004 - two bytes
        raise typer.BadParameter("wanted: four hexadecimal digits, as A700", param_hint="--status")
    return value


@contextmanager
def _running(server: _Server, words: str) -> Iterator[None]:
    """Serve until somebody says that it is enough, by Ctrl-C or as a service manager does."""
    enough = threading.Event()
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    for one in before:
        signal.signal(one, _says(enough))
    try:
        try:
            server.start()
        except OSError as trouble:
            raise Busy(f"its port cannot be listened on: {trouble.strerror}") from trouble
        say(f"{words}; Ctrl-C ends it")
        enough.wait()
        yield
    finally:
        server.stop()
        for one, was in before.items():
            signal.signal(one, was)


def _says(enough: threading.Event) -> Callable[[int, object], None]:
    return lambda _, __: enough.set()
