"""Settings become a node: the one composition root.

Everything is made when it is first asked for. The analyzer is the only way to torch, so a
process that never analyzes never loads it.
"""

import fcntl
import os
import pwd
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from dicom_node.errors import Busy, Misconfigured
from dicom_node.ledger.clock import keep_time
from dicom_node.ledger.engine import open_engine, shown, without_secrets
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.questions import Questions
from dicom_node.life import State
from dicom_node.models.serving import Models
from dicom_node.owner import give_to_owner
from dicom_node.settings.delivering import TELL_OF_NO_RESULT
from dicom_node.settings.file import Settings
from dicom_node.shipped import shipped
from dicom_node.spool import Spool

if TYPE_CHECKING:
    from inference.analyzer import Analyzer
    from inference.bundle import Card

CODE_VERSION = version("fourviews")

BEGINS_HERE = (
    'node.data = "{}" is relative and begins in the folder where a command starts: name the whole '
    "path, or call every command from the node's own folder"
)


@dataclass(eq=False)
class Node:
    """All that a process of the node works with."""

    settings: Settings

    @cached_property
    def engine(self) -> Engine:
        """Open the database, for work that is never kept waiting long."""
        return self._opened(patient=False)

    @cached_property
    def patient_engine(self) -> Engine:
        """Open the database for what may take hours: migrations, and questions about everything."""
        return self._opened(patient=True)

    def _opened(self, *, patient: bool) -> Engine:
        data = self.settings.data
        try:
            data.mkdir(parents=True, exist_ok=True)
        except OSError as trouble:
            raise Misconfigured([f"node.data: {data}: {trouble.strerror}"]) from trouble
        try:
            return open_engine(self.settings.database_url, patient=patient)
        except (ArgumentError, ImportError, ValueError):  # they quote the address, password and all
            sentence = "node.database: names no database; see the example in node.toml"
            raise Misconfigured([sentence]) from None

    @cached_property
    def ledger(self) -> Ledger:
        """Open the ledger for writing, under this process's name."""
        actor = f"{socket.gethostname()[:48]}:{os.getpid()}"
        lease_seconds = self.settings.watching.lease_seconds
        return Ledger(self.engine, actor, lease_seconds, _tells(self.settings))

    def renew(self, settings: Settings) -> None:
        """Have other settings from now on, which differ in nothing that is open already."""
        self.settings = settings
        self.ledger.tells = _tells(settings)

    @cached_property
    def questions(self) -> Questions:
        """Open the ledger for reading."""
        return Questions(self.engine)

    @cached_property
    def spool(self) -> Spool:
        """Open the spool, a folder or a bucket."""
        folder = self.settings.data / "spool"
        if self.settings.node.spool:
            from dicom_node.bucket import BucketSpool

            spool: Spool = BucketSpool(folder, self.settings.bucket, self.settings.node.spool)
        else:
            spool = Spool(folder)
        spool.prepare()
        return spool

    @cached_property
    def models(self) -> Models:
        """Hold the bundles that read, as they are asked for."""
        return Models(self.settings, lambda: self.engine, lambda: self.ledger)

    @property
    def cards(self) -> "tuple[Card, ...]":
        """Return the cards of the bundles that read; no torch is needed."""
        return self.models.serving.cards

    @property
    def reads(self) -> frozenset[str]:
        """Say which kinds of image are read."""
        return self.models.serving.reads

    @property
    def analyzers(self) -> "tuple[Analyzer, ...]":
        """Return the bundles that read, opened; this is where torch comes in."""
        return self.models.serving.analyzers

    def try_device(self) -> str:
        """Compute something where studies are to be read, and describe the place."""
        from inference.analyzer import tried
        from inference.errors import NoDevice

        try:
            return tried(self.settings.analyzing.device)
        except NoDevice as fault:
            raise Misconfigured([f"analyzing.device: {fault}"]) from fault


def _tells(settings: Settings) -> frozenset[State]:
    """Say of which ends the radiologist is told: somebody has to want an object that says so."""
    reporting, destinations = settings.reporting, settings.delivering.destinations
    if not any(TELL_OF_NO_RESULT & {*one.objects} for one in destinations):
        return frozenset()
    wanted = {State.DECLINED: reporting.tell_declined, State.FAILED: reporting.tell_failed}
    return frozenset(state for state, is_told in wanted.items() if is_told)


def _alembic(node: Node) -> Config:
    config = Config()
    config.set_main_option("script_location", str(shipped("alembic")))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["engine"] = node.patient_engine
    return config


def migrate(node: Node) -> tuple[str | None, str]:
    """Bring the ledger's tables up to date, and say from which to which revision."""
    before = revision(node)
    command.upgrade(_alembic(node), "head")
    return before, newest_revision(node)


def revision(node: Node) -> str | None:
    """Say at which revision the ledger is; None for an empty database."""
    with node.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest_revision(node: Node) -> str:
    """Say at which revision this code wants the ledger to be."""
    head = ScriptDirectory.from_config(_alembic(node)).get_current_head()
    assert head is not None
    return head


def _may_pass(node: Node, trouble: OperationalError) -> bool:
    """Tell a server that starts later than the node, or a lock, from a file that cannot be used."""
    name = getattr(trouble.orig, "sqlite_errorname", "")
    return node.engine.dialect.name != "sqlite" or name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def ready(node: Node, *, begins: bool = True) -> Node:
    """Let a process start only on a ledger of its own revision.

    Who `begins` a node makes a new one where none is. Who looks at a node makes none: called from
    the wrong folder it would find that all is well, in a ledger that is empty.
    """
    _refuse_strangers(node)
    if not begins:
        _refuse_to_begin(node, is_there=_lies_there(node))
    try:
        have = revision(node)
    except SQLAlchemyError as trouble:
        why = without_secrets(node.engine.url, str(trouble))
        sentence = f"node.database: {shown(node.engine.url)} cannot be opened: {why}"
        if isinstance(trouble, OperationalError) and _may_pass(node, trouble):
            raise Busy(sentence) from trouble
        raise Misconfigured([sentence]) from trouble
    want = newest_revision(node)
    if have is None and node.engine.dialect.name == "sqlite":
        _refuse_to_begin(node, is_there=begins)
        _make_tables_once(node)
    elif have != want:
        known = {script.revision for script in _scripts(node)}
        raise Misconfigured(
            [
                f"node.database: the ledger is at revision {have}, this node wants {want}: "
                + (
                    "run `dicom-node migrate`"
                    if have is None or have in known
                    else "it belongs to a newer node; install that version"
                )
            ]
        )
    keep_time(node.engine)
    return node


def _refuse_strangers(node: Node) -> None:
    """Say whose the data are, where whoever calls may not work with them."""
    data, me = node.settings.data, os.getuid()
    for path in (data, data / "ledger.sqlite"):
        with suppress(OSError):  # what is not there yet is nobody's
            owner = path.stat().st_uid
            if me not in (0, owner) and not os.access(path, os.R_OK | os.W_OK):
                sentence = (
                    f"node.data: {path} belongs to {_named(owner)} and is closed to {_named(me)}: "
                    "call as its owner or as root, or give the whole folder to who runs the node"
                )
                raise Misconfigured([sentence])


def _named(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # in a container a user may have a number alone
        return f"uid {user}"


def _lies_there(node: Node) -> bool:
    """Say whether there may be a ledger, before anything is made in the data folder."""
    settings = node.settings
    return (
        bool(settings.node.database.get_secret_value())
        or Path(settings.database_url.removeprefix("sqlite:///")).exists()
    )


def _refuse_to_begin(node: Node, *, is_there: bool) -> None:
    if not is_there:
        told = node.settings.node.data
        raise Misconfigured(
            [
                f"node.data: there is no ledger in {node.settings.data}: no node has run there yet"
                + ("" if told.expanduser().is_absolute() else f"; {BEGINS_HERE.format(told)}")
            ]
        )


def _make_tables_once(node: Node) -> None:
    """Let only one of the processes that start together make the tables of a new ledger."""
    with (node.settings.data / ".making-tables").open("w") as lock:
        give_to_owner(lock.fileno(), of=node.settings.data)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if revision(node) is None:
            _refuse_to_forget(node)
            migrate(node)


def _refuse_to_forget(node: Node) -> None:
    """Make no empty ledger beside images that a lost one has promised to keep."""
    images = node.settings.data / "spool" / "images"
    if any(images.glob("*/*.dcm")):
        sentence = (
            f"node.database: {shown(node.engine.url)} is empty, and images lie in {images}: put "
            "the ledger back from its backup, or begin anew with `dicom-node migrate`"
        )
        raise Misconfigured([sentence])


def _scripts(node: Node) -> list[Script]:
    return list(ScriptDirectory.from_config(_alembic(node)).walk_revisions())
