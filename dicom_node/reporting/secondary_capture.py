"""Secondary capture: the four views with the marks drawn in, as a picture (PS3.3, A.8).

One sheet an exam, because it says everything in one form: what was found in which view, that
nothing was found, which view was not read, and who says so. Every viewer shows a picture; none
takes one of four reduced views for a mammogram.
"""

from collections.abc import Sequence

from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_node.reporting import codes, drawing, frame, sheet
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.labels import MARKING, outcome
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.sources import Source, edition_words
from dicom_node.reporting.words import impression
from inference.findings import ExamFindings

KIND = "secondary_capture"
TITLE_SIZE = 30
TEXT_SIZE = 22
MAX_LT = 10240  # characters of a long text
LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


def secondary_capture(
    sources: Sequence[Source],
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    lightbox: Lightbox,
) -> Dataset:
    """Show an exam on one sheet; highdicom's class refuses the orientation of an MLO view."""
    first = sources[0].header
    names = (
        KIND,
        first.StudyInstanceUID,
        circumstances.round,
        edition_words(exam, circumstances.edition),
    )
    series = (frame.SECONDARY_CAPTURE_NUMBER, "picture")
    dataset = frame.begun(names, SecondaryCaptureImageStorage, series, first, maker, circumstances)
    dataset.update(derived(sources))
    said = impression(sources, exam, maker, circumstances)[:MAX_LT]
    dataset.ImageComments = said
    views = sheet.views(sources, sheet.pictures(sources, lightbox), sheet.full(exam))
    top = heading(views.width, exam, circumstances.given)
    picture = drawing.stacked([top, views, footing(views.width, said, made_by(dataset))])
    dataset.Rows, dataset.Columns = picture.height, picture.width
    content = picture.tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    frame.stamp(dataset, circumstances.made_at)
    frame.seal(dataset)
    return dataset


def derived(sources: Sequence[Source]) -> Dataset:
    """Say what kind of picture it is, and what it was made of."""
    dataset = Dataset()
    dataset.Modality = "OT"
    dataset.ConversionType = "WSD"  # made at a workstation, of digital images
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = None  # of a sheet of four views there is none
    dataset.Laterality = ""  # both breasts
    dataset.BurnedInAnnotation = "YES"
    dataset.DerivationDescription = "Views reduced in size, with AI marks drawn into them"
    dataset.SourceImageSequence = [_reference(source) for source in sources]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration, dataset.PixelRepresentation = 0, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    _tell_losses(sources, dataset)
    return dataset


def made_by(dataset: Dataset) -> str:
    """Name who made an object, as the object does."""
    return f"{dataset.Manufacturer} {dataset.ManufacturerModelName} {dataset.SoftwareVersions}"


def heading(width: int, exam: ExamFindings, given: float | None = None) -> Image.Image:
    """Write what this is, and what came out."""
    return drawing.strip(width, [MARKING, outcome(exam, given)], TITLE_SIZE)


def footing(width: int, said: str, maker: str) -> Image.Image:
    """Write the impression, and who made it."""
    return drawing.strip(width, [said, maker], TEXT_SIZE)


def _reference(source: Source) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.header.SOPClassUID
    item.ReferencedSOPInstanceUID = source.header.SOPInstanceUID
    item.PurposeOfReferenceCodeSequence = [codes.item(codes.SOURCE_IMAGE)]
    return item


def _tell_losses(sources: Sequence[Source], dataset: Dataset) -> None:
    """Say so where a view had been compressed with losses."""
    dataset.LossyImageCompression = "00"
    for source in sources:
        if source.header.get("LossyImageCompression") == "01":
            for keyword in LOSSY:
                if source.header.get(keyword):
                    dataset[keyword] = source.header[keyword]
