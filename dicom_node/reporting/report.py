"""From findings to the objects a destination wants."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from pydicom import config
from pydicom.dataset import Dataset

from dicom_node.reporting import (
    cad_sr,
    measurement_report,
    presentation_state,
    secondary_capture,
    segmentation,
    summary,
)
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.profile import PLAIN, Profile
from dicom_node.reporting.sources import Source, sources
from dicom_node.reporting.tidy import tidy
from inference.findings import ExamFindings

KINDS = frozenset({cad_sr.KIND, measurement_report.KIND, segmentation.KIND})
KINDS_ON_DEMAND = frozenset({presentation_state.KIND, secondary_capture.KIND, summary.KIND})


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
    profile: Profile = PLAIN,
    *,
    lightbox: Lightbox | None = None,
) -> list[Built]:
    """Build the wanted objects; without findings that is the CAD SR alone.

    The exam and the maker come as the profile wants them shown; how they are written is done here.
    """
    if unknown := wanted - KINDS - KINDS_ON_DEMAND:
        known = ", ".join(sorted(KINDS | KINDS_ON_DEMAND))
        raise ValueError(f"no object is called {', '.join(sorted(unknown))}; there are {known}")
    found = sources([tidy(header) for header in headers], exam, circumstances.names)
    built = []
    # Identifiers that are too long for their VR are copied as they are, without a word.
    with config.disable_value_validation():
        for kind in sorted(wanted):
            edition = replace(circumstances, edition=profile.of(kind).words)
            for made in BUILDERS[kind](Order(found, exam, maker, edition, profile, lightbox)):
                made.file_meta.TransferSyntaxUID = profile.transfer_syntax_uid
                built.append(Built(kind, made))
    return built


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """What a builder builds from."""

    sources: tuple[Source, ...]
    exam: ExamFindings
    maker: Maker
    circumstances: Circumstances
    profile: Profile
    lightbox: Lightbox | None

    @property
    def pixels(self) -> Lightbox:
        """Return what shows the images."""
        if self.lightbox is None:
            raise ValueError("no pixels came with the headers, and a picture was asked for")
        return self.lightbox

    def with_lesions(self) -> Iterator[tuple[int, Source]]:
        """Return the images with findings, and their places."""
        for place, source in enumerate(self.sources, start=1):
            if source.lesions:
                yield place, source


def _cad_sr(order: Order) -> Iterator[Dataset]:
    yield cad_sr.cad_sr(
        order.sources,
        order.exam,
        order.maker,
        order.circumstances,
        order.profile.dialect,
        two_view=order.profile.two_view,
    )


def _measurement_reports(order: Order) -> Iterator[Dataset]:
    for place, _ in order.with_lesions():
        yield measurement_report.measurement_report(
            order.sources, order.exam, order.maker, order.circumstances, place
        )


def _segmentations(order: Order) -> Iterator[Dataset]:
    for place, source in order.with_lesions():
        if segmentation.has_mask(source):
            yield segmentation.segmentation(
                source,
                order.exam,
                order.maker,
                order.circumstances,
                place,
                order.profile.geometry,
            )


def _presentation_states(order: Order) -> Iterator[Dataset]:
    for place, source in order.with_lesions():
        yield presentation_state.presentation_state(
            source, order.exam, order.maker, order.circumstances, place, order.lightbox
        )


def _secondary_capture(order: Order) -> Iterator[Dataset]:
    yield secondary_capture.secondary_capture(
        order.sources, order.exam, order.maker, order.circumstances, order.pixels
    )


def _summary(order: Order) -> Iterator[Dataset]:
    yield summary.summary(order.sources, order.exam, order.maker, order.circumstances, order.pixels)


BUILDERS: dict[str, Callable[[Order], Iterator[Dataset]]] = {
    cad_sr.KIND: _cad_sr,
    measurement_report.KIND: _measurement_reports,
    segmentation.KIND: _segmentations,
    presentation_state.KIND: _presentation_states,
    secondary_capture.KIND: _secondary_capture,
    summary.KIND: _summary,
}
