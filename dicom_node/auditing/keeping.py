"""The steady care of the audit trail: sign it while the node runs, and once more at its end."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dicom_node.auditing.checkpoints import (
    checkpoints_path,
    copy_out,
    is_broken,
    last_checkpoint,
    sign_on,
)
from dicom_node.auditing.signing import Signer, signer
from dicom_node.errors import told
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.tables import Checkpoint
from dicom_node.logs import log
from dicom_node.settings.file import Settings

EVERY_SECONDS = 1.0
PATIENCE_SECONDS = 10.0
PLENTY, LITTLE, NONE = "plenty", "little", "none"  # of room for images
ENOUGH = 1.1  # times the level of the warning
CHANGED = "the last checkpoint signed something else than what is there; see `audit verify`"
TAKEN = "checkpoints that were signed are in the ledger no more; see `audit verify`"
OLDER = "checkpoints lie outside of the ledger that it has not; see `audit verify`"

logger = log("auditing")


@contextmanager
def signing(ledger: Ledger, settings: Settings) -> Iterator[None]:
    """Sign the trail in a thread of its own while the block runs."""
    keeper = Keeper(ledger, settings, signer(settings))
    keeper.say_who_signs()
    stop = threading.Event()
    thread = threading.Thread(target=keeper.keep, args=(stop,), name="checkpoints", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)
        keeper.round(at_once=True)


def sign_the_rest(ledger: Ledger, settings: Settings) -> None:
    """Sign what those wrote who stopped after the one who signs."""
    Keeper(ledger, settings, signer(settings)).round(at_once=True)


@dataclass
class Keeper:
    """Who signs, and what was told already.

    It remembers the last checkpoint that it saw: where somebody empties the trail and all that lies
    outside of it, too, the next one follows that all the same, and tells of those that are gone.
    """

    ledger: Ledger
    settings: Settings
    signer: Signer
    _last: Checkpoint | None = None
    _told: set[str] = field(default_factory=set)
    _room: str = PLENTY

    def say_who_signs(self) -> None:
        """Record a key that has signed nothing yet, whoever made it or put it there."""
        with Session(self.ledger.engine.execution_options(reads_only=True)) as session:
            last = last_checkpoint(session)
        if last is None or last.key != self.signer.public.fingerprint:
            sentence = f"checkpoints are signed with {self.signer.public.words}"
            self.ledger.record("key made", sentence)

    def keep(self, stop: threading.Event) -> None:
        """Sign what was left unsigned, then whenever it is time, until told to stop."""
        self.round(at_once=True)
        while not stop.wait(EVERY_SECONDS):
            self.round()

    def round(self, *, at_once: bool = False) -> None:
        """Look at the last checkpoint, sign the next, and carry both out of the database."""
        try:
            with Session(self.ledger.engine.execution_options(reads_only=True)) as session:
                last, broken = last_checkpoint(session), is_broken(session)
            if broken:
                self._alarm(CHANGED)
            if self._last is not None and (last is None or last.id < self._last.id):
                self._alarm(TAKEN)
                last, at_once = self._last, True  # before this process is ended, too
            next_ = sign_on(self.ledger, self.signer, self.settings.audit, last, at_once=at_once)
            self._last = next_ or last
            self._watch_the_disk()
            if not copy_out(self.ledger, checkpoints_path(self.settings)):
                self._alarm(OLDER)
        except (SQLAlchemyError, OSError) as trouble:  # the next round signs for this one, too
            logger.warning("the audit trail is not signed", why=type(trouble).__name__)
        except Exception as fault:  # noqa: BLE001 - a spoilt row ends nobody who signs what follows
            if told(fault) not in self._told:
                self._told.add(told(fault))
                logger.error("the audit trail is not signed", why=told(fault))

    def _watch_the_disk(self) -> None:
        """Record when little is left, when less than is kept in reserve, and when more again."""
        receiving = self.settings.receiving
        reserve, warning = receiving.reserve_megabytes, receiving.warns_below
        spool = self.settings.data / "spool"
        free = shutil.disk_usage(spool if spool.exists() else self.settings.data).free >> 20
        # What is a little over the level is not enough yet: else each image would be told of.
        little = warning if self._room == PLENTY else warning * ENOUGH
        room = NONE if free < reserve else LITTLE if free < little else PLENTY
        if room == self._room:
            return
        if NONE in {room, self._room}:
            what = "watermark reached" if room == NONE else "watermark left"
        else:
            what = "space runs low" if room == LITTLE else "space enough"
        self._room = room
        sentence = f"{free} MB are free, {reserve} MB are kept in reserve"
        if room == LITTLE:
            sentence += f", and below {warning} MB somebody should make room"
        if room != PLENTY:
            logger.warning("the disk fills up", why=sentence)
        self.ledger.record(what, sentence)

    def _alarm(self, sentence: str) -> None:
        """Say it in the log and in the trail, once a run."""
        if sentence not in self._told:
            self._told.add(sentence)
            logger.error("the audit trail was tampered with", why=sentence)
            self.ledger.record("trail broken", sentence)
