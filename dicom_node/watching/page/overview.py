"""What the page and the metrics tell, as plain values: numbers, names of settings, sentences."""

import shutil
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from dicom_node.errors import Misconfigured
from dicom_node.life import State
from dicom_node.watching.drift import drift_told
from dicom_node.watching.story import moment, standing
from dicom_node.wiring import CODE_VERSION, Node, newest_revision, revision

NEWEST = 20
FAILURES = 10
FRESH_SECONDS = 2.0  # however many look, the ledger is asked so often


@dataclass
class Overview:
    """Where everything stands, asked of the ledger now and then."""

    node: Node
    _told: dict[str, Any] = field(default_factory=dict, init=False)
    _told_at: float = field(default=-FRESH_SECONDS, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def now(self) -> dict[str, Any]:
        """Tell where everything stands."""
        with self._lock:
            if time.monotonic() - self._told_at >= FRESH_SECONDS:
                self._told = self._ask()
                self._told_at = time.monotonic()
            return self._told

    def _ask(self) -> dict[str, Any]:
        questions, settings = self.node.questions, self.node.settings
        last = questions.last_image_at()
        return standing(questions, NEWEST) | {
            "version": CODE_VERSION,
            "ae_title": settings.receiving.ae_title,
            "failures": [
                {"case": case.id, "since": moment(case.moved_at), "reason": case.reason}
                for case in questions.cases((State.FAILED,), FAILURES)
            ],
            "destinations": [one.name for one in settings.delivering.destinations],
            "models": self._models,
            "drift": drift_told(self.node),
            "free_bytes": shutil.disk_usage(settings.data).free,
            "reserve_bytes": settings.receiving.reserve_megabytes << 20,
            "warning_bytes": settings.receiving.warns_below << 20,
            "last_image_seconds": last.timestamp() if last is not None else None,
        }

    @property
    def _models(self) -> list[dict[str, str]]:
        """Name the bundles that read; the worker, not this page, refuses what is unsound."""
        self.node.models.look()
        try:
            cards = self.node.cards
        except Misconfigured:
            return []
        return [
            {
                "name": card.name,
                "version": card.version,
                "system": card.system,
                "weights": card.weights_sha256[:12],
            }
            for card in cards
        ]

    def hindrance(self) -> str:
        """Say why the node could not take an image now; nothing where it could."""
        told = self.now()
        if revision(self.node) != newest_revision(self.node):
            return "the ledger is of another revision"
        if told["free_bytes"] < told["reserve_bytes"]:
            return "the disk is full"
        return ""
