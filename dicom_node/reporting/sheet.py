"""The sheet of an exam: its four views with the marks, for objects that are pictures."""

from collections.abc import Callable, Mapping, Sequence

from PIL import Image

from dicom_node.reporting import drawing
from dicom_node.reporting.drawing import INK, Mark
from dicom_node.reporting.labels import label, percent
from dicom_node.reporting.lightbox import Lightbox, Shown
from dicom_node.reporting.sources import Lesion, Source
from inference.findings import ExamFindings

Labels = Callable[[Lesion], tuple[str, ...]]


def views(sources: Sequence[Source], pictures: Mapping[str, Shown], labels: Labels) -> Image.Image:
    """Hang the views that were read, each mark with its label."""
    tiles = {
        source.name: drawing.tile(pictures[source.name], marks(source, labels))
        for source in sources
    }
    return drawing.hang(tiles, {source.name: caption(source) for source in sources})


def pictures(sources: Sequence[Source], lightbox: Lightbox) -> dict[str, Shown]:
    """Show each view by its name."""
    return {source.name: lightbox.shown(source.view.sop_instance_uid) for source in sources}


def full(exam: ExamFindings) -> Labels:
    """Say of a lesion its name, its scores and who saw it."""
    return lambda lesion: label(lesion, exam)


def marks(source: Source, labels: Labels) -> list[Mark]:
    """Return what is drawn on a view."""
    return [
        Mark(lesion.outline, labels(lesion), INK[lesion.finding.kind]) for lesion in source.lesions
    ]


def caption(source: Source) -> str:
    """Name a view, with its score where it has one."""
    score = source.view.cancer_score
    return source.name if score is None else f"{source.name}: score {percent(score)}"
