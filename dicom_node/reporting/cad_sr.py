"""Mammography CAD SR (PS3.16, TID 4000), the object mammography workstations draw.

highdicom cannot hold items by reference, which this template requires, so the tree is our own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydicom.dataset import Dataset

from dicom_node.reporting import cad_document, codes, content
from dicom_node.reporting.cad_document import done, entry, listed_parameters, performed
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.codes import STANDARD, Concept, Dialect
from dicom_node.reporting.composite import features
from dicom_node.reporting.content import Item, Reference
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.places import pairs
from dicom_node.reporting.sources import Lesion, Source, edition_words
from dicom_node.reporting.words import impression, seen_by, several
from inference.findings import ExamFindings

KIND = cad_document.KIND


def cad_sr(
    sources: Sequence[Source],
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    dialect: Dialect = STANDARD,
    *,
    two_view: bool = False,
) -> Dataset:
    """Report the findings of an exam; no findings is a report too.

    A view that came and that nobody could read makes the report a partial one. What CC and MLO
    may both show is tied together where `two_view` asks for it.
    """
    missed = [one for one in circumstances.unread if one.missed]
    library = [entry(source.header, source.view.side, source.view.projection) for source in sources]
    others = [entry(one.header, one.view[:1], one.view[1:]) for one in missed]
    found = {
        lesion.uid: _finding(lesion, image, exam)
        for source, image in zip(sources, library, strict=True)
        for lesion in source.lesions
    }
    told = features(pairs(sources) if two_view else (), found, lambda: _algorithm(exam))
    words = impression(sources, exam, maker, circumstances)
    tree = cad_document.report(
        [*library, *others],
        _summary(
            told,
            exam,
            words,
            codes.ANSWERS[bool(missed), bool(exam.findings)],
            _members(exam) | _settings(circumstances.settings),
        ),
        _detections(library, others, exam),
        _analyses(library, others, exam),
    )
    return cad_document.document(
        [*(source.header for source in sources), *(one.header for one in missed)],
        tree,
        maker,
        circumstances,
        dialect,
        called="CAD SR",
        made_of=edition_words(exam, circumstances.edition),
    )


def _summary(
    told: Iterable[Item],
    exam: ExamFindings,
    words: str,
    answer: Concept,
    once: Mapping[str, str],
) -> Item:
    """Give the answer in one code, the exam's score, and the findings (TID 4001 to 4003)."""
    summary = content.code(codes.FINDINGS_SUMMARY, answer)
    summary.add(
        content.HAS_PROPERTIES,
        content.text(codes.IMPRESSION_DESCRIPTION, words),
        *_score(exam),
        *_algorithm(exam),
        *listed_parameters(once),
    )
    for each in told:
        opinion = content.container(codes.INDIVIDUAL_IMPRESSION)
        opinion.add(content.HAS_CONCEPT_MOD, _to_be_shown())
        summary.add(content.INFERRED_FROM, opinion.add(content.CONTAINS, each))
    return summary


def _score(exam: ExamFindings) -> Iterator[Item]:
    if exam.cancer_score is not None:
        yield content.percent(codes.CERTAINTY_OF_IMPRESSION, exam.cancer_score)


def _finding(lesion: Lesion, image: Item, exam: ExamFindings) -> Item:
    """Describe one lesion in one image (TID 4006)."""
    finding = lesion.finding
    properties = [
        *_algorithm(exam),
        *(content.text(codes.ALGORITHM_PARAMETERS, words) for words in sightings(lesion, exam)),
        content.percent(codes.CERTAINTY_OF_FINDING, finding.score),
    ]
    if finding.cancer_score is not None:
        properties.append(content.percent(codes.PROBABILITY_OF_CANCER, finding.cancer_score))
    for name, shape, points in (
        (codes.CENTER, "POINT", (lesion.center,)),
        (codes.OUTLINE, "POLYLINE", lesion.outline),
    ):
        drawn = content.coordinates(name, shape, points)
        properties.append(drawn.add(content.SELECTED_FROM, Reference(image)))
    if lesion.area_mm2 is not None:
        properties.append(content.number(codes.AREA, lesion.area_mm2, codes.SQUARE_MILLIMETER))
    if lesion.specks is not None:
        counted = content.number(codes.NUMBER_OF_CALCIFICATIONS, lesion.specks, codes.NO_UNITS)
        properties.append(counted)
    if lesion.grouped:
        properties.append(content.code(codes.CALCIFICATION_DISTRIBUTION, codes.GROUPED))
    item = content.code(codes.SINGLE_IMAGE_FINDING, codes.DETECTIONS[finding.kind])
    item.add(content.HAS_CONCEPT_MOD, _to_be_shown())
    item.add(
        content.HAS_OBS_CONTEXT,
        content.text(codes.TRACKING_IDENTIFIER, lesion.name),
        content.uid_reference(codes.TRACKING_UNIQUE_IDENTIFIER, lesion.uid),
    )
    return item.add(content.HAS_PROPERTIES, *properties)


def _detections(library: Sequence[Item], others: Sequence[Item], exam: ExamFindings) -> Item:
    """Say what was looked for, in which images, and in which it could not be (TID 4015)."""

    def each(images: Sequence[Item]) -> list[Item]:
        return [
            performed(
                content.code(codes.DETECTION_PERFORMED, codes.DETECTIONS[kind]),
                _algorithm(exam),
                images,
            )
            for kind in (exam.marks if images else ())
        ]

    return done(
        codes.SUMMARY_OF_DETECTIONS,
        (codes.SUCCESSFUL_DETECTIONS, each(library)),
        (codes.FAILED_DETECTIONS, each(others)),
    )


def _analyses(library: Sequence[Item], others: Sequence[Item], exam: ExamFindings) -> Item:
    """Say whether the exam as a whole was judged, and what that leaves out (TID 4016)."""

    def judged(images: Sequence[Item]) -> list[Item]:
        if exam.cancer_score is None or not images:
            return []
        item = content.code(codes.ANALYSIS_PERFORMED, codes.OVERALL_IMPRESSION_ANALYSIS)
        return [performed(item, _algorithm(exam), images)]

    return done(
        codes.SUMMARY_OF_ANALYSES,
        (codes.SUCCESSFUL_ANALYSES, judged(library)),
        (codes.FAILED_ANALYSES, judged(others)),
    )


def _algorithm(exam: ExamFindings) -> Iterable[Item]:
    return cad_document.algorithm(exam.system, exam.version, _exact(exam))


def parameters(exam: ExamFindings, settings: str) -> dict[str, str]:
    """Name the weights, thresholds and settings behind a result, and those of each who agreed."""
    return _exact(exam) | _members(exam) | _settings(settings)


def _exact(exam: ExamFindings) -> dict[str, str]:
    return {"bundle sha256": exam.digest, "operating point": exam.operating_point}


def _settings(digest: str) -> dict[str, str]:
    return {"settings sha256": digest} if digest else {}


def _members(exam: ExamFindings) -> dict[str, str]:
    """Name who agreed; a CAD SR does so once, at the exam's own algorithm."""
    return {
        f"member {member.name}": f"{member.version}, bundle sha256 {member.digest}, "
        f"operating point {member.operating_point}"
        for member in (exam.members if several(exam) else ())
    }


def sightings(lesion: Lesion, exam: ExamFindings) -> Iterator[str]:
    """Say who of several saw a lesion."""
    if several(exam):
        yield seen_by(lesion, exam)


def _to_be_shown() -> Item:
    return content.code(codes.RENDERING_INTENT, codes.PRESENTATION_REQUIRED)
