"""The notice as a picture, for whoever looks at pictures and draws no report.

There silence would be taken for a study without findings. The picture holds words alone: nothing
was read, and nothing of the images is shown.
"""

from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_node.reporting import drawing, frame
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.labels import MARKING
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.notice import Ending, told
from dicom_node.reporting.secondary_capture import MAX_LT, TEXT_SIZE, TITLE_SIZE, made_by

KIND = "notice_picture"
TITLE = "NOT ANALYZED"
WIDTH = 1200


def notice_picture(ending: Ending, maker: Maker, circumstances: Circumstances) -> Dataset:
    """Say on a picture that a study was not analyzed, and why."""
    first = ending.headers[0]
    made_of = f"{ending.state}/{ending.reason}/{circumstances.edition}"
    names = (KIND, str(first.StudyInstanceUID), circumstances.round, made_of)
    series = (frame.SECONDARY_CAPTURE_NUMBER, "picture, not analyzed")
    dataset = frame.begun(names, SecondaryCaptureImageStorage, series, first, maker, circumstances)
    dataset.update(described())
    words = (maker.research_statement, *told(ending, circumstances))
    dataset.ImageComments = " ".join(words)[:MAX_LT]
    picture = drawn(dataset)
    dataset.Rows, dataset.Columns = picture.height, picture.width
    content = picture.tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    frame.stamp(dataset, circumstances.made_at)
    frame.seal(dataset)
    return dataset


def described() -> Dataset:
    """Say what kind of picture it is: a page of words, of no breast and of no side."""
    dataset = Dataset()
    dataset.Modality = "OT"
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = None
    dataset.Laterality = ""
    dataset.BurnedInAnnotation = "NO"  # of the words, none names the patient
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration, dataset.PixelRepresentation = 0, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    return dataset


def drawn(dataset: Dataset) -> Image.Image:
    """Write what the object says, and who made it."""
    return drawing.stacked(
        [
            drawing.strip(WIDTH, [MARKING, TITLE], TITLE_SIZE),
            drawing.strip(WIDTH, [str(dataset.ImageComments), made_by(dataset)], TEXT_SIZE),
        ]
    )
