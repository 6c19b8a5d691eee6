"""Every coded concept the reports use, once, with the context group or template it stands in.

SNOMED CT codes carry the retired SNOMED RT code too (PS3.16, annex on SRT mapping):
workstations older than 2019 know no other.
"""

from dataclasses import dataclass
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from inference.findings import Kind
from inference.mammogram import Projection, Side


@dataclass(frozen=True, slots=True)
class Concept:
    """A code, its scheme, what it means, and its SNOMED RT code where there is one."""

    value: str
    scheme: str
    meaning: str
    retired: str | None = None

    @property
    def code(self) -> Code:
        """Return the concept as pydicom and highdicom take it."""
        return Code(self.value, self.scheme, self.meaning)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a destination wants its codes spelled.

    Some workstations match retired SNOMED RT codes, some the part of a meaning before the colon.
    """

    snomed: Literal["SCT", "SRT"] = "SCT"
    short_meanings: bool = False


STANDARD = Dialect()


def item(concept: Concept, dialect: Dialect = STANDARD) -> Dataset:
    """Spell a concept as the item of a code sequence (PS3.3, section 8)."""
    spelled = Dataset()
    spelled.CodeValue, spelled.CodingSchemeDesignator = concept.value, concept.scheme
    if concept.retired is not None and dialect.snomed == "SRT":
        spelled.CodeValue, spelled.CodingSchemeDesignator = concept.retired, "SRT"
    meaning = concept.meaning
    spelled.CodeMeaning = meaning.split(":")[0] if dialect.short_meanings else meaning
    return spelled


def _dcm(value: str, meaning: str) -> Concept:
    return Concept(value, "DCM", meaning)


# TID 4000: the report and its parts
MAMMOGRAPHY_CAD_REPORT = _dcm("111036", "Mammography CAD Report")
IMAGE_LIBRARY = _dcm("111028", "Image Library")
FINDINGS_SUMMARY = _dcm("111017", "CAD Processing and Findings Summary")
INDIVIDUAL_IMPRESSION = _dcm("111034", "Individual Impression/Recommendation")
SUMMARY_OF_DETECTIONS = _dcm("111064", "Summary of Detections")
SUCCESSFUL_DETECTIONS = _dcm("111063", "Successful Detections")
FAILED_DETECTIONS = _dcm("111025", "Failed Detections")
DETECTION_PERFORMED = _dcm("111022", "Detection Performed")
SUMMARY_OF_ANALYSES = _dcm("111065", "Summary of Analyses")
SUCCESSFUL_ANALYSES = _dcm("111062", "Successful Analyses")
FAILED_ANALYSES = _dcm("111024", "Failed Analyses")
ANALYSIS_PERFORMED = _dcm("111004", "Analysis Performed")
OVERALL_IMPRESSION_ANALYSIS = _dcm(  # CID 6043
    "111234", "Overall Impression / Recommendation Analysis"
)

# TID 1204: language, CID 5000
LANGUAGE = _dcm("121049", "Language of Content Item and Descendants")
ENGLISH = Concept("en-US", "RFC5646", "English (United States)")

# TID 4020: the image library of a CAD report
IMAGE_LATERALITY = _dcm("111027", "Image Laterality")
IMAGE_VIEW = _dcm("111031", "Image View")
IMAGE_VIEW_MODIFIER = _dcm("111032", "Image View Modifier")
PATIENT_ORIENTATION_ROW = _dcm("111044", "Patient Orientation Row")
PATIENT_ORIENTATION_COLUMN = _dcm("111043", "Patient Orientation Column")
STUDY_DATE = _dcm("111060", "Study Date")
STUDY_TIME = _dcm("111061", "Study Time")
CONTENT_DATE = _dcm("111018", "Content Date")
CONTENT_TIME = _dcm("111019", "Content Time")
HORIZONTAL_PIXEL_SPACING = _dcm("111026", "Horizontal Pixel Spacing")
VERTICAL_PIXEL_SPACING = _dcm("111066", "Vertical Pixel Spacing")

# CID 6022: which breast, for images
BREASTS = {
    Side.LEFT: Concept("80248007", "SCT", "Left breast", "T-04030"),
    Side.RIGHT: Concept("73056007", "SCT", "Right breast", "T-04020"),
}
# CID 4014: views
VIEWS = {
    Projection.CC: Concept("399162004", "SCT", "cranio-caudal", "R-10242"),
    Projection.MLO: Concept("399368009", "SCT", "medio-lateral oblique", "R-10226"),
}
# CID 244: laterality of a finding site
SIDES = {
    Side.LEFT: Concept("7771000", "SCT", "Left", "G-A101"),
    Side.RIGHT: Concept("24028007", "SCT", "Right", "G-A100"),
}
BREAST = Concept("76752008", "SCT", "Breast", "T-04000")  # CID 4 and CID 4031

# CID 6047: the answer of a CAD report in one code
ANSWERS = {  # by whether something could not be read, and whether something was found
    (False, True): _dcm("111242", "All algorithms succeeded; with findings"),
    (False, False): _dcm("111241", "All algorithms succeeded; without findings"),
    (True, True): _dcm("111244", "Not all algorithms succeeded; with findings"),
    (True, False): _dcm("111243", "Not all algorithms succeeded; without findings"),
}
NONE_SUCCEEDED = _dcm("111245", "No algorithms succeeded; without findings")
# CID 6042: status
SUCCEEDED = _dcm("111222", "Succeeded")
PARTIALLY_SUCCEEDED = _dcm("111223", "Partially Succeeded")
FAILED = _dcm("111224", "Failed")
NOT_ATTEMPTED = _dcm("111225", "Not Attempted")
# CID 6034: rendering intent
RENDERING_INTENT = _dcm("111056", "Rendering Intent")
PRESENTATION_REQUIRED = _dcm(
    "111150", "Presentation Required: Rendering device is expected to present"
)

# TID 4002: the impression of the whole exam
IMPRESSION_DESCRIPTION = _dcm("111033", "Impression Description")
CERTAINTY_OF_IMPRESSION = _dcm("111013", "Certainty of impression")

# TID 4006, TID 4010, TID 4021: one finding in one image
SINGLE_IMAGE_FINDING = _dcm("111059", "Single Image Finding")
CERTAINTY_OF_FINDING = _dcm("111012", "Certainty of Finding")
PROBABILITY_OF_CANCER = _dcm("111047", "Probability of cancer")
CENTER = _dcm("111010", "Center")
OUTLINE = _dcm("111041", "Outline")
AREA = Concept("42798000", "SCT", "Area", "G-A166")
# CID 6014. A mass is no member of this group ("Mammographic breast mass" stands in CID 6016,
# for composite features only); workstations draw density and calcification cluster.
DETECTIONS = {
    Kind.MASS: Concept("129793001", "SCT", "Mammography breast density", "F-01796"),
    Kind.CALCIFICATION: Concept("129769006", "SCT", "Calcification Cluster", "F-01775"),
}

# TID 4010: calcifications; CID 6012 has their distributions
NUMBER_OF_CALCIFICATIONS = _dcm("111038", "Number of calcifications")
CALCIFICATION_DISTRIBUTION = _dcm("111008", "Calcification Distribution")
GROUPED = Concept("129766004", "SCT", "Grouped calcification distribution", "F-01772")

# TID 4004, TID 4005: what several images show of one lesion
COMPOSITE_FEATURE = _dcm("111015", "Composite Feature")
COMPOSITE_TYPE = _dcm("111016", "Composite Type")
RELATED_SPATIALLY = _dcm("111154", "Target content items are related spatially")  # CID 6035
SCOPE_OF_FEATURE = _dcm("111057", "Scope of Feature")
ON_MULTIPLE_IMAGES = _dcm("111158", "Feature detected on multiple images")  # CID 6036
CERTAINTY_OF_FEATURE = _dcm("111011", "Certainty of Feature")

# TID 4019: which algorithm
ALGORITHM_NAME = _dcm("111001", "Algorithm Name")
ALGORITHM_VERSION = _dcm("111003", "Algorithm Version")
ALGORITHM_PARAMETERS = _dcm("111002", "Algorithm Parameters")
ALGORITHM_FAMILY = _dcm("111000", "Algorithm Family")
ARTIFICIAL_INTELLIGENCE = _dcm("123110", "Artificial Intelligence")  # CID 7162

# TID 4108: the same lesion in several objects
TRACKING_IDENTIFIER = _dcm("112039", "Tracking Identifier")
TRACKING_UNIQUE_IDENTIFIER = _dcm("112040", "Tracking Unique Identifier")

# TID 1500, TID 1410: the measurement report
IMAGING_MEASUREMENT_REPORT = _dcm("126000", "Imaging Measurement Report")
MEASUREMENT_GROUP = _dcm("125007", "Measurement Group")
IMAGE_REGION = _dcm("111030", "Image Region")
FINDING = _dcm("121071", "Finding")
DEVICE = _dcm("121007", "Device")  # CID 270
PROCEDURE_REPORTED = _dcm("121058", "Procedure reported")
IMAGE_LIBRARY_GROUP = _dcm("126200", "Image Library Group")
IMAGING_MEASUREMENTS = _dcm("126010", "Imaging Measurements")
SOURCE = Concept("260753009", "SCT", "Source")
FRAME_OF_REFERENCE_UID = _dcm("112227", "Frame of Reference UID")
MODALITY = _dcm("121139", "Modality")
MAMMOGRAPHY = _dcm("MG", "Mammography")
PIXEL_DATA_ROWS = _dcm("110910", "Pixel Data Rows")
PIXEL_DATA_COLUMNS = _dcm("110911", "Pixel Data Columns")
FINDING_SITE = Concept("363698007", "SCT", "Finding Site")
LATERALITY = Concept("272741003", "SCT", "Laterality")
IMAGING_PROCEDURE = Concept("363679005", "SCT", "Imaging procedure", "P0-0099A")  # CID 100
QUALITATIVE_EVALUATIONS = Concept("C0034375", "UMLS", "Qualitative Evaluations")
COMMENT = _dcm("121106", "Comment")
LESIONS = {
    Kind.MASS: Concept("129788004", "SCT", "Mammographic breast mass", "F-01791"),
    Kind.CALCIFICATION: DETECTIONS[Kind.CALCIFICATION],
}

# TID 2010: a key object selection; CID 7010 has its titles. Retention that ran out (113039) is the
# archive's own affair, and a result has no place in it.
REJECTIONS = {
    "113001": _dcm("113001", "Rejected for Quality Reasons"),
    "113037": _dcm("113037", "Rejected for Patient Safety Reasons"),
    "113038": _dcm("113038", "Incorrect Modality Worklist Entry"),
}
KEY_OBJECT_DESCRIPTION = _dcm("113012", "Key Object Description")

# TID 1002, TID 1004: who observed
OBSERVER_TYPE = _dcm("121005", "Observer Type")
DEVICE_OBSERVER_UID = _dcm("121012", "Device Observer UID")
DEVICE_OBSERVER_NAME = _dcm("121013", "Device Observer Name")
DEVICE_OBSERVER_MANUFACTURER = _dcm("121014", "Device Observer Manufacturer")
DEVICE_OBSERVER_MODEL = _dcm("121015", "Device Observer Model Name")
DEVICE_OBSERVER_SERIAL = _dcm("121016", "Device Observer Serial Number")

# Segmentation: CID 7150 (category), CID 7159 (type)
ABNORMAL_STRUCTURE = Concept("49755003", "SCT", "Morphologically Abnormal Structure", "M-01000")
SEGMENTS = {
    Kind.MASS: LESIONS[Kind.MASS],
    Kind.CALCIFICATION: Concept(
        "129748009", "SCT", "Radiographic calcification finding", "F-01760"
    ),
}
# CID 7203 and CID 7202: what a segmentation was made of, and how
SEGMENTATION = _dcm("113076", "Segmentation")
SOURCE_IMAGE = _dcm("121322", "Source image for image processing operation")
# CID 7005: other equipment that had a part in an object
ACQUISITION_EQUIPMENT = _dcm("109101", "Acquisition Equipment")
PROCESSING_EQUIPMENT = _dcm("109102", "Processing Equipment")

# Units
MILLIMETER = Concept("mm", "UCUM", "mm")
PIXELS = Concept("{pixels}", "UCUM", "Pixels")
NO_UNITS = Concept("1", "UCUM", "no units")
PERCENT = Concept("%", "UCUM", "Percent")
MICROMETER = Concept("um", "UCUM", "micrometer")
SQUARE_MILLIMETER = Concept("mm2", "UCUM", "Square millimeter")
