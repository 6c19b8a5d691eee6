"""What is checked in a report of a later round: what it replaces, and what it says it changed.

The sentences are worked out anew from the findings and from what was told before, so that none of
them can be of another round, another study or another destination.
"""

from collections.abc import Iterator

from pydicom.uid import MammographyCADSRStorage

from dicom_node.reporting import codes, measurement_report
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.common_proof import Check, Claim, Origin
from dicom_node.reporting.marks import is_named, walk
from dicom_node.reporting.sr_proof import spoken_of
from dicom_node.reporting.words import revision


def predecessor(claim: Claim) -> Iterator[str]:
    """Check that the report names the one that it replaces, and no other."""
    if claim.origin is None:
        return
    written = [
        (
            str(study.StudyInstanceUID),
            str(series.SeriesInstanceUID),
            str(one.ReferencedSOPClassUID),
            str(one.ReferencedSOPInstanceUID),
        )
        for study in claim.dataset.get("PredecessorDocumentsSequence") or []
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]
    if written != list(_replaced(claim, claim.origin)):
        yield "the report does not name the one that it replaces, or another one"


def _replaced(claim: Claim, origin: Origin) -> Iterator[tuple[str, str, str, str]]:
    before = _circumstances(claim, origin).predecessor
    if before is not None and before.sop_class_uid == claim.dataset.SOPClassUID:
        study_uid = str(claim.sources[0].header.StudyInstanceUID)
        yield study_uid, before.series_uid, before.sop_class_uid, before.sop_instance_uid


def _circumstances(claim: Claim, origin: Origin) -> Circumstances:
    """Return the circumstances of this very report: one of an image replaces one of that image."""
    if claim.dataset.SOPClassUID == MammographyCADSRStorage:
        return origin.circumstances
    (source,) = spoken_of(claim)
    study_uid, image_uid = source.header.StudyInstanceUID, source.view.sop_instance_uid
    return origin.circumstances.of_image(measurement_report.KIND, study_uid, image_uid)


def changed(claim: Claim) -> Iterator[str]:
    """Check that the report says what it changes and what was recalled, and no more than that."""
    if claim.origin is None:
        return
    words = " ".join(
        str(item.get("TextValue", ""))
        for _, item in walk(claim.dataset)
        if is_named(item, codes.IMPRESSION_DESCRIPTION) or is_named(item, codes.COMMENT)
    )
    circumstances = _circumstances(claim, claim.origin)
    if strange := set(circumstances.views_added) - {source.name for source in claim.sources}:
        yield f"the report is said to add {', '.join(sorted(strange))}, which was not read"
    sentences = list(revision(claim.sources, claim.exam, circumstances))
    if not all(sentence in words for sentence in sentences):
        yield f"no text of the report says '{' '.join(sentences)}'"
    for beginning in ("Round ", "Since round ", "The result of round "):
        told = sum(sentence.startswith(beginning) for sentence in sentences)
        if _sentences(words, beginning) > told:
            yield f"the report says more than it should with '{beginning.strip()}'"


def _sentences(words: str, beginning: str) -> int:
    """Count the sentences that begin like this."""
    return f". {words}".count(f". {beginning}")


CHECKS: tuple[Check, ...] = (predecessor, changed)
