"""Images that came with a study and were not read: a report says so, one by one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class Unread:
    """One image that was not read, and by which rule."""

    header: Dataset  # tidy
    view: str  # LCC, RMLO; empty where it is none of the four
    code: str
    sentence: str
    missed: bool = False  # nobody read another image of its view either

    @property
    def words(self) -> str:
        """Name the image and the rule."""
        return f"{self.view or 'another image'} ({self.code}: {self.sentence})"


def not_read(unread: Sequence[Unread]) -> Iterator[str]:
    """Say which images were not read and why, like ones together; and what that leaves open."""
    for words, count in Counter(one.words for one in unread).items():
        times = f", {count} times" if count > 1 else ""
        yield f"Not read: {words}{times}."
    if missed := sorted({one.view for one in unread if one.missed}):
        yield f"Nothing is said of {' and '.join(missed)}."
