"""Images that came with a study and were not read: a report says so, one by one."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from dicom_node import facts
from dicom_node.ledger.tables import Instance
from dicom_node.spool import Spool
from inference.decoding.files import open_file


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


def kept_header(spool: Spool, image: Instance) -> Dataset:
    """Read the header of a received image; of one that cannot be read, what the ledger knows."""
    try:
        return open_file(spool.path(image.path)).header
    except (InvalidDicomError, MemoryError, OSError):  # not the image's fault but the spool's
        raise
    except Exception:  # noqa: BLE001 - bytes from outside: parsers raise anything
        header = Dataset()
        header.StudyInstanceUID, header.SeriesInstanceUID = image.study_uid, image.series_uid
        header.SOPClassUID, header.SOPInstanceUID = image.sop_class_uid, image.sop_uid
        return header


def view_in(header: Dataset) -> str:
    """Name which of the four views an image shows, be it raw or a tomosynthesis; a spot is none.

    What can be read is known by less: there a study waits for the view itself.
    """
    if not facts.kind(header):
        return ""
    return facts.or_nothing(lambda one: "" if facts.stands_aside(one) else facts.name(one), header)


def not_received(required: Sequence[str], came: Collection[str]) -> Iterator[str]:
    """Say which of the views that a study should have came in no image, read or not."""
    if missing := [view for view in required if view not in came]:
        yield f"Not received: {' and '.join(missing)}."


def not_read(unread: Sequence[Unread]) -> Iterator[str]:
    """Say which images were not read and why, like ones together; and what that leaves open."""
    for words, count in Counter(one.words for one in unread).items():
        times = f", {count} times" if count > 1 else ""
        yield f"Not read: {words}{times}."
    if missed := sorted({one.view for one in unread if one.missed}):
        yield f"Nothing is said of {' and '.join(missed)}."
