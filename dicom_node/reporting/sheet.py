"""The sheet of an exam: its four views with the marks, for objects that are pictures."""

from collections.abc import Sequence

from PIL import Image

from dicom_node.reporting import drawing
from dicom_node.reporting.drawing import INK, Mark
from dicom_node.reporting.labels import label, percent
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.sources import Source
from inference.findings import ExamFindings


def views(sources: Sequence[Source], exam: ExamFindings, lightbox: Lightbox) -> Image.Image:
    """Hang the views that were read, each mark with its name, its scores and who saw it."""
    tiles = {
        source.name: drawing.tile(lightbox.shown(source.view.sop_instance_uid), marks(source, exam))
        for source in sources
    }
    return drawing.hang(tiles, {source.name: caption(source) for source in sources})


def marks(source: Source, exam: ExamFindings) -> list[Mark]:
    """Return what is drawn on a view."""
    return [
        Mark(lesion.outline, label(lesion, exam), INK[lesion.finding.kind])
        for lesion in source.lesions
    ]


def caption(source: Source) -> str:
    """Name a view, with its score where it has one."""
    score = source.view.cancer_score
    return source.name if score is None else f"{source.name}: cancer {percent(score)}"
