"""Say the same thing only so often: a flood of connections must not become one of lines."""

import threading
import time
from dataclasses import dataclass, field

WINDOW_SECONDS = 60.0
MOST_IN_A_WINDOW = 10
MOST_OF_ONE = 500  # sentences of whatever kind: who invents a name each time says as much
MOST_SENTENCES = 1000


@dataclass
class _Count:
    """How often something was to be said since its window began."""

    began: float = field(default_factory=time.monotonic)
    times: int = 0


class Sparing:
    """Who decides whether a sentence is said once more, and counts what was left unsaid."""

    def __init__(
        self,
        most: int = MOST_IN_A_WINDOW,
        seconds: float = WINDOW_SECONDS,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._seconds = seconds
        self._said: dict[str, _Count] = {}
        self._said_of: dict[str, _Count] = {}
        self._lock = threading.Lock()

    def may_say(self, sentence: str, of: str = "") -> str | None:
        """Return the sentence, with what was left unsaid before, or None to leave it.

        `of` is whom it is about: of one address not all is said, however it differs.
        """
        with self._lock:
            may, unsaid = self._count(self._said, sentence, self._most)
            if not may:
                return None
            may, unsaid_of = self._count(self._said_of, of, self._most_of_one)
            if not may:
                return None
        said = f"{sentence}; and {unsaid} times more before" if unsaid else sentence
        return f"{said}; {unsaid_of} other lines of {of} were left out" if unsaid_of else said

    def _count(self, counts: dict[str, _Count], key: str, most: int) -> tuple[bool, int]:
        """Count once more; say whether it is not too often, and what the last window left out."""
        if key not in counts and len(counts) >= MOST_SENTENCES:
            counts.clear()
        count, unsaid = counts.setdefault(key, _Count()), 0
        if time.monotonic() - count.began >= self._seconds:
            unsaid = max(0, count.times - most)
            counts[key] = count = _Count()
        count.times += 1
        return count.times <= most, unsaid
