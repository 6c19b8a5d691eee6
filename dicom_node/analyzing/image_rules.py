"""The rules that an image's header answers. Each says what is wrong, or nothing.

The order is that of the table in docs/administration.md: the first rule that is broken gives an
image its code. What a sentence quotes is a word of the standard or a number, never a text that
might name somebody.
"""

from collections.abc import Callable

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from dicom_node import facts
from dicom_node.analyzing.own_rules import OWN, own_fault
from dicom_node.analyzing.rules import Rule, Terms
from dicom_node.facts import says, shown, text, words
from dicom_node.vocabulary import (
    CONTRAST,
    IMPLANT_DISPLACED,
    IN_WORDS,
    KINDS,
    NEVER_READ,
)

BITS_ALLOCATED, BITS_STORED_MAX = 16, 16
IDENTIFIERS = (
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "StudyDate",
)
SINGLE = ("PatientName", "PatientID", "AccessionNumber", "StudyID")
DEVICE = ("Manufacturer", "ManufacturerModelName")
LOSSY_SYNTAXES = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless}
DETECTORS = {"FILM": "a digitized film", "STORAGE": "from a storage phosphor plate"}
TOMOSYNTHESIS = "tomosynthesis"

Fault = Callable[[Dataset, Terms], str]


def _sop_class(header: Dataset, terms: Terms) -> str:
    said = UID(text(header, "SOPClassUID"))
    kind = KINDS.get(said, "")
    if kind in {"mammogram", *terms.reads}:
        return ""
    known = said.name != str(said)  # pydicom has a name for it
    named = f"a {facts.class_name(said)}" if known else "an object of an unknown class"
    return f"this is {IN_WORDS.get(kind) or f'{named}, not a For Presentation mammogram'}"


def _modality(header: Dataset, _: Terms) -> str:
    said = says(header, "Modality")
    return "" if said == "MG" else f"Modality is {shown(said)}, not MG"


def _intent(header: Dataset, terms: Terms) -> str:
    said = says(header, "PresentationIntentType")
    raw_is_read = "for_processing" in terms.reads and said == "FOR PROCESSING"
    fine = raw_is_read or said in {"", "FOR PRESENTATION"}
    return "" if fine else f"PresentationIntentType is {shown(said)}"


def _body_part(header: Dataset, terms: Terms) -> str:
    said, wanted = says(header, "BodyPartExamined"), terms.accept.body_parts
    fine = said in {"", *(part.strip().upper() for part in wanted)}
    return "" if fine else f"BodyPartExamined is {shown(said)}, not {' or '.join(wanted)}"


def _identified(header: Dataset, terms: Terms) -> str:
    asked = IDENTIFIERS if terms.accept.unnamed_devices else IDENTIFIERS + DEVICE
    missing = [keyword for keyword in asked if not text(header, keyword)]
    if missing:
        return f"missing or blank: {', '.join(missing)}"
    # A backslash divides values: such a name or number cannot be copied into a report as it is.
    divided = [keyword for keyword in SINGLE if isinstance(header.get(keyword), MultiValue)]
    return f"a backslash divides what has to be one value: {', '.join(divided)}" if divided else ""


def _image_type(header: Dataset, terms: Terms) -> str:
    aside = facts.aside_words(header)
    if aside:
        return f"ImageType says {aside[0]}: this is a scout or stereo image"
    synthetic = facts.kind(header) == "synthetic_2d"
    if synthetic and not (terms.accept.synthetic_2d or "synthetic_2d" in terms.reads):
        return "this is a synthetic 2D image; analyzing.accept.synthetic_2d is false"
    return ""


def _quality_control(header: Dataset, _: Terms) -> str:
    return "QualityControlImage is YES" if says(header, "QualityControlImage") == "YES" else ""


def _lossless(header: Dataset, terms: Terms) -> str:
    lossy = text(header, "LossyImageCompression") == "01" or _syntax(header) in LOSSY_SYNTAXES
    return "it was compressed with loss" if lossy and not terms.accept.lossy else ""


def _syntax(header: Dataset) -> str:
    return str(getattr(header, "file_meta", Dataset()).get("TransferSyntaxUID") or "")


def _size(header: Dataset, terms: Terms) -> str:
    accept = terms.accept
    rows, columns = header.get("Rows"), header.get("Columns")
    if not rows or not columns:
        return "Rows or Columns is missing"
    frames = int(text(header, "NumberOfFrames") or 1)
    volume_is_read = TOMOSYNTHESIS in terms.reads and facts.kind(header) == TOMOSYNTHESIS
    if frames != 1 and not volume_is_read:
        return f"it has {frames} frames, not one"
    if not all(accept.rows_min <= int(edge) <= accept.rows_max for edge in (rows, columns)):
        wanted = f"{accept.rows_min} to {accept.rows_max}"
        return f"it has {int(rows)} x {int(columns)} pixels; each side must be {wanted}"
    return ""


def _pixel_format(header: Dataset, terms: Terms) -> str:
    photometric = says(header, "PhotometricInterpretation")
    if photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        return f"PhotometricInterpretation is {shown(photometric)}, not MONOCHROME1 or 2"
    samples, allocated = header.get("SamplesPerPixel", 1), header.get("BitsAllocated")
    if samples != 1 or allocated != BITS_ALLOCATED:
        return "it does not have one sample of 16 allocated bits a pixel"
    stored, least = header.get("BitsStored"), terms.accept.bits_stored_min
    if stored is None:
        return "BitsStored is missing"
    if int(stored) not in range(least, BITS_STORED_MAX + 1):
        return f"BitsStored is {int(stored)}, not {least} to {BITS_STORED_MAX}"
    return ""


def _laterality(header: Dataset, _: Terms) -> str:
    said = facts.sides(header)
    if len(set(said.values())) > 1:
        return " but ".join(f"{place} is {shown(side)}" for place, side in said.items())
    side = next(iter(said.values()), "")
    if side == "B":
        return "laterality is B: both breasts are in one image"
    return "" if side in {"L", "R"} else f"laterality is {shown(side)}, not L or R"


def _view(header: Dataset, _: Terms) -> str:
    named = facts.views(header)
    if len(named) > 1:
        return f"ViewCodeSequence has {len(named)} items, not one"
    projection = facts.projection(header)
    if not projection:
        return f"the view is {named[0] if named else 'missing'}, not CC or MLO"
    position = says(header, "ViewPosition")
    if position in facts.POSITIONS and position != projection:
        return f"ViewCodeSequence says {projection} but ViewPosition is {position}"
    return ""


def _modifiers(header: Dataset, terms: Terms) -> str:
    allowed = {*terms.accept.modifiers, *([IMPLANT_DISPLACED] * terms.accept.implant_displaced)}
    for modifier in facts.modifiers(header):
        if modifier not in allowed or modifier in NEVER_READ:
            return f"the view is modified: {modifier.replace('_', ' ')}"
    factor = facts.number(header, "EstimatedRadiographicMagnificationFactor")
    # A factor that is no number is not below the limit either.
    if factor is not None and not factor <= terms.accept.magnification_max:
        return f"it is magnified {factor:.2f} times"
    return ""


def _whole_breast(header: Dataset, terms: Terms) -> str:
    partial = says(header, "PartialView") == "YES" or bool(header.get("PartialViewCodeSequence"))
    return "it is a partial view" if partial and not terms.accept.partial_views else ""


def _implant(header: Dataset, terms: Terms) -> str:
    if says(header, "BreastImplantPresent") != "YES":
        return ""
    accept = terms.accept
    displaced = IMPLANT_DISPLACED in facts.modifiers(header)
    if accept.implant_displaced if displaced else accept.implants:
        return ""
    return f"BreastImplantPresent is YES{'' if displaced else ', and the implant is not displaced'}"


def _exposed(header: Dataset, _: Terms) -> str:
    said = says(header, "ExposureStatus")
    return "" if said in {"", "NORMAL"} else f"ExposureStatus is {shown(said)}, not NORMAL"


def _ordinary_series(header: Dataset, terms: Terms) -> str:
    found = facts.described(header, terms.accept.declined_series)
    return f"the series is described as {found}" if found else ""


def _decodable(header: Dataset, _: Terms) -> str:
    syntax = _syntax(header)
    if not syntax:  # a data set that never was a file says nothing, and is decoded as it is
        return ""
    try:
        known = get_decoder(syntax).is_available
    except NotImplementedError:
        known = False
    return "" if known else "its transfer syntax cannot be decoded here"


def _detector(header: Dataset, terms: Terms) -> str:
    said = says(header, "DetectorType")
    if not said and says(header, "ConversionType") == "DF":
        said = "FILM"
    if said in terms.accept.detectors:
        return ""
    return f"it is {DETECTORS.get(said, f'from a detector whose type is {shown(said)}')}"


def _manufacturer(header: Dataset, terms: Terms) -> str:
    said, wanted = says(header, "Manufacturer"), terms.accept.manufacturers
    fine = not wanted or any(one.strip().upper() in said for one in wanted)
    return "" if fine else "its manufacturer is not among analyzing.accept.manufacturers"


def _no_contrast(header: Dataset, terms: Terms) -> str:
    if terms.accept.contrast:
        return ""
    if text(header, "ContrastBolusAgent") or header.get("ContrastBolusAgentSequence"):
        return "it was taken with a contrast agent"
    said = words(header, "ImageType")
    found = [word for word in CONTRAST if any(word in one for one in said)]
    return f"ImageType says {found[0]}: this is contrast mammography" if found else ""


def _nothing_burned_in(header: Dataset, terms: Terms) -> str:
    if terms.accept.burned_in or "YES" not in words(header, "BurnedInAnnotation"):
        return ""
    return (
        "BurnedInAnnotation is YES: its pixels may name the patient; "
        "analyzing.accept.burned_in is false"
    )


def _own(header: Dataset, terms: Terms) -> str:
    return own_fault(header, terms.accept.rules)


IMAGE_RULES: dict[Rule, Fault] = {
    Rule(
        "I01",
        "kind of object",
        "it is a Digital Mammography image For Presentation, or of a kind that the bundle's card "
        "names under `reads`; not For Processing, tomosynthesis, secondary capture or another",
        "a raw image, a tomosynthesis, a scan or another object that the model does not read",
    ): _sop_class,
    Rule("I02", "modality", "Modality is MG", "an image of another modality"): _modality,
    Rule(
        "I03",
        "intent",
        "PresentationIntentType is FOR PRESENTATION, or missing",
        "a raw image, not processed for reading",
    ): _intent,
    Rule(
        "I04",
        "body part",
        "BodyPartExamined is BREAST or another that you name, or missing",
        "an image of another part of the body",
        ("body_parts",),
    ): _body_part,
    Rule(
        "I05",
        "identified",
        "its UIDs, PatientID, StudyDate, Manufacturer and ManufacturerModelName are there and not "
        "blank; the patient's name and the numbers of patient, study and request hold no backslash",
        "an image that does not say whose it is, or what device made it",
        ("unnamed_devices",),
    ): _identified,
    Rule(
        "I06",
        "type of image",
        "it is no scout and no stereo image, and no synthetic 2D image",
        "a scout, a stereo pair, or a 2D image computed from a tomosynthesis",
        ("synthetic_2d",),
    ): _image_type,
    Rule(
        "I07",
        "quality control",
        "it is no quality control image",
        "a test image of the device",
    ): _quality_control,
    Rule(
        "I08",
        "loss",
        "it was not compressed with loss",
        "an image that was compressed with loss",
        ("lossy",),
    ): _lossless,
    Rule(
        "I09",
        "size",
        "it has one frame, and rows and columns within limits",
        "an image of several frames, or of an unusual size",
        ("rows_min", "rows_max"),
    ): _size,
    Rule(
        "I10",
        "pixel format",
        "it is MONOCHROME1 or MONOCHROME2, with one sample of 16 allocated bits, enough of them "
        "stored",
        "an image in color or with too few shades of grey",
        ("bits_stored_min",),
    ): _pixel_format,
    Rule(
        "I11",
        "side",
        "it shows the left or the right breast, and no two places of the header contradict each "
        "other",
        "an image that does not say which breast it shows, or shows both",
    ): _laterality,
    Rule(
        "I12",
        "view",
        "it is one view, CC or MLO, by ViewCodeSequence or else by ViewPosition, and these do not "
        "contradict each other",
        "a view other than CC and MLO",
    ): _view,
    Rule(
        "I13",
        "modified view",
        "the view has no modifier but those that you allow, and is not magnified; spot compression "
        "and magnification are always left out",
        "a magnified, spot, rolled or otherwise special view",
        ("modifiers", "implant_displaced", "magnification_max"),
    ): _modifiers,
    Rule(
        "I14",
        "whole breast",
        "it is no partial view",
        "a view of a part of the breast",
        ("partial_views",),
    ): _whole_breast,
    Rule(
        "I15",
        "implant",
        "BreastImplantPresent is not YES",
        "a breast with an implant",
        ("implants", "implant_displaced"),
    ): _implant,
    Rule(
        "I16",
        "exposure",
        "ExposureStatus is NORMAL, or missing",
        "an exposure that was broken off",
    ): _exposed,
    Rule(
        "I17",
        "series",
        "its series is not described as special: low energy, subtracted, specimen, biopsy, wire, "
        "stereo, spot, magnified and the like",
        "a special series: contrast, biopsy, specimen, wire, spot or magnified, by its description",
        ("declined_series",),
    ): _ordinary_series,
    Rule(
        "I19",
        "transfer syntax",
        "its transfer syntax can be decoded",
        "an image in a format that cannot be opened",
    ): _decodable,
    Rule(
        "I20",
        "detector",
        "DetectorType is among those that you accept; FILM is a digitized film, STORAGE a plate",
        "a digitized film, or another kind of detector that is not read here",
        ("detectors",),
    ): _detector,
    Rule(
        "I21",
        "manufacturer",
        "its manufacturer is among those that you name, if you name any",
        "an image of a device that is not read here",
        ("manufacturers",),
    ): _manufacturer,
    Rule(
        "I22",
        "contrast",
        "it was taken without a contrast agent",
        "contrast mammography",
        ("contrast",),
    ): _no_contrast,
    Rule(
        "I24",
        "burned in",
        "BurnedInAnnotation is NO, or missing",
        "an image whose own pixels are said to name the patient",
        ("burned_in",),
    ): _nothing_burned_in,
    OWN: _own,
}
