"""Settings that are read again while images come in: what may change so, and what wants a restart.

A file with a fault changes nothing: the process goes on with what it had. What holds from now on is
written to the audit trail before it does.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from dicom_node.auditing.duty import changed_keys, key_digests, note_settings
from dicom_node.errors import Misconfigured
from dicom_node.logs import log
from dicom_node.settings.file import Settings, load_settings
from dicom_node.wiring import Node

OF_RECEIVING = frozenset(
    {
        *("callers", "any_caller", "associate_seconds", "idle_seconds", "max_object_megabytes"),
        *("reserve_megabytes", "warning_megabytes", "keep_images_days", "emergency_clean"),
        *("required_views", "grace_seconds", "quiet_seconds", "cap_seconds"),
        "late_views",
    }
)
"""What of [receiving] holds at once; the listener also takes all of [delivering]."""

logger = log("settings")


def renewed(held: Settings, wanted: Settings) -> Settings:
    """Return the settings that a listener has from now on: those wanted, as far as it can."""
    update = {key: getattr(wanted.receiving, key) for key in sorted(OF_RECEIVING)}
    receiving = held.receiving.model_copy(update=update)
    return held.model_copy(update={"receiving": receiving, "delivering": wanted.delivering})


def may_start_anew(node: Node) -> bool:
    """Say whether the file is sound, and processes that read it now would work beside the others.

    A worker with another ledger, queue or spool than the listener's would find no case of its own.
    No process is told of a file with a fault, so that it is written down here.
    """
    try:
        wanted = load_settings()
    except Misconfigured as faults:
        _keep_the_old(node, "; ".join(faults.faults))
        return False
    held = node.settings
    moved = [name for name in ("node", "bucket") if getattr(held, name) != getattr(wanted, name)]
    if moved:
        tables = " and ".join(f"[{name}]" for name in moved)
        logger.error("settings not renewed: all of the node has to be restarted", changed=tables)
    return not moved


@dataclass
class Renewal:
    """What a listener does when it is told that its settings have changed."""

    node: Node
    _take: Callable[[Settings], None] | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def begin(self, take: Callable[[Settings], None]) -> None:
        """Know the listener from now on, and tell it what was read again while it was made."""
        with self._lock:
            self._take = take
            take(self.node.settings)

    def again(self) -> bool:
        """Read the settings again, and let hold what can; say whether they could be used."""
        with self._lock:
            try:
                self._renew(load_settings())
            except Misconfigured as faults:
                _keep_the_old(self.node, "; ".join(faults.faults))
            except SQLAlchemyError as trouble:
                logger.error(
                    "settings not renewed: the ledger cannot be reached; tell it again",
                    why=type(trouble).__name__,
                )
            else:
                return True
            return False

    def _renew(self, wanted: Settings) -> None:
        held, holds = self.node.settings, renewed(self.node.settings, wanted)
        before, after = key_digests(held), key_digests(holds)
        changed = ", ".join(changed_keys(before, after))
        waits = ", ".join(changed_keys(after, key_digests(wanted)))
        if held.model_dump() != holds.model_dump() and not changed:  # the trail keeps no secret
            changed = "a secret"
        if changed:
            sentence = f"read again while images come in: {changed}"
            sentence += f"; after a restart: {waits}" if waits else ""
            with self.node.ledger.writing() as session:
                note_settings(self.node.ledger, session, holds, sentence)
        self.node.renew(holds)
        if self._take is not None:
            self._take(holds)
        logger.info("settings read again", hold=changed or "none", need_restart=waits or "none")


def _keep_the_old(node: Node, why: str) -> None:
    """Say why the file cannot be used; the process goes on as it was."""
    logger.error("settings refused: the old ones hold", why=why)
    try:
        node.ledger.record("settings refused", f"the old ones hold: {why}")
    except SQLAlchemyError as trouble:
        logger.warning("the ledger cannot be reached", why=type(trouble).__name__)
