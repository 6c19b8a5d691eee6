"""Which patients of a data set teach, and which steer: drawn once, and kept in a file.

A patient's place is drawn by a hash of the name, among patients of the same kind. The file is what
counts: whoever reads the same file has the same split, whatever became of the data set since.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from inference.bundle import faults
from train.data.sample import Sample
from train.errors import Refused

_FORMAT = "fourviews-split-1"
SHORT = 12  # of a digest: as much as cards and pages hold


class Division(BaseModel):
    """The parts of a data set, each a list of patients."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    format: str = _FORMAT
    data_set: str
    salt: str
    parts: dict[str, list[str]]

    @property
    def digest(self) -> str:
        """Return the digest of who is in which part; the order of names does not count."""
        lines = sorted(
            f"{part} {patient}" for part, patients in self.parts.items() for patient in patients
        )
        return hashlib.sha256("\n".join([self.data_set, *lines]).encode()).hexdigest()

    def of(self, part: str) -> frozenset[str]:
        """Return the patients of a part."""
        if part not in self.parts:
            raise Refused(f"the split has no part {part!r}: it has {', '.join(sorted(self.parts))}")
        return frozenset(self.parts[part])


def divided(samples: Sequence[Sample], shares: Mapping[str, float], salt: str) -> Division:
    """Draw the parts, so that each has its share of every kind of patient.

    The kind is what counts for a network: a cancer, benign lesions only, or nothing, and which
    lesions were marked.
    """
    total = sum(shares.values())
    if not shares or min(shares.values()) <= 0 or abs(total - 1) > 1e-6:  # noqa: PLR2004
        raise Refused(f"the parts' shares are {dict(shares)}, but have to add up to 1")
    parts: dict[str, list[str]] = {name: [] for name in shares}
    lag = dict.fromkeys(shares, 0.0)
    for patients in _strata(samples).values():
        ordered = sorted(patients, key=lambda patient: chance(patient, salt))
        begin, share = 0, 0.0
        for name, own in shares.items():
            share += own
            # What rounding took in other kinds is given back: over many kinds it would add up.
            end = max(begin, min(len(ordered), round(share * len(ordered) + lag[name])))
            lag[name] += share * len(ordered) - end
            parts[name] += ordered[begin:end]
            begin = end
    empty = [name for name, patients in parts.items() if not patients]
    if empty:
        raise Refused(f"no patient is left for {', '.join(empty)}: there are too few")
    return Division(
        data_set=samples[0].data_set,
        salt=salt,
        parts={name: sorted(patients) for name, patients in parts.items()},
    )


def chance(patient: str, salt: str) -> float:
    """Return a number from 0 to 1 that a patient always has."""
    digest = hashlib.sha256(f"{salt} {patient}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def write_division(division: Division, path: Path) -> None:
    """Keep a split, with its digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(division.model_dump() | {"sha256": division.digest}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def read_division(path: Path) -> Division:
    """Read a split, and refuse one that was changed, or has a patient in two parts."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        stated = kept.pop("sha256")
        division = Division.model_validate(kept)
    except OSError as fault:
        raise Refused(f"the split {path} cannot be read: {fault.strerror}") from fault
    except ValidationError as error:
        raise Refused("\n".join(faults(str(path), error))) from error
    except (ValueError, AttributeError, KeyError) as fault:
        raise Refused(f"{path} is no split: make one with `train split`") from fault
    if division.format != _FORMAT:
        raise Refused(f"{path} is a split of the format {division.format!r}, not {_FORMAT!r}")
    if division.digest != stated:
        raise Refused(f"{path} was changed after it was written: make a new one by `train split`")
    everybody = [patient for patients in division.parts.values() for patient in patients]
    twice = sorted({patient for patient in everybody if everybody.count(patient) > 1})
    if twice:
        raise Refused(f"{path} has {', '.join(twice[:3])} in two parts: make a new one")
    return division


def called(data_set: str, part: str, digest: str) -> str:
    """Name a part of a data set, as cards do."""
    return f"{data_set}, part {part} of split {digest[:SHORT]}"


def require_of(division: Division, data_set: str, path: Path) -> None:
    """Refuse a split of other patients: names such as 1, 2, 3 are in every data set."""
    if division.data_set != data_set:
        raise Refused(
            f"{path} divides {division.data_set!r}, and these are images of {data_set!r}: name "
            "the split of these, or make one with `train split`"
        )


def _strata(samples: Sequence[Sample]) -> dict[tuple[str, ...], list[str]]:
    """Put patients of a kind together."""
    shown: dict[str, list[Sample]] = {}
    for sample in samples:
        shown.setdefault(sample.patient, []).append(sample)
    strata: dict[tuple[str, ...], list[str]] = {}
    for patient, images in shown.items():
        strata.setdefault(_kind(images), []).append(patient)
    return dict(sorted(strata.items()))


def _kind(images: Sequence[Sample]) -> tuple[str, ...]:
    regions = [region for image in images for region in image.regions]
    cancer = any(image.cancer for image in images) or any(region.malignant for region in regions)
    worst = "cancer" if cancer else "benign" if regions else "healthy"
    return worst, *sorted({str(region.kind) for region in regions})
