"""Settings become a node: the one composition root.

Everything is made when it is first asked for. The analyzer is the only way to torch, so a
process that never analyzes never loads it.
"""

import fcntl
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from dicom_node.analyzing import deciding
from dicom_node.errors import Busy, Misconfigured
from dicom_node.ledger.clock import keep_time
from dicom_node.ledger.engine import open_engine, shown, without_secrets
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import NAME_LENGTH
from dicom_node.life import State
from dicom_node.settings.file import Settings
from dicom_node.shipped import shipped
from dicom_node.spool import Spool

if TYPE_CHECKING:
    from inference.analyzer import Analyzer
    from inference.bundle import Card

CODE_VERSION = version("fourviews")


@dataclass(frozen=True)
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
    def cards(self) -> "tuple[Card, ...]":
        """Read the active bundles' cards, their weights verified; no torch is needed."""
        from inference.bundle import CARD, load_card, verified_weights
        from inference.errors import BadBundle

        cards, faults = [], list[str]()
        for folder in self.settings.bundle_folders:
            try:
                card = load_card(folder)
            except BadBundle as fault:
                faults += str(fault).splitlines()
                if not (folder / CARD).exists():
                    there = sorted(path.parent.name for path in folder.parent.glob(f"*/{CARD}"))
                    faults[-1] += f"; bundles in {folder.parent}: {', '.join(there) or 'none'}"
                continue
            cards.append(card)
            points = {self.settings.analyzing.operating_point}
            points |= {one.operating_point for one in self.settings.delivering.destinations}
            points |= {one.operating_point for one in self.settings.analyzing.points}
            asked: list[Callable[[], object]] = [
                *(partial(card.finding_score, point or None) for point in sorted(points)),
                partial(verified_weights, folder, card),
            ]
            for ask in asked:
                try:
                    ask()
                except BadBundle as fault:
                    faults += str(fault).splitlines()
        faults = faults or list(deciding.faults(self.settings.analyzing, cards))
        if faults:
            raise Misconfigured(faults)
        for point in {"", *(one.operating_point for one in self.settings.analyzing.points)}:
            _fitting(cards, point or self.settings.analyzing.operating_point)
        return tuple(cards)

    @cached_property
    def reads(self) -> frozenset[str]:
        """Say which kinds of image are read: those that every active bundle takes."""
        return frozenset.intersection(*(frozenset(card.reads) for card in self.cards))

    def try_device(self) -> str:
        """Compute something where studies are to be read, and describe the place."""
        from inference.analyzer import tried
        from inference.errors import NoDevice

        try:
            return tried(self.settings.analyzing.device)
        except NoDevice as fault:
            raise Misconfigured([f"analyzing.device: {fault}"]) from fault

    @cached_property
    def analyzers(self) -> "tuple[Analyzer, ...]":
        """Open the active bundles; this is where torch comes in."""
        from inference.analyzer import open_bundle
        from inference.errors import BadBundle

        analyzing = self.settings.analyzing
        if analyzing.threads:
            import torch

            torch.set_num_threads(analyzing.threads)
        opened: list[Analyzer] = []
        for folder in self.settings.bundle_folders:
            point = analyzing.operating_point or None
            try:
                one = open_bundle(folder, device=analyzing.device, operating_point=point)
            except BadBundle as fault:
                self.ledger.record("model refused", str(fault), bundle=folder.name)
                raise
            card = one.card
            about: dict[str, Any] = {
                "digest": one.digest,
                "version": card.version,
                "system": card.system,
            }
            its, ours = deciding.corrections(analyzing, self.cards)
            correction = ours or its[len(opened)]
            about |= {"point": one.operating_point}
            about |= {"correction": asdict(correction) if correction else None}
            self.ledger.record("model loaded", card.name, **about)
            opened.append(one)
        return tuple(opened)


def _tells(settings: Settings) -> frozenset[State]:
    """Say of which ends the radiologist is told: somebody has to want the report that says so."""
    reporting, destinations = settings.reporting, settings.delivering.destinations
    if not any("cad_sr" in one.objects for one in destinations):
        return frozenset()
    wanted = {State.DECLINED: reporting.tell_declined, State.FAILED: reporting.tell_failed}
    return frozenset(state for state, is_told in wanted.items() if is_told)


def _fitting(cards: "Sequence[Card]", operating_point: str) -> None:
    """See that the bundles' versions and operating points fit where an object names them."""
    points = [operating_point or card.default_operating_point for card in cards]
    told = {
        "versions": "+".join(card.version for card in cards),
        "operating points": points[0] if len(set(points)) == 1 else "+".join(points),
    }
    faults = [
        f"analyzing.bundle: the {what} of the bundles are {words} together, which is too long for "
        f"a report: it takes {NAME_LENGTH} characters"
        for what, words in told.items()
        if len(words) > NAME_LENGTH
    ]
    if faults:
        raise Misconfigured(faults)


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


def ready(node: Node) -> Node:
    """Let a process start only on a ledger of its own revision; make a new one where none is."""
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


def _make_tables_once(node: Node) -> None:
    """Let only one of the processes that start together make the tables of a new ledger."""
    with (node.settings.data / ".making-tables").open("w") as lock:
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
