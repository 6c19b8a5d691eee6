"""`dicom-node echo` and `dicom-node send`: call a peer, as a modality would."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError

from dicom_node.commands.at_hand import SENDER, console
from dicom_node.settings.file import Settings, load_settings
from dicom_node.settings.values import AETitle, Port

Value = TypeVar("Value")
TITLE: TypeAdapter[str] = TypeAdapter(AETitle)
PORT: TypeAdapter[int] = TypeAdapter(Port)


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
    from dicom_node.delivering.asking import ask
    from dicom_node.delivering.commitment import see_commitment
    from dicom_node.delivering.places import who_commits

    peer = peer_at(load_settings(), destination, calling or (None if destination else SENDER))
    ask(peer)
    over = " over TLS" if peer.tls is not None else ""
    console.print(f"{peer} answers{over}")
    place = (destination or "", "")
    committing = who_commits(load_settings(), place)
    if committing is not None:
        see_commitment(committing)
        console.print(f"{committing} takes storage commitment")


def send(
    files: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    to: Annotated[
        str | None, typer.Option(help="AE@host:port. Default: this node's own listener.")
    ] = None,
    calling: Annotated[str, typer.Option(help="The AE title to call from.")] = SENDER,
) -> None:
    """Send images, as a modality would (C-STORE, nothing re-encoded)."""
    from dicom_node.delivering.posting import post

    peer = peer_at(load_settings(), to, calling)
    refused = post(peer, files, console)
    raise typer.Exit(1 if refused else 0)


def peer_at(settings: Settings, name: str | None, calling: str | None) -> Any:  # noqa: ANN401 - late
    """Find whom to call: a destination by its name, anybody by AE@host:port, or this node."""
    from dicom_node.delivering.places import peer_of
    from dicom_node.delivering.sender import Peer

    receiving = settings.receiving
    caller = valid(TITLE, calling or receiving.ae_title)
    if name is None:
        host = "127.0.0.1" if receiving.address == "0.0.0.0" else receiving.address  # noqa: S104
        return Peer(receiving.ae_title, host, receiving.port, caller, 30.0, receiving.tls)
    if "@" in name:
        ae_title, _, place = name.rpartition("@")
        host, _, port = place.rpartition(":")
        if not (ae_title and host and port.isdigit()):
            raise typer.BadParameter(f"{name} is not AE@host:port")
        return Peer(valid(TITLE, ae_title), host, valid(PORT, port), caller, 30.0)
    peer = peer_of(settings, name, "")
    if peer is None and any(one.name == name for one in settings.delivering.destinations):
        raise typer.BadParameter(f"{name} is whoever sends: call a sender as AE@host:port")
    if peer is None:
        known = ", ".join(one.name for one in settings.delivering.destinations) or "none"
        raise typer.BadParameter(f"no destination is called {name}; the settings have: {known}")
    return peer


def valid(kind: TypeAdapter[Value], given: str) -> Value:
    """Take what the settings would take, too."""
    try:
        return kind.validate_python(given)
    except ValidationError as faults:
        why = faults.errors()[0]["msg"].removeprefix("Value error, ")
        raise typer.BadParameter(f"{given}: {why[:1].lower()}{why[1:]}") from None
