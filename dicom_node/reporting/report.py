"""From findings to the objects a destination wants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom import config
from pydicom.dataset import Dataset

from dicom_node.reporting import cad_sr, measurement_report, presentation_state, segmentation
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.codes import STANDARD, Dialect
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.sources import Source, sources
from dicom_node.reporting.tidy import tidy
from inference.findings import ExamFindings

KINDS = frozenset({cad_sr.KIND, measurement_report.KIND, segmentation.KIND})
KINDS_ON_DEMAND = frozenset({presentation_state.KIND})  # made where a destination asks for them


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """An object, and which kind of object it is."""

    kind: str
    dataset: Dataset


def report(  # noqa: PLR0913 - what a report follows from, each by its name
    headers: Sequence[Dataset],
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    wanted: frozenset[str],
    dialect: Dialect = STANDARD,
    *,
    lightbox: Lightbox | None = None,
) -> list[Built]:
    """Build the wanted objects; without findings that is the CAD SR alone."""
    if unknown := wanted - KINDS - KINDS_ON_DEMAND:
        known = ", ".join(sorted(KINDS | KINDS_ON_DEMAND))
        raise ValueError(f"no object is called {', '.join(sorted(unknown))}; there are {known}")
    found = sources([tidy(header) for header in headers], exam)
    # Identifiers that are too long for their VR are copied as they are, without a word.
    with config.disable_value_validation():
        return list(_built(found, exam, maker, circumstances, wanted, dialect, lightbox=lightbox))


def _built(  # noqa: PLR0913 - as above
    found: tuple[Source, ...],
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    wanted: frozenset[str],
    dialect: Dialect,
    *,
    lightbox: Lightbox | None,
) -> Iterator[Built]:
    if cad_sr.KIND in wanted:
        yield Built(cad_sr.KIND, cad_sr.cad_sr(found, exam, maker, circumstances, dialect))
    if measurement_report.KIND in wanted:
        for place, source in enumerate(found, start=1):
            if source.lesions:
                made = measurement_report.measurement_report(
                    found, exam, maker, circumstances, place
                )
                yield Built(measurement_report.KIND, made)
    if segmentation.KIND in wanted:
        for place, source in enumerate(found, start=1):
            if segmentation.has_mask(source):
                made = segmentation.segmentation(source, exam, maker, circumstances, place)
                yield Built(segmentation.KIND, made)
    yield from _on_demand(found, exam, maker, circumstances, wanted & KINDS_ON_DEMAND, lightbox)


def _on_demand(
    found: tuple[Source, ...],
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    wanted: frozenset[str],
    lightbox: Lightbox | None,
) -> Iterator[Built]:
    if presentation_state.KIND in wanted:
        for place, source in enumerate(found, start=1):
            if source.lesions:
                made = presentation_state.presentation_state(
                    source, exam, maker, circumstances, place, lightbox
                )
                yield Built(presentation_state.KIND, made)
