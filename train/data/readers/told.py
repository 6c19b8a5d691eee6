"""What one result says of the images of a study, whichever object it came in."""

from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from inference.findings import Kind
from train.data.sample import Region

# As this node codes them, and as workstations may put it, in SNOMED's codes of today and before
_MASS = {"129788004", "F-01791", "4147007", "129793001", "F-01796"}
_CALCIFICATION = {"129748009", "F-01760", "129769006", "F-01775", "309587003", "129767002"}


@dataclass(slots=True)
class Told:
    """A result: the regions of every image that it speaks of, be there none."""

    path: Path
    moment: str  # when it was made; of two, the later one sorts behind
    by_a_person: bool  # somebody made it, or went over what a device had made
    is_report: bool
    regions: dict[str, list[Region]] = field(default_factory=dict)  # by SOP Instance UID
    incomplete: set[str] = field(default_factory=set)  # images with a mark that is no region


def moment_of(dataset: Dataset) -> str:
    """Return when an object was made, so that moments sort as words do."""
    day, time = str(dataset.get("ContentDate") or ""), str(dataset.get("ContentTime") or "")
    return f"{day:8}{time.ljust(13, '0')}"


def kind_of(code: Dataset) -> Kind | None:
    """Read what was found, from a code or else from the words that a person gave it."""
    value = str(code.get("CodeValue") or "").strip()
    words = str(code.get("CodeMeaning") or "").lower()
    if value in _MASS or "mass" in words:
        return Kind.MASS
    if value in _CALCIFICATION or "calci" in words:
        return Kind.CALCIFICATION
    return None
