"""Say the same thing only so often: a flood of connections must not become one of lines."""

import threading
import time

WINDOW_SECONDS = 60.0
MOST_IN_A_WINDOW = 10
MOST_SENTENCES = 1000


class Sparing:
    """Who decides whether a sentence is said once more, and counts what was left unsaid."""

    def __init__(self, most: int = MOST_IN_A_WINDOW, seconds: float = WINDOW_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._said: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def may_say(self, sentence: str) -> str | None:
        """Return the sentence, with how often it was left unsaid before, or None to leave it."""
        with self._lock:
            now = time.monotonic()
            began, count = self._said.get(sentence, (now, 0))
            unsaid = 0
            if now - began >= self._seconds:
                unsaid, began, count = max(0, count - self._most), now, 0
            if sentence not in self._said and len(self._said) >= MOST_SENTENCES:
                self._said.clear()
            self._said[sentence] = (began, count + 1)
            if count >= self._most:
                return None
        return f"{sentence}; and {unsaid} times more before" if unsaid else sentence
