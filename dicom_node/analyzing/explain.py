"""Why a file would be read or not: every rule's answer, and the study's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom import Dataset

from dicom_node.analyzing.accept import CANNOT_BE_READ, header_answers, judge_study, look
from dicom_node.analyzing.own_rules import OWN, own_answers
from dicom_node.analyzing.pixel_rules import FILE, FILE_SIZE, PIXELS, too_large
from dicom_node.analyzing.rules import Judged, JudgedStudy, Rule, Terms
from dicom_node.facts import or_nothing, text

Answer = str | None
"""What is wrong; empty where nothing is; None where it was not asked."""


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """One file, what the node would do with it, and what every rule says."""

    path: Path
    judged: Judged
    answers: tuple[tuple[Rule, Answer], ...]


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedStudy:
    """The files of one study, and what the node would do with it."""

    study_uid: str
    files: tuple[Explained, ...]
    study: JudgedStudy


def files_in(paths: Sequence[Path]) -> Iterator[Path]:
    """List files, looking into folders."""
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (one for one in inside if _is_one(one) and one.name != "DICOMDIR")


def _is_one(path: Path) -> bool:
    """Tell a file, or a link that leads nowhere, from folders and from pipes that never end."""
    return path.is_file() or not path.exists()


def explain(paths: Sequence[Path], terms: Terms) -> tuple[list[Explained], list[ExplainedStudy]]:
    """Judge files as the node would: those that are no images, and the rest study by study."""
    seen = [_explained(path, terms) for path in files_in(paths)]
    broken = [one for one in seen if not one.judged.header]
    by_study: dict[str, list[Explained]] = {}
    for one in seen:
        if one.judged.header:
            by_study.setdefault(or_nothing(_study_uid, one.judged.header), []).append(one)
    return broken, [_study(uid, files, terms) for uid, files in by_study.items()]


def _study_uid(header: Dataset) -> str:
    return text(header, "StudyInstanceUID")


def _study(uid: str, files: Sequence[Explained], terms: Terms) -> ExplainedStudy:
    study = judge_study([one.judged for one in files], terms)
    after = zip(files, study.images, strict=True)
    return ExplainedStudy(uid, tuple(replace(one, judged=judged) for one, judged in after), study)


def _explained(path: Path, terms: Terms) -> Explained:
    judged = replace(look(path, terms), mammogram=None)  # many files, and their pixels are large
    declined = judged.declined
    if declined is not None and declined.code == FILE.code:
        return Explained(path, judged, ((FILE, declined.sentence),))
    large = too_large(judged.size_bytes, terms)
    pixels: Answer = None
    if declined is None or declined.code == PIXELS.code:
        pixels = declined.sentence if declined else ""
    answers = (
        (FILE, ""),
        *_header_answers(judged.header, terms),
        (FILE_SIZE, large.sentence if large else ""),
        (PIXELS, pixels),
    )
    return Explained(path, judged, answers)


def _header_answers(header: Dataset, terms: Terms) -> Iterator[tuple[Rule, Answer]]:
    """Tell the site's own rules apart, which the judgement asks as one."""
    for rule, answer in header_answers(header, terms):
        if rule is not OWN or not terms.accept.rules or answer == CANNOT_BE_READ:
            yield rule, answer
        else:
            yield from own_answers(header, terms.accept.rules)
