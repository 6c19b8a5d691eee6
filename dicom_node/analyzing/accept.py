"""The judgement: which images and studies are read, by the rules in the tables beside this.

An image that breaks a rule stays where it is and keeps its verdict; the study goes on with the
rest. A study that breaks a rule of its own is DECLINED. `dicom-node rules test` asks the same
functions, so what it says is what the node would do.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from pydicom import Dataset

from dicom_node.analyzing.image_rules import IMAGE_RULES
from dicom_node.analyzing.pixel_rules import PIXEL_RULES, decoded, opened, too_large
from dicom_node.analyzing.rules import Judged, JudgedStudy, Rule, Terms
from dicom_node.analyzing.study_rules import (
    NOT_KEPT,
    NOTHING_NEW,
    REPEATED,
    STUDY_RULES,
    keep_one_of_each_view,
)
from dicom_node.errors import Declined
from dicom_node.settings.file import Settings

CANNOT_BE_READ = "an attribute that this rule asks for has a value that cannot be read"


def terms_of(settings: Settings, reads: frozenset[str]) -> Terms:
    """Return the terms of a node: its settings, and what its bundles read."""
    return Terms(settings.analyzing.accept, settings.receiving.required_views, reads)


def rules() -> list[Rule]:
    """Return every rule, in the order of its code."""
    everything = [*IMAGE_RULES, *PIXEL_RULES, *STUDY_RULES, REPEATED, NOTHING_NEW, NOT_KEPT]
    return sorted(everything, key=lambda rule: rule.code)


def look(path: Path, terms: Terms) -> Judged:
    """Judge one file: its header first, its pixels only where the header is fine."""
    file = opened(path)
    if isinstance(file, Declined):
        return Judged(Dataset(), file)
    header = file.header
    size_bytes = path.stat().st_size
    declined = judge_header(header, terms) or too_large(size_bytes, terms)
    if declined is not None:
        return Judged(header, declined, size_bytes=size_bytes)
    mammogram = decoded(file, terms)
    if isinstance(mammogram, Declined):
        return Judged(header, mammogram, size_bytes=size_bytes)
    return Judged(header, None, mammogram, size_bytes)


def judge_header(header: Dataset, terms: Terms) -> Declined | None:
    """Return the first rule that a header breaks."""
    answers = ((rule, fault) for rule, fault in header_answers(header, terms) if fault)
    return next((Declined(rule.code, fault) for rule, fault in answers), None)


def header_answers(header: Dataset, terms: Terms) -> Iterator[tuple[Rule, str]]:
    """Ask every rule that a header answers: what is wrong, or nothing."""
    for rule, fault in IMAGE_RULES.items():
        yield rule, _answer(partial(fault, header, terms))


def _answer(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except Exception:  # noqa: BLE001 - values from outside: converting them raises anything
        return CANNOT_BE_READ


def judge_study(images: Sequence[Judged], terms: Terms) -> JudgedStudy:
    """Choose among images of one view, and judge the study as a whole."""
    kept = tuple(keep_one_of_each_view(images, terms))
    for rule, fault in STUDY_RULES.items():
        sentence = _answer(partial(fault, kept, terms))
        if sentence:
            return JudgedStudy(kept, Declined(rule.code, sentence))
    return JudgedStudy(kept, None)
