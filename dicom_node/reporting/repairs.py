"""Repairs by value representation: what any element of any header may have wrong (PS3.5, 6.2)."""

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime

from pydicom.datadict import dictionary_VM
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID
from pydicom.valuerep import format_number_as_ds

from dicom_node.reporting.decoding import values

# By these a patient, a study or an order is found again: never shortened, joined or reworded.
IDENTIFIERS = {
    *("PatientName", "PatientID", "IssuerOfPatientID", "StudyID", "AccessionNumber"),
    *("RequestedProcedureID", "ScheduledProcedureStepID", "OtherPatientIDs"),
    *("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"),
}
OWN_UIDS = {"SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"}
OWN_UIDS |= {"ReferencedSOPClassUID", "ReferencedSOPInstanceUID"}
MAX_DS, MAX_PN = 16, 64
LONGEST = {"LO": 64, "SH": 16, "CS": 16, "AE": 16, "ST": 1024, "LT": 10240}
CODED = (
    ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"),
    ("LongCodeValue", "CodingSchemeDesignator", "CodeMeaning"),
)
WHOLE = {  # what an item of these has to hold, in one of several ways
    "ProcedureCodeSequence": CODED,
    "RequestedProcedureCodeSequence": CODED,
    "ViewCodeSequence": CODED,
    "ViewModifierCodeSequence": CODED,
    "IssuerOfAccessionNumberSequence": (
        ("LocalNamespaceEntityID",),
        ("UniversalEntityID", "UniversalEntityIDType"),
    ),
    "OtherPatientIDsSequence": (("PatientID", "TypeOfPatientID"),),
}


def repair_values(clean: Dataset) -> None:
    """Repair the elements of a header and of all items in it."""
    for dataset in _all(clean):
        _shorten_numbers(dataset)
        _repair_dates(dataset)
        _fit_words(dataset)
        _first_names(dataset)
        _bare_uids(dataset)
        _drop_empty_items(dataset)


def _all(dataset: Dataset) -> Iterator[Dataset]:
    """Go through a data set and all the items in it, the inner ones first."""
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value:
                yield from _all(item)
    yield dataset


def _shorten_numbers(dataset: Dataset) -> None:
    """Write decimal strings with at most 16 characters, and only those that are numbers."""
    for element in list(dataset):
        if element.VR != "DS":
            continue
        try:
            numbers = [float(str(number)) for number in values(element)]
        except ValueError:
            numbers = [math.nan]
        too_many = len(numbers) > 1 and _stands_once(element)
        if too_many or not all(map(math.isfinite, numbers)):
            del dataset[element.tag]
        elif any(len(str(number)) > MAX_DS for number in values(element)):
            short = [format_number_as_ds(number) for number in numbers]
            element.value = short if len(short) > 1 else short[0]


def _repair_dates(dataset: Dataset) -> None:
    """Blank out dates and times that are none, and write old ones in today's form."""
    for element in dataset:
        if element.VR in _MOMENTS and (written := values(element)):
            element.value = _MOMENTS[element.VR](str(written[0])) or ""


def _day(written: str) -> str | None:
    digits = re.sub(r"[.\-/ ]", "", written)  # 1998.03.15 is ACR-NEMA's form
    try:
        return datetime.strptime(digits, "%Y%m%d").strftime("%Y%m%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None


def _time(written: str) -> str | None:
    digits = re.sub(r"[: ]", "", written)
    hours = r"([01]\d|2[0-3])"
    told = re.fullmatch(rf"({hours}([0-5]\d([0-5]\d(\.\d{{1,6}})?)?)?)\d*", digits)
    exact = told is not None and (told[0] == told[1] or "." in told[1])  # digits too many
    return told[1] if told is not None and exact else None


def _moment(written: str) -> str | None:
    said = re.fullmatch(r"(\d{8})(\d*(?:\.\d+)?)([+-]\d{4})?", written.strip())
    if said is None or _day(said[1]) is None:
        return None
    time = _time(said[2]) if said[2] else ""
    return None if time is None else said[1] + time + (said[3] or "")


_MOMENTS: dict[str, Callable[[str], str | None]] = {"DA": _day, "TM": _time, "DT": _moment}


def _fit_words(dataset: Dataset) -> None:
    """Make one value of words that may stand only once, and no longer than fits."""
    for element in dataset:
        longest = LONGEST.get(element.VR)
        if longest is None:
            continue
        if element.keyword in IDENTIFIERS:
            whole = [each for each in values(element) if str(each).strip()]
            element.value = whole if len(whole) > 1 else next(iter(whole), "")
            continue
        words = [str(each).strip() for each in values(element)]
        if len(words) > 1 and _stands_once(element):
            words = ["/".join(filter(None, words))]
        fitting = [each[:longest].strip() for each in words]
        element.value = fitting if len(fitting) > 1 else "".join(fitting)


def _stands_once(element: DataElement) -> bool:
    return bool(element.keyword) and dictionary_VM(element.tag) == "1"


def _first_names(dataset: Dataset) -> None:
    """Write one name where one may stand, and of each of its three groups what fits.

    Of the patient's own name, only the empty ones beside it are left out.
    """
    for element in dataset:
        if element.VR != "PN":
            continue
        names = [str(each) for each in values(element) if str(each)] or [""]
        if element.keyword in IDENTIFIERS:
            element.value = names if len(names) > 1 else names[0]
        else:
            groups = names[0].split("=")[:3]
            element.value = "=".join("^".join(one.split("^")[:5])[:MAX_PN] for one in groups)


def _bare_uids(dataset: Dataset) -> None:
    """Take the blanks off UIDs, and leave out those that are none.

    A study, a series or an image whose UID is none keeps it, and the proof will say so.
    """
    for element in list(dataset):
        if element.VR != "UI":
            continue
        bare = [str(each).strip(" \0") for each in values(element)]
        valid = bool(bare) and all(UID(each).is_valid and "." in each for each in bare)
        if not valid and element.keyword not in OWN_UIDS:
            del dataset[element.tag]
        elif bare != [str(each) for each in values(element)]:
            element.value = bare if len(bare) > 1 else bare[0]


def _drop_empty_items(dataset: Dataset) -> None:
    """Leave out items that do not hold what makes them items, and sequences of none."""
    for element in list(dataset):
        if element.VR == "SQ":
            ways = WHOLE.get(element.keyword, ((),))
            whole = [
                item
                for item in element.value
                if len(item) and any(all(item.get(word) for word in way) for way in ways)
            ]
            if whole:
                element.value = Sequence(whole)
            else:
                del dataset[element.tag]
