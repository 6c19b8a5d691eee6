"""Grayscale softcopy presentation state of one image: outlines over it (PS3.3, A.33.1).

Viewers draw it that know nothing of CAD reports. It replaces the whole way in which the image is
shown, so it repeats the image's own: a presentation state that forgets the window changes what
the radiologist sees.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from dicom_node.reporting import frame, naming
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.labels import label
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.outline import Point
from dicom_node.reporting.shown import of_a_cut
from dicom_node.reporting.sources import Lesion, Source, edition_words
from inference.findings import ExamFindings
from inference.mammogram import GreyScale

KIND = "presentation_state"
LAYER = "AI"
COLOR = CIELabColor(75.0, 20.0, 70.0)  # orange: seen on black and on white breast alike
PAPER_WHITE = 0xFFFF
WHOLE_BITS = 16
MODALITY = ("ModalityLUTSequence", "RescaleIntercept", "RescaleSlope", "RescaleType")
LABEL_ROOM = (0.35, 0.06)  # of the image's columns and rows
STATEMENT_BOX = ([0.02, 0.955], [0.98, 0.995])  # of the display: a line at its foot


def presentation_state(
    source: Source,
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    place: int,
    lightbox: Lightbox | None = None,
) -> Dataset:
    """Draw the findings of one image in a layer of their own."""
    header = source.header
    names = (
        KIND,
        header.StudyInstanceUID,
        circumstances.round,
        edition_words(exam, circumstances.edition),
        header.SOPInstanceUID,
    )
    words = frame.series_description(f"presentation {source.name}", circumstances.round)
    dataset = Dataset()
    dataset.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    dataset.SOPInstanceUID = naming.instance_uid(*names)
    frame.copy_patient_and_study(header, dataset)
    frame.sign(dataset, maker)
    dataset.Modality = "PR"
    dataset.SeriesInstanceUID = naming.series_uid(*names)
    first = frame.PRESENTATION_STATE_NUMBER + place
    dataset.SeriesNumber = frame.series_number(first, circumstances.round)
    dataset.SeriesDescription = words
    dataset.InstanceNumber = circumstances.round
    dataset.ContentDescription = words
    statement = " ".join((maker.research_statement, *of_a_cut(circumstances.remarks)))
    dataset.update(presented(source, exam, statement, lightbox))
    frame.stamp(dataset, circumstances.made_at)
    dataset.PresentationCreationDate = dataset.ContentDate
    dataset.PresentationCreationTime = dataset.ContentTime
    del dataset.ContentDate, dataset.ContentTime
    frame.seal(dataset)
    return dataset


def presented(
    source: Source, exam: ExamFindings, statement: str, lightbox: Lightbox | None
) -> Dataset:
    """Say how the image is shown, and what is drawn over it."""
    header, dataset = source.header, Dataset()
    dataset.ContentLabel = "AI_FINDINGS"
    dataset.ContentCreatorName = ""
    dataset.Laterality = source.view.side.value
    dataset.ReferencedSeriesSequence = [_series(header)]
    dataset.DisplayedAreaSelectionSequence = [_whole(header)]
    dataset.GraphicLayerSequence = [_layer()]
    dataset.GraphicAnnotationSequence = [_annotation(source, exam, statement)]
    for keyword in MODALITY:
        if keyword in header:
            dataset[keyword] = header[keyword]
    if "RescaleSlope" in dataset and not dataset.get("RescaleType"):
        dataset.RescaleType = "US"  # the standard's word for "unspecified"
    dataset.SoftcopyVOILUTSequence = [_values_of_interest(header, lightbox)]
    dataset.PresentationLUTShape = "INVERSE" if is_inverse(header) else "IDENTITY"
    return dataset


def is_inverse(header: Dataset) -> bool:
    """Say whether low values are bright; some devices say it in one of two places only."""
    return (
        header.PhotometricInterpretation == "MONOCHROME1"
        or str(header.get("PresentationLUTShape") or "").strip().upper() == "INVERSE"
    )


def _series(header: Dataset) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = header.SeriesInstanceUID
    item.ReferencedImageSequence = [_image(header)]
    return item


def _image(header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item


def _whole(header: Dataset) -> Dataset:
    """Show the whole image; here DICOM counts pixels from 1."""
    item = Dataset()
    item.ReferencedImageSequence = [_image(header)]
    item.DisplayedAreaTopLeftHandCorner = [1, 1]
    item.DisplayedAreaBottomRightHandCorner = [header.Columns, header.Rows]
    item.PresentationSizeMode = "SCALE TO FIT"
    item.PresentationPixelAspectRatio = [1, 1]
    return item


def _layer() -> Dataset:
    item = Dataset()
    item.GraphicLayer = LAYER
    item.GraphicLayerOrder = 1
    item.GraphicLayerRecommendedDisplayGrayscaleValue = PAPER_WHITE
    item.GraphicLayerRecommendedDisplayCIELabValue = list(COLOR.value)
    item.GraphicLayerDescription = "AI findings, research use only"
    return item


def _annotation(source: Source, exam: ExamFindings, statement: str) -> Dataset:
    item = Dataset()
    item.ReferencedImageSequence = [_image(source.header)]
    item.GraphicLayer = LAYER
    item.GraphicObjectSequence = [_outline(lesion) for lesion in source.lesions]
    item.TextObjectSequence = [*_labels(source, exam), _statement(statement)]
    return item


def _outline(lesion: Lesion) -> Dataset:
    item = Dataset()
    item.GraphicAnnotationUnits = "PIXEL"
    item.GraphicDimensions = 2
    item.NumberOfGraphicPoints = len(lesion.outline)
    item.GraphicData = [number for point in lesion.outline for number in point]
    item.GraphicType = "POLYLINE"
    item.GraphicFilled = "N"
    item.TrackingID = lesion.name
    item.TrackingUID = lesion.uid
    return item


def _labels(source: Source, exam: ExamFindings) -> Iterator[Dataset]:
    """Write beside each outline what it is."""
    for lesion, anchor in zip(source.lesions, anchors(source), strict=True):
        item = Dataset()
        item.AnchorPointAnnotationUnits = "PIXEL"
        item.UnformattedTextValue = text_of(label(lesion, exam))
        item.AnchorPoint = list(anchor)
        item.AnchorPointVisibility = "N"
        item.TrackingID = lesion.name
        item.TrackingUID = lesion.uid
        yield item


def anchors(source: Source) -> list[Point]:
    """Say where each label begins: at the outline's side that faces away from the chest wall.

    How large a viewer writes is its own affair; the room is what one took for three lines.
    """
    rows, columns = int(source.header.Rows), int(source.header.Columns)
    towards = source.header.get("PatientOrientation") or ("",)
    leftwards = str(towards[0]).startswith("P")  # rows run to the chest wall
    taken: list[Point] = []
    found: dict[int, Point] = {}
    for number, lesion in sorted(enumerate(source.lesions), key=lambda pair: _top(pair[1])):
        left = min(column for column, _ in lesion.outline) - LABEL_ROOM[0] * columns
        right = max(column for column, _ in lesion.outline)
        column, row = (left if leftwards and left >= 0 else right), _top(lesion)
        for other in taken:  # from top to bottom
            beside = abs(other[0] - column) > LABEL_ROOM[0] * columns
            if not beside and row < other[1] + LABEL_ROOM[1] * rows:
                row = other[1] + LABEL_ROOM[1] * rows
        taken.append((column, row))
        taken.sort(key=lambda place: place[1])
        found[number] = (round(column, 2), round(min(row, rows), 2))
    return [found[number] for number in range(len(found))]


def _top(lesion: Lesion) -> float:
    return min(row for _, row in lesion.outline)


def text_of(lines: Sequence[str]) -> str:
    """Join lines as an unformatted text has them (PS3.3, C.10.5.1.1)."""
    return "\r\n".join(lines)


def _statement(words: str) -> Dataset:
    item = Dataset()
    item.BoundingBoxAnnotationUnits = "DISPLAY"
    item.UnformattedTextValue = words
    item.BoundingBoxTopLeftHandCorner, item.BoundingBoxBottomRightHandCorner = STATEMENT_BOX
    item.BoundingBoxTextHorizontalJustification = "LEFT"
    return item


def _values_of_interest(header: Dataset, lightbox: Lightbox | None) -> Dataset:
    """Repeat the image's first window, or its table, or what the node made of the pixels."""
    item = Dataset()
    if has_window(header):
        for keyword in ("WindowCenter", "WindowWidth"):
            setattr(item, keyword, _first(header.get(keyword)))
        if explained := _first(header.get("WindowCenterWidthExplanation")):
            item.WindowCenterWidthExplanation = explained
        if function := str(header.get("VOILUTFunction") or "").strip().upper():
            item.VOILUTFunction = function
    elif header.get("VOILUTSequence"):
        item.VOILUTSequence = [_in_whole_bytes(header.VOILUTSequence[0])]
    elif lightbox is None:
        raise ValueError("the image says nothing of its window, and its pixels are not at hand")
    else:
        grey = lightbox.shown(str(header.SOPInstanceUID)).grey
        item.WindowCenter, item.WindowWidth = assumed_window(header, grey)
        item.VOILUTFunction = "LINEAR_EXACT"
    return item


def _in_whole_bytes(table: Dataset) -> Dataset:
    """Spread a table of 10 or 12 bits over 16: validators know those of 8 and 16 bits only."""
    length, first, bits = table.LUTDescriptor
    if bits in (8, WHOLE_BITS):
        return table
    data = table.LUTData
    entries = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.asarray(data)
    spread = np.rint(entries * (PAPER_WHITE / ((1 << bits) - 1))).astype("<u2")
    item = Dataset()
    item.add_new("LUTDescriptor", table["LUTDescriptor"].VR, [length, first, WHOLE_BITS])
    item.add_new("LUTData", "OW", spread.tobytes())
    if table.get("LUTExplanation"):
        item.LUTExplanation = table.LUTExplanation
    return item


def has_window(header: Dataset) -> bool:
    """Say whether the first window can be used (PS3.3, C.11.2.1.2)."""
    if "WindowCenter" not in header:
        return False
    exact = str(header.get("VOILUTFunction") or "LINEAR").strip().upper() != "LINEAR"
    width = float(str(_first(header.WindowWidth)))
    return width > 0 if exact else width >= 1


def assumed_window(header: Dataset, grey: GreyScale) -> tuple[str, str]:
    """Read center and width off a grey scale that was made from the pixels."""
    stored = np.arange(grey.first, grey.first + len(grey.table))
    values = np.asarray(apply_modality_lut(stored, header), dtype=np.float64)
    rising = 1.0 - grey.table if is_inverse(header) else grey.table
    inner = np.flatnonzero((rising > 0) & (rising < 1))
    low, high = inner[0], inner[-1]
    width = (values[high] - values[low]) / (float(rising[high]) - float(rising[low]))
    left = values[low] - float(rising[low]) * width
    return f"{left + width / 2:.6g}", f"{width:.6g}"


def _first(value: object) -> object:
    return value[0] if isinstance(value, MultiValue) and value else value
