"""What a header says, read for the rules. A value that cannot be read raises: the rule answers.

No function here returns a header's own words to be told; `shown` lets the standard's words through,
and nothing that could be a name.
"""

import re
from collections.abc import Callable
from datetime import datetime

from pydicom import Dataset
from pydicom.uid import UID

from dicom_node.vocabulary import (
    ASIDE,
    DEFINED_TERMS,
    KINDS,
    MODIFIERS,
    NEVER_READ,
    SYNTHETIC,
    SYNTHETIC_SERIES,
    VIEWS,
)
from inference.errors import Unreadable
from inference.reading import projection_of, side_of, sides

_LETTER = r"[^\W\d_]"
_AGE = re.compile(r"(\d{1,3})([DWMY])")
SEXES = {"F": "F", "M": "M", "O": "O", "W": "F"}  # of female, male, other; weiblich
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.44, "Y": 365.25}
# What ViewPosition says where it names a view at all (PS3.3 C.8.11.7, and what devices write).
POSITIONS = {"CC", "MLO", "ML", "LM", "LMO", "FB", "SIO", "ISO", "XCC", "XCCL", "XCCM"}

__all__ = ["POSITIONS", "sides"]


def text(header: Dataset, keyword: str) -> str:
    """Return an attribute as stripped text; blank is the same as missing."""
    value = header.get(keyword)
    return "" if value is None else str(value).strip()


def says(header: Dataset, keyword: str) -> str:
    """Return a coded word; devices do not agree on its case."""
    return text(header, keyword).upper()


def words(header: Dataset, keyword: str) -> list[str]:
    """Return the coded words of an attribute that may have several."""
    value = header.get(keyword)
    several = [] if value is None else [value] if isinstance(value, str) else list(value)
    return [str(one).strip().upper() for one in several]


def number(header: Dataset, keyword: str) -> float | None:
    """Return a number; None where there is none."""
    return float(str(header[keyword].value)) if text(header, keyword) else None


def shown(value: str) -> str:
    """Show a word of the standard; anything else might be a name, even where it looks coded."""
    return value if value in DEFINED_TERMS else "a word that is not known" if value else "missing"


def kind(header: Dataset) -> str:
    """Say what an image is, in the words of a bundle's card; empty: nothing of the breast."""
    known = KINDS.get(UID(text(header, "SOPClassUID")), "")
    if known == "mammogram" and (
        SYNTHETIC & set(words(header, "ImageType")) or described(header, SYNTHETIC_SERIES)
    ):
        return "synthetic_2d"
    return known


def class_name(sop_class: str) -> str:
    """Name a SOP class without what all their names have."""
    return UID(sop_class).name.replace(" Image Storage", "").replace(" Storage", "")


def modifiers(header: Dataset) -> list[str]:
    """Name the modifiers of the view, inside its code, where they belong, or beside it."""
    codes = list(header.get("ViewModifierCodeSequence") or [])
    for view in header.get("ViewCodeSequence") or []:
        codes += list(view.get("ViewModifierCodeSequence") or [])
    return [coded(code, MODIFIERS) for code in codes if _says(code)]


def stands_aside(header: Dataset) -> bool:
    """Tell what is never read, whatever the settings, from a view that may be."""
    return bool(
        aside_words(header)
        or NEVER_READ & set(modifiers(header))
        or says(header, "QualityControlImage") == "YES"
    )


def aside_words(header: Dataset) -> list[str]:
    """Return what ImageType says of a scout or a stereo pair."""
    said = words(header, "ImageType")
    return [word for word in ASIDE if any(word in one for one in said)]


def coded(item: Dataset, meanings: dict[str, str]) -> str:
    """Name a code by our own words; its value might be a number of the patient's."""
    return meanings.get(code_value(item), "not a code that we know")


def _says(item: Dataset) -> bool:
    """Tell an item that names something from one that is there for nothing."""
    return bool(code_value(item) or text(item, "CodeMeaning"))


def code_value(item: Dataset) -> str:
    """Return what identifies a code."""
    return text(item, "CodeValue") or text(item, "LongCodeValue")


def views(header: Dataset) -> list[str]:
    """Name the views that a header gives, by its codes or else by the older text."""
    codes = [code for code in header.get("ViewCodeSequence") or [] if _says(code)]
    if codes:
        return [coded(code, VIEWS) for code in codes]
    position = says(header, "ViewPosition")
    return [shown(position)] if position else []


def projection(header: Dataset) -> str:
    """Name the projection, CC or MLO; empty where it is neither."""
    try:
        return str(projection_of(header))
    except Unreadable:
        return ""


def name(header: Dataset) -> str:
    """Name the screening view, as LCC; empty where it is none of the four."""
    return or_nothing(lambda one: f"{side_of(one)}{projection_of(one)}", header)


def or_nothing(ask: Callable[[Dataset], str], header: Dataset) -> str:
    """Answer with nothing where a header's values cannot be read, for those that are no rules."""
    try:
        return ask(header)
    except Exception:  # noqa: BLE001 - values from outside: converting them raises anything
        return ""


def described(header: Dataset, remarks: tuple[str, ...]) -> str:
    """Return the first remark of a list that the series' description holds, as a whole word.

    A word ends where its letters do: L_CC_MAG and MAG2 speak of a magnification.
    """
    said = says(header, "SeriesDescription")
    for remark in remarks:
        asked = remark.strip().upper()
        pattern = re.escape(asked).replace(r"\*", rf"{_LETTER}*")
        before = rf"(?<!{_LETTER})" if asked[:1].isalpha() else ""  # a bracket needs no room
        if re.search(rf"{before}{pattern}(?!{_LETTER})", said):
            return remark.strip("()*").lower()
    return ""


def sex(header: Dataset) -> str:
    """Return the patient's sex in the standard's letters: F, M or O, or nothing."""
    said = says(header, "PatientSex")[:1]
    return SEXES.get(said, "O" if said else "")


def age_years(header: Dataset) -> float | None:
    """Return how old the patient was, by PatientAge or else by birth and study date."""
    stated = _AGE.fullmatch(says(header, "PatientAge"))
    if stated:
        return int(stated[1]) * _DAYS[stated[2]] / _DAYS["Y"]
    born, taken = (_day(text(header, word)) for word in ("PatientBirthDate", "StudyDate"))
    if born is None or taken is None or taken < born:
        return None
    had_birthday = (taken.month, taken.day) >= (born.month, born.day)
    return float(taken.year - born.year - (not had_birthday))


def _day(value: str) -> datetime | None:
    try:
        return datetime.strptime(value, "%Y%m%d")  # noqa: DTZ007 - days have no zone
    except ValueError:
        return None


def taken_at(header: Dataset) -> str:
    """Return when an image was taken, for putting images in order."""
    return or_nothing(_acquired, header)


def _acquired(header: Dataset) -> str:
    """Put day and time together; a day that is none, 0000-00-00, takes its time with it."""
    for what in ("Acquisition", "Content"):
        day, time = text(header, f"{what}Date"), text(header, f"{what}Time")
        if _day(day) is not None:
            return day + (time or text(header, "ContentTime"))
    return text(header, "AcquisitionTime") or text(header, "ContentTime")
