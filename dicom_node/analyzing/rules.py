"""What a rule is. The rules themselves are tables: image_rules, pixel_rules, study_rules."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from dicom_node import facts
from dicom_node.eligibility import Accept
from dicom_node.errors import Declined
from inference.mammogram import Mammogram

MAMMOGRAM = "mammogram"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, for people. Its code is kept in ledgers and reports, and never changes."""

    code: str
    name: str
    asks: str  # "an image is read only if ..."; of a study: "it is DECLINED if ..."
    plain: str  # for a radiologist: what kind of image or study this is about
    keys: tuple[str, ...] = ()  # of [analyzing.accept]: what steers it


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms images are read here: what the administrator says, and the bundle."""

    accept: Accept
    required: Sequence[str]  # receiving.required_views
    reads: frozenset[str] = frozenset({MAMMOGRAM})  # kinds that every bundle's card takes


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One image and what the rules say of it."""

    header: Dataset
    declined: Declined | None
    mammogram: Mammogram | None = None  # once it was decoded
    size_bytes: int = 0

    @property
    def view(self) -> str:
        """Name the view of an accepted image."""
        return facts.name(self.header)


@dataclass(frozen=True, slots=True, eq=False)
class JudgedStudy:
    """What the rules say of every image, and of the study as a whole."""

    images: tuple[Judged, ...]
    declined: Declined | None

    @property
    def accepted(self) -> tuple[Judged, ...]:
        """Return the images that are read."""
        return tuple(one for one in self.images if one.declined is None)
