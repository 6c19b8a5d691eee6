"""What a case has to know of the rounds before it: names, what was told, what was recalled."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom.uid import UID

from dicom_node.ledger.questions import NOTICES, Questions
from dicom_node.ledger.tables import Case, Finding, Lesion
from dicom_node.reporting.changes import Telling
from dicom_node.reporting.profile import Profile
from dicom_node.reporting.shown import shown
from dicom_node.reporting.sources import bundle_words
from dicom_node.reporting.tracking import Known, Name, Names, Spot, named, spots
from dicom_node.reporting.words import telling
from dicom_node.spool import Spool
from inference.findings import Box, ExamFindings, Kind
from inference.transcript import unpack


@dataclass(frozen=True, slots=True, eq=False)
class Former:
    """The last round whose result still holds."""

    round: int
    exam: ExamFindings
    names: Names


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What a round follows."""

    names: Names  # of this round's lesions
    former: Former | None
    recalled: tuple[str, ...]  # sentences
    known: tuple[Known, ...] = ()  # what earlier rounds named
    bundle: str = ""  # in the words of UIDs

    def names_of(self, exam: ExamFindings) -> Names:
        """Name the findings at another operating point, those of the node's own as they are."""
        if all(spot in self.names for spot in _spots(exam)):
            return self.names
        own = [Known(name, spot.sop_uid, spot.kind, spot.box) for spot, name in self.names.items()]
        uids = {one.name.uid for one in own}
        others = [one for one in self.known if one.name.uid not in uids]
        return named(exam, [*others, *own], self.bundle)

    def told_to(self, profile: Profile) -> Telling | None:
        """Sum up what the former round told a destination with these wishes."""
        if self.former is None or profile.operating_point:  # it was told of other findings
            return None
        exam, names = shown(self.former.exam, profile).exam, self.former.names
        found = ((names[spot], one) for view in exam.views for spot, one in spots(view))
        unshown = left_out(self.former.exam, exam, names)
        return telling(self.former.round, exam, found, unshown)


def left_out(exam: ExamFindings, part: ExamFindings, names: Names) -> frozenset[str]:
    """Return the tracking UIDs of what an exam has and the part of it that is shown has not."""
    return frozenset(str(names[spot].uid) for spot in {*_spots(exam)} - {*_spots(part)})


def remembered(
    questions: Questions, spool: Spool, case: Case, exam: ExamFindings
) -> tuple[Past, list[Lesion]]:
    """Look back from a case, and return the rows that its own lesions leave for later rounds."""
    known = _known(questions.lesions_before(case))
    bundle = bundle_words(exam)
    names = named(exam, known, bundle)
    rows = [
        Lesion(finding_id=row.id, name=names[spot].words, tracking_uid=str(names[spot].uid))
        for row, spot in zip(questions.findings_of(case.id), _spots(exam), strict=True)
    ]
    recalled, standing = rounds_before(questions, case)
    former = _former(questions, spool, standing)
    return Past(names, former, recalled, tuple(known), bundle), rows


def rounds_before(questions: Questions, case: Case) -> tuple[tuple[str, ...], list[Case]]:
    """Say which earlier results were taken back, and return the rounds that were not."""
    earlier = [one for one in questions.cases_of(case.study_uid) if one.round < case.round]
    recalls = questions.recalls_among([one.id for one in earlier])
    recalled = tuple(
        f"The result of round {one.round} was recalled: {recalls[one.id].reason}."
        for one in earlier
        if one.id in recalls
    )
    return recalled, [one for one in earlier if one.id not in recalls]


def has_told(questions: Questions, case: Case) -> bool:
    """Say whether a round has told a result; a notice that there is none is no result."""
    return any(product.kind not in NOTICES for product in questions.products_of(case.id))


def _former(questions: Questions, spool: Spool, standing: Sequence[Case]) -> Former | None:
    """Read what the last of these rounds told; a round without objects told nothing."""
    for case in reversed(standing):
        run = questions.run_of(case.id)
        if run is not None and has_told(questions, case):
            exam = unpack(spool.read(run.findings_path, run.findings_sha256))
            rows = questions.lesions_of(case.id)
            if len(rows) != len(exam.findings):  # from before names were kept: nothing to go by
                return None
            return Former(case.round, exam, dict(zip(_spots(exam), map(_name, rows), strict=True)))
    return None


def _known(rows: Sequence[Lesion]) -> list[Known]:
    """Return each lesion where it was seen last."""
    last: Mapping[str, Lesion] = {row.tracking_uid: row for row in rows}
    return [
        Known(_name(row), row.finding.sop_uid, Kind(row.finding.kind), _box(row.finding))
        for row in last.values()
    ]


def _name(row: Lesion) -> Name:
    return Name(row.name, UID(row.tracking_uid))


def _box(row: Finding) -> Box:
    return Box(row.box_left, row.box_top, row.box_right, row.box_bottom)


def _spots(exam: ExamFindings) -> Iterator[Spot]:
    return (spot for view in exam.views for spot, _ in spots(view))
