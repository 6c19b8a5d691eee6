"""Repair a header before a builder sees it.

Sources come as modalities wrote them. Each repair here answers something that real headers
have and that highdicom or a validator refuses; what identifies the patient and the study is
never changed in meaning.
"""

import re
import warnings
from collections.abc import Iterator

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_node.facts import sex
from dicom_node.reporting.decoding import readable, values
from dicom_node.reporting.repairs import MAX_DS, repair_values

__all__ = ["MAX_DS", "PATIENT_AND_STUDY", "tidy"]

PATIENT_AND_STUDY = (  # type 2 in PS3.3, C.7.1.1 and C.7.2.1
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
EQUIPMENT = (
    *("ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "StationName"),
    *("InstitutionName", "InstitutionalDepartmentName"),
)
SIDES = {  # what is written for a side: letters, words, codes of today and of before 2019
    **dict.fromkeys(("L", "LEFT", "7771000", "G-A101"), "L"),
    **dict.fromkeys(("R", "RIGHT", "24028007", "G-A100"), "R"),
}
DIRECTIONS = re.compile("[APRLHF]{1,3}")  # PS3.3, C.7.6.1.1.1
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
WINDOW = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction")
SPACINGS = ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing")
DESCRIPTOR = 3  # values of a table's descriptor


def tidy(header: Dataset) -> Dataset:
    """Return a repaired copy: readable, in UTF-8, without pixels and private elements."""
    # Odd values are what this is for: they are repaired here, not warned about.
    with config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clean = readable(header)
        clean.SpecificCharacterSet = "ISO_IR 192"
        repair_values(clean)
        for keyword in PATIENT_AND_STUDY:
            if clean.get(keyword) is None:
                setattr(clean, keyword, "")
        _repair_patient(clean)
        _leave_out_blanks(clean)
        _repair_zone(clean)
        _repair_window(clean)
        _repair_polarity(clean)
        _repair_geometry(clean)
    return clean


def _repair_patient(clean: Dataset) -> None:
    """Use the standard's letters for the sex; write an age with three digits and its unit."""
    clean.PatientSex = sex(clean)
    if "PatientAge" in clean:
        said = re.fullmatch(r"0*(\d{1,3})([DWMY])", str(clean.PatientAge or "").strip().upper())
        if said is None:
            del clean.PatientAge
        else:
            clean.PatientAge = f"{int(said[1]):03d}{said[2]}"


def _leave_out_blanks(clean: Dataset) -> None:
    """Leave out what says nothing and may be missing: the equipment's words, a word for loss."""
    for keyword in EQUIPMENT:
        if keyword in clean and not _values(clean, keyword):
            delattr(clean, keyword)
    if "LossyImageCompression" in clean and clean.LossyImageCompression not in ("00", "01"):
        del clean.LossyImageCompression


def _repair_zone(clean: Dataset) -> None:
    """Leave out an offset from UTC that is none (PS3.3, C.12.1.1.8)."""
    offset = str(clean.get("TimezoneOffsetFromUTC") or "")
    if "TimezoneOffsetFromUTC" in clean and not re.fullmatch(r"[+-](0\d|1[0-4])[0-5]\d", offset):
        del clean.TimezoneOffsetFromUTC


def _repair_window(clean: Dataset) -> None:
    """Leave one way of showing the image: windows that can be applied, or else a table."""
    function = str(clean.get("VOILUTFunction") or "").strip().upper()
    if "VOILUTFunction" in clean:
        del clean.VOILUTFunction
    if not (function in ("", *FUNCTIONS) and _leave_usable_windows(clean, function)):
        for keyword in WINDOW:
            if keyword in clean:
                del clean[keyword]
    elif function:
        clean.VOILUTFunction = function
    tables = [item for item in clean.get("VOILUTSequence", []) if _is_table(item)]
    if "VOILUTSequence" in clean:
        del clean.VOILUTSequence
    if tables and "WindowCenter" not in clean:
        clean.VOILUTSequence = Sequence(tables)


def _leave_usable_windows(clean: Dataset, function: str) -> bool:
    """Take out windows without a width, and names that do not count as many; tell what is left."""
    centers, widths, names = (_values(clean, keyword) for keyword in WINDOW[:3])
    least = 1.0 if function in ("", "LINEAR") else 0.0  # PS3.3, C.11.2.1.2
    pairs = list(zip(centers, widths, strict=False))
    good = [float(str(width)) >= least and float(str(width)) > 0 for _, width in pairs]
    if len(names) != len(pairs) and "WindowCenterWidthExplanation" in clean:
        del clean.WindowCenterWidthExplanation
        names = []
    if any(good) and not (all(good) and len(centers) == len(widths) == len(pairs)):
        for keyword, said in zip(WINDOW, (centers, widths, names), strict=False):
            if said:
                kept = [each for each, stays in zip(said, good, strict=False) if stays]
                setattr(clean, keyword, kept if len(kept) > 1 else kept[0])
    return any(good)


def _is_table(item: Dataset) -> bool:
    return len(_values(item, "LUTDescriptor")) == DESCRIPTOR and bool(item.get("LUTData"))


def _repair_polarity(clean: Dataset) -> None:
    """Say in both places which end of the scale is white, where one is left out."""
    shapes = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
    photometric = str(clean.get("PhotometricInterpretation") or "")
    said = str(clean.get("PresentationLUTShape") or "")
    # MONOCHROME1 alone makes small values white, whatever stands beside it (PS3.3, C.7.6.3.1.2).
    if photometric in shapes and (photometric == "MONOCHROME1" or said not in shapes.values()):
        clean.PresentationLUTShape = shapes[photometric]


def _repair_geometry(clean: Dataset) -> None:
    """Say which breast, which way up and how large, where builders look for it.

    An orientation that nobody wrote is not made up from the view: that would say how the pixels
    lie without having looked at them.
    """
    sides = list(_sides(clean))
    if sides and (sides[0][0] == "ImageLaterality" or len({side for _, side in sides}) == 1):
        clean.ImageLaterality = sides[0][1]
    orientation = [str(each).strip().upper() for each in _values(clean, "PatientOrientation")]
    whole = len(orientation) == 2 and all(map(DIRECTIONS.fullmatch, orientation))  # noqa: PLR2004 - rows and columns
    clean.PatientOrientation = orientation if whole else None
    for keyword in SPACINGS:
        if keyword in clean and not _is_spacing(_values(clean, keyword)):
            del clean[keyword]
    for keyword in SPACINGS[1:]:
        if "ImagerPixelSpacing" not in clean and keyword in clean:
            clean.ImagerPixelSpacing = clean[keyword].value


def _sides(clean: Dataset) -> Iterator[tuple[str, str]]:
    """Find every place that says which breast this is, the one that counts first."""
    for keyword in ("ImageLaterality", "Laterality"):
        if side := SIDES.get(str(clean.get(keyword) or "").strip().upper()):
            yield keyword, side
    for group in clean.get("SharedFunctionalGroupsSequence", []):
        for anatomy in group.get("FrameAnatomySequence", []):
            if side := SIDES.get(str(anatomy.get("FrameLaterality") or "").strip().upper()):
                yield "FrameLaterality", side
    for region in clean.get("AnatomicRegionSequence", []):
        for modifier in region.get("AnatomicRegionModifierSequence", []):
            if side := SIDES.get(str(modifier.get("CodeValue") or "")):
                yield "AnatomicRegionModifierSequence", side


def _values(clean: Dataset, keyword: str) -> list[object]:
    return values(clean[keyword]) if keyword in clean else []


def _is_spacing(spacing: list[object]) -> bool:
    return len(spacing) == 2 and all(float(str(each)) > 0 for each in spacing)  # noqa: PLR2004
