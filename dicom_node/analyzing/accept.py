"""Which images and studies may be read: rules, each with its code and its sentence.

An image that breaks a rule stays where it is and keeps its verdict; the study goes on with the
rest. A study that breaks a rule of the second table is DECLINED.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import (
    UID,
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from dicom_node.errors import Declined
from dicom_node.settings import Accept
from inference.mammogram import PROJECTIONS, Projection

MAXIMUM_MAGNIFICATION = 1.5
BITS_STORED = range(10, 17)
IMPLANT_DISPLACED = {"399209000", "R-102D5"}
ALWAYS_DECLINED_MODIFIERS = {
    "399163009": "magnification",
    "R-102D6": "magnification",
    "399055006": "spot compression",
    "R-102D7": "spot compression",
}
HARMLESS_MODIFIERS = {"442581004", "441752004", "442593008", "442580003"}  # positioning remarks
SPECIAL_SERIES = ("(LE)", "(HE)", "(DES)", "SPECIMEN", "BIOPSY", "WIRE", "STEREO")
IDENTIFIERS = (
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "StudyDate",
    "Manufacturer",
    "ManufacturerModelName",
)

LOSSY_SYNTAXES = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless}
UNREADABLE = (ArithmeticError, AttributeError, NotImplementedError, TypeError, ValueError)

Rule = Callable[[Dataset, Accept], str]
"""Return what is wrong with an image, or an empty text."""


def text(header: Dataset, keyword: str) -> str:
    """Return an attribute as stripped text; blank is the same as missing."""
    value = header.get(keyword)
    return "" if value is None else str(value).strip()


def _sop_class(header: Dataset, _: Accept) -> str:
    sop_class = text(header, "SOPClassUID")
    if sop_class == DigitalMammographyXRayImageStorageForPresentation:
        return ""
    if sop_class == DigitalMammographyXRayImageStorageForProcessing:
        return "this is a For Processing image; the network reads For Presentation images"
    if sop_class == BreastTomosynthesisImageStorage:
        return "this is a tomosynthesis; the network reads single projections"
    return f"this is a {UID(sop_class).name}, not a For Presentation mammogram"


def _modality(header: Dataset, _: Accept) -> str:
    said = text(header, "Modality")
    return "" if said == "MG" else f"Modality is {said or 'missing'}, not MG"


def _intent(header: Dataset, _: Accept) -> str:
    said = text(header, "PresentationIntentType")
    return "" if said in {"", "FOR PRESENTATION"} else f"PresentationIntentType is {said}"


def _body_part(header: Dataset, _: Accept) -> str:
    said = text(header, "BodyPartExamined")
    return "" if said in {"", "BREAST"} else f"BodyPartExamined is {said}, not BREAST"


def _identified(header: Dataset, _: Accept) -> str:
    missing = [keyword for keyword in IDENTIFIERS if not text(header, keyword)]
    return f"missing or blank: {', '.join(missing)}" if missing else ""


def _image_type(header: Dataset, accept: Accept) -> str:
    said = [str(value).upper() for value in header.get("ImageType") or []]
    if any("SCOUT" in value or "STEREO" in value for value in said):
        return f"ImageType {'/'.join(said)} is a scout or stereo image"
    synthetic = "GENERATED_2D" in said or "TOMOSYNTHESIS" in said
    if synthetic and not accept.synthetic_2d:
        return "this is a synthetic 2D image; analyzing.accept.synthetic_2d is false"
    return ""


def _quality_control(header: Dataset, _: Accept) -> str:
    return "QualityControlImage is YES" if text(header, "QualityControlImage") == "YES" else ""


def _lossless(header: Dataset, accept: Accept) -> str:
    said = text(header, "LossyImageCompression") == "01"
    syntax = getattr(header, "file_meta", Dataset()).get("TransferSyntaxUID")
    lossy = said or syntax in LOSSY_SYNTAXES
    return "it was compressed with loss" if lossy and not accept.lossy else ""


def _size(header: Dataset, accept: Accept) -> str:
    rows, columns = header.get("Rows"), header.get("Columns")
    if not rows or not columns:
        return "Rows or Columns is missing"
    if int(header.get("NumberOfFrames") or 1) != 1:
        return f"it has {header.NumberOfFrames} frames, not one"
    if not all(accept.rows_min <= edge <= accept.rows_max for edge in (rows, columns)):
        wanted = f"{accept.rows_min} to {accept.rows_max}"
        return f"it has {rows} x {columns} pixels; each side must be {wanted}"
    return ""


def _pixel_format(header: Dataset, _: Accept) -> str:
    photometric = text(header, "PhotometricInterpretation")
    if photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        return f"PhotometricInterpretation is {photometric or 'missing'}, not MONOCHROME1 or 2"
    if header.get("SamplesPerPixel", 1) != 1 or header.get("BitsAllocated") != 16:  # noqa: PLR2004
        return "it does not have one sample of 16 allocated bits a pixel"
    if header.get("BitsStored") not in BITS_STORED:
        return f"BitsStored is {header.get('BitsStored')}, not 10 to 16"
    return ""


def _laterality(header: Dataset, _: Accept) -> str:
    one, other = text(header, "ImageLaterality"), text(header, "Laterality")
    side = one or other
    if one and other and one != other:
        return f"ImageLaterality is {one} but Laterality is {other}"
    return "" if side in {"L", "R"} else f"laterality is {side or 'missing'}, not L or R"


def _view(header: Dataset, _: Accept) -> str:
    codes = header.get("ViewCodeSequence") or []
    if len(codes) > 1:
        return f"ViewCodeSequence has {len(codes)} items, not one"
    said = text(codes[0], "CodeValue") if codes else text(header, "ViewPosition")
    if said in PROJECTIONS or said in set(Projection):
        return ""
    meaning = text(codes[0], "CodeMeaning") if codes else said
    return f"the view is {meaning or 'missing'}, not CC or MLO"


def _modifiers(header: Dataset, accept: Accept) -> str:
    codes = list(header.get("ViewModifierCodeSequence") or [])
    for view in header.get("ViewCodeSequence") or []:
        codes += list(view.get("ViewModifierCodeSequence") or [])
    for code in codes:
        value = text(code, "CodeValue")
        displaced = value in IMPLANT_DISPLACED and accept.implant_displaced
        if not displaced and value not in HARMLESS_MODIFIERS:
            named = ALWAYS_DECLINED_MODIFIERS.get(value) or text(code, "CodeMeaning") or value
            return f"the view is modified: {named}"
    factor = header.get("EstimatedRadiographicMagnificationFactor")
    if factor is not None and float(factor) > MAXIMUM_MAGNIFICATION:
        return f"it is magnified {float(factor):.2f} times"
    return ""


def _whole_breast(header: Dataset, accept: Accept) -> str:
    partial = text(header, "PartialView") == "YES" and not accept.partial_views
    return "PartialView is YES" if partial else ""


def _implant(header: Dataset, accept: Accept) -> str:
    present = text(header, "BreastImplantPresent") == "YES"
    return "BreastImplantPresent is YES" if present and not accept.implant_displaced else ""


def _exposed(header: Dataset, _: Accept) -> str:
    said = text(header, "ExposureStatus")
    return "" if said in {"", "NORMAL"} else f"ExposureStatus is {said}, not NORMAL"


def _ordinary_series(header: Dataset, _: Accept) -> str:
    said = text(header, "SeriesDescription").upper()
    found = next((word for word in SPECIAL_SERIES if word in said), "")
    return f"the series is described as {found.strip('()').lower()}" if found else ""


IMAGE_RULES: dict[str, Rule] = {
    "I01": _sop_class,
    "I02": _modality,
    "I03": _intent,
    "I04": _body_part,
    "I05": _identified,
    "I06": _image_type,
    "I07": _quality_control,
    "I08": _lossless,
    "I09": _size,
    "I10": _pixel_format,
    "I11": _laterality,
    "I12": _view,
    "I13": _modifiers,
    "I14": _whole_breast,
    "I15": _implant,
    "I16": _exposed,
    "I17": _ordinary_series,
}
# I18 (pixels that cannot be read) is found out later. I19 (a transfer syntax that cannot be
# decoded) is never met: the listener accepts none such.


def judge_image(header: Dataset, accept: Accept) -> Declined | None:
    """Return the first rule that an image breaks."""
    for code, rule in IMAGE_RULES.items():
        try:
            sentence = rule(header, accept)
        except UNREADABLE:
            sentence = "an attribute that this rule asks for has a value that cannot be read"
        if sentence:
            return Declined(code, sentence)
    return None


@dataclass(frozen=True, slots=True)
class Judged:
    """One image and what the rules say of it."""

    header: Dataset
    declined: Declined | None

    @property
    def view(self) -> str:
        """Name the view of an accepted image."""
        codes = self.header.get("ViewCodeSequence") or []
        said = text(codes[0], "CodeValue") if codes else text(self.header, "ViewPosition")
        side = text(self.header, "ImageLaterality") or text(self.header, "Laterality")
        return f"{side}{PROJECTIONS.get(said, said)}"


def keep_newest(judged: Sequence[Judged]) -> list[Judged]:
    """Keep the newest readable image of each view (S03)."""
    newest: dict[str, Judged] = {}
    for one in judged:
        if one.declined is None:
            rival = newest.get(one.view)
            if rival is None or _taken_at(one.header) >= _taken_at(rival.header):
                newest[one.view] = one
    return [
        one
        if one.declined is not None or newest[one.view] is one
        else Judged(one.header, Declined("S03", f"a newer {one.view} is in the study"))
        for one in judged
    ]


def _taken_at(header: Dataset) -> str:
    day = text(header, "AcquisitionDate") or text(header, "ContentDate")
    return day + (text(header, "AcquisitionTime") or text(header, "ContentTime"))


def judge_study(judged: Sequence[Judged], required: Sequence[str], accept: Accept) -> None:
    """Raise Declined where the study as a whole cannot be read."""
    accepted = [one for one in judged if one.declined is None]
    if not accepted:
        reasons = sorted({str(one.declined) for one in judged})
        raise Declined("S02", f"no image can be read: {'; '.join(reasons)}")
    _one_patient([one.header for one in accepted])
    _age_and_sex(accepted[0].header, accept)
    missing = [view for view in required if view not in {one.view for one in accepted}]
    if missing and not accept.incomplete_studies:
        raise Declined("S02", f"missing: {', '.join(missing)}")


def _one_patient(headers: Sequence[Dataset]) -> None:
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "StudyDate"):
        if len({text(header, keyword) for header in headers}) > 1:
            raise Declined("S01", f"the images do not agree on {keyword}")


def _age_and_sex(header: Dataset, accept: Accept) -> None:
    said = text(header, "PatientAge")
    years = int(said[:-1]) if said[:-1].isdigit() and said.endswith("Y") else None
    if years is not None and not accept.age_min <= years <= accept.age_max:
        wanted = f"{accept.age_min} to {accept.age_max}"
        raise Declined("S04", f"the patient's age is not {wanted} years")
    if text(header, "PatientSex") not in accept.sexes:
        raise Declined("S04", "the patient's sex is not among analyzing.accept.sexes")
