"""Repair a header before a builder sees it.

Sources come as modalities wrote them. Each repair here answers something that real headers
have and that highdicom or a validator refuses; what identifies the patient and the study is
never changed in meaning.
"""

import re
import warnings
from datetime import datetime

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import PersonName, format_number_as_ds

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
LONG_STRINGS = (  # the equipment's own words, which every object repeats; LO, 64 characters
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "InstitutionName",
    "InstitutionalDepartmentName",
)
MAX_LO = 64
MAX_SH = 16
MAX_DS = 16
UNREADABLE = (ValueError, TypeError, AttributeError, NotImplementedError)


def tidy(header: Dataset) -> Dataset:
    """Return a repaired copy: readable, in UTF-8, without pixels and private elements."""
    # Odd values are what this is for: they are repaired here, not warned about.
    with config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clean = _readable(header)
        clean.SpecificCharacterSet = "ISO_IR 192"
        _shorten_numbers(clean)
        for keyword in PATIENT_AND_STUDY:
            if clean.get(keyword) is None:
                setattr(clean, keyword, "")
        _repair_dates(clean)
        _repair_words(clean)
        _repair_window(clean)
        _repair_geometry(clean)
    return clean


def _readable(header: Dataset) -> Dataset:
    """Copy what can be read, in Unicode."""
    clean = Dataset()
    for tag in header.keys():  # noqa: SIM118 - iterating the dataset itself reads every value
        if tag.group % 2 or tag.group >= 0x6000:  # noqa: PLR2004 - overlays and pixels
            continue
        try:
            clean.add(_copied(header[tag]))
        except UNREADABLE:
            continue
    return clean


def _copied(element: DataElement) -> DataElement:
    """Copy an element; names, which stay bytes until they are asked for, become words."""
    value = element.value
    if element.VR == "SQ":
        value = Sequence([_readable(each) for each in value])
    elif element.VR == "PN":
        value = [PersonName(str(name)) for name in value] if element.VM > 1 else str(value or "")
    return DataElement(element.tag, element.VR, value)


def _shorten_numbers(clean: Dataset) -> None:
    """Write decimal strings with at most 16 characters (PS3.5, 6.2)."""
    for element in clean.iterall():
        if element.VR == "DS" and element.value not in (None, ""):
            many = isinstance(element.value, MultiValue)
            values = element.value if many else [element.value]
            if any(len(str(value)) > MAX_DS for value in values):
                short = [format_number_as_ds(float(value)) for value in values]
                element.value = short if many else short[0]


def _repair_dates(clean: Dataset) -> None:
    """Blank out dates and times that are none, and write old ones in today's form."""
    for element in clean:
        if element.VR in ("DA", "TM", "DT") and element.value not in (None, ""):
            written = str(element.value)
            element.value = _DATES[element.VR](written) or ""


def _day(written: str) -> str | None:
    digits = re.sub(r"[.\-/ ]", "", written)  # 1998.03.15 is ACR-NEMA's form
    try:
        return datetime.strptime(digits, "%Y%m%d").strftime("%Y%m%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None


def _time(written: str) -> str | None:
    digits = re.sub(r"[: ]", "", written)
    hours = r"([01]\d|2[0-3])"
    return digits if re.fullmatch(hours + r"([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", digits) else None


def _moment(written: str) -> str | None:
    return written if _day(written[:8]) else None


_DATES = {"DA": _day, "TM": _time, "DT": _moment}


def _repair_words(clean: Dataset) -> None:
    """Use the standard's letters for the sex, and no more of the equipment's words than fit."""
    sex = str(clean.PatientSex or "").strip().upper()[:1]
    clean.PatientSex = {"F": "F", "M": "M", "O": "O", "W": "F"}.get(sex, "O" if sex else "")
    for keyword in LONG_STRINGS:
        if clean.get(keyword):
            setattr(clean, keyword, _cut(str(clean.get(keyword)), MAX_LO))
    if clean.get("StationName"):
        clean.StationName = _cut(str(clean.StationName), MAX_SH)
    versions = clean.get("SoftwareVersions")
    if versions:
        each = versions if isinstance(versions, MultiValue) else [versions]
        clean.SoftwareVersions = [_cut(str(version), MAX_LO) for version in each if version]


def _cut(words: str, length: int) -> str:
    return words.replace("\\", "/").strip()[:length]


def _repair_window(clean: Dataset) -> None:
    """Leave one way of showing the image: a whole window, or a table."""
    if "VOILUTFunction" in clean and not clean.VOILUTFunction:
        del clean.VOILUTFunction
    window = ("WindowCenter", "WindowWidth")
    if not all(clean.get(keyword) not in (None, "") for keyword in window):
        for keyword in (*window, "WindowCenterWidthExplanation"):
            if keyword in clean:
                del clean[keyword]
    if "WindowCenter" in clean and "VOILUTSequence" in clean:
        del clean.VOILUTSequence


def _repair_geometry(clean: Dataset) -> None:
    """Say which breast, which way up and how large, where builders look for it."""
    if not clean.get("ImageLaterality") and clean.get("Laterality") in ("L", "R"):
        clean.ImageLaterality = clean.Laterality
    orientation = clean.get("PatientOrientation")
    if not (isinstance(orientation, MultiValue) and len(orientation) == 2 and all(orientation)):  # noqa: PLR2004 - rows and columns
        clean.PatientOrientation = None
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        if keyword in clean and not _is_spacing(clean.get(keyword)):
            del clean[keyword]
    if "ImagerPixelSpacing" not in clean and "PixelSpacing" in clean:
        clean.ImagerPixelSpacing = clean.PixelSpacing


def _is_spacing(value: object) -> bool:
    if not isinstance(value, MultiValue) or len(value) != 2:  # noqa: PLR2004 - rows and columns
        return False
    return all(isinstance(number, float) and number > 0 for number in value)
