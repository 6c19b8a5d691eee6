"""Patients whose every attribute is marked, so that whatever leaks of them can be found."""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

from pydicom import Dataset, Sequence
from small_images import file_of, mammogram

MARK = "ZQ7"
# A mark whole, or cut where words are; three letters amid a digest's sixty are nobody's mark.
LEFT_BY_A_MARK = rb"ZQ7(?:\d\dX|[- ])|(?<![A-Za-z0-9+])ZQ7\d{0,2}Y?(?![A-Za-z0-9+/])"
BIRTH_DATE = "19370422"
NAMES = {  # by the character set that a device writes them in
    "ISO_IR 192": "Żółkiewska^Gęśla",
    "ISO_IR 144": "Щербакова^Зоя",
    "ISO_IR 100": "Müßiggänger^Käthe",
    "ISO_IR 126": "Ωραιοπούλου^Ψυχή",
    "ISO 2022 IR 87": "鷹觜^香澄",
}
ENCODINGS = ("utf-8", "iso8859_5", "latin-1", "iso8859_7", "iso2022_jp", "utf-16-le", "shift_jis")
TEXTS = (
    *("PatientID", "IssuerOfPatientID", "OtherPatientNames", "PatientBirthName", "EthnicGroup"),
    *("PatientAddress", "PatientComments", "PatientTelephoneNumbers", "AdditionalPatientHistory"),
    *("Occupation", "PatientMotherBirthName", "MilitaryRank", "AccessionNumber", "StudyID"),
    *("StudyDescription", "SeriesDescription", "ProtocolName", "ReferringPhysicianName"),
    *("PerformingPhysicianName", "OperatorsName", "NameOfPhysiciansReadingStudy", "ImageComments"),
    *("InstitutionName", "InstitutionAddress", "StationName", "RequestedProcedureDescription"),
    *("PerformedProcedureStepDescription", "MedicalAlerts", "Allergies", "CurrentPatientLocation"),
    *("AdmissionID", "RequestingPhysician", "DeviceSerialNumber", "DerivationDescription"),
)
# What is no number, date or code, where one has to stand: whoever parses it may quote it.
BROKEN: dict[str, tuple[str, bytes]] = {
    "ImagerPixelSpacing": ("0.111111", b"ZQ7-ips "),
    "PatientBirthDate": ("19370422", b"ZQ7-date"),
    "PatientWeight": ("61.73000", b"ZQ7-kg  "),
    "SeriesNumber": ("12345678", b"ZQ7-is  "),
    "AcquisitionDate": ("20250102", b"ZQ7-acqd"),
    "AcquisitionTime": ("102030.4", b"ZQ7-acqt"),
    "WindowCenter": ("512.0000", b"ZQ7-wc  "),
    "PatientAge": ("089Y", b"ZQ7Y"),
    "PresentationLUTShape": ("IDENTITY", b"ZQ7-lut "),
    "SpecificCharacterSet": ("ISO_IR 100", b"ZQ7-chars "),
}


def needles() -> dict[str, bytes]:
    """Say what to look for: the marks, and names and dates however they may be written."""
    found = {MARK: MARK.encode(), BIRTH_DATE: BIRTH_DATE.encode(), "1937-04-22": b"1937-04-22"}
    for name in NAMES.values():
        for part in name.split("^"):
            found[f"{part} escaped"] = json.dumps(part).strip('"').encode()
            for encoding in ENCODINGS:
                try:
                    found[f"{part} in {encoding}"] = part.encode(encoding)
                except UnicodeEncodeError:
                    continue
    return {what: needle for what, needle in found.items() if len(needle) >= len(MARK)}


def leaks(content: bytes, where: str) -> Iterator[str]:
    """Name every mark in some bytes, with the words around it."""
    for what, needle in needles().items():
        for hit in re.finditer(LEFT_BY_A_MARK if what == MARK else re.escape(needle), content):
            around = content[max(0, hit.start() - 60) : hit.end() + 30]
            yield f"{where}: {what}: {around!r}"


def marked(image: Dataset, character_set: str = "ISO_IR 192") -> Dataset:
    """Mark everything that an image says of its patient and of the people around her."""
    image = deepcopy(image)
    image.SpecificCharacterSet = (
        ["", character_set] if character_set.startswith("ISO 2022") else character_set
    )
    image.PatientName = NAMES[character_set]
    image.PatientBirthDate = BIRTH_DATE
    for number, keyword in enumerate(TEXTS):
        setattr(image, keyword, f"{MARK}{number:02}X")
    other = Dataset()
    other.PatientID, other.TypeOfPatientID = f"{MARK}-other", "TEXT"
    image.OtherPatientIDsSequence = Sequence([other])
    step = Dataset()
    step.RequestedProcedureDescription = f"{MARK}-asked"
    step.ScheduledProcedureStepDescription = f"{MARK}-step"
    image.RequestAttributesSequence = Sequence([step])
    private = image.private_block(0x0099, f"{MARK} MAKER", create=True)
    private.add_new(0x01, "LO", f"{MARK}-private")
    private.add_new(0x02, "UN", f"{MARK}-unknown".encode())
    return image


def malformed(folder: Path) -> list[Path]:
    """Write images of which each has one value that is no value of its kind."""
    paths = []
    for keyword, (good, bad) in BROKEN.items():
        image = marked(mammogram(), "ISO_IR 100")
        setattr(image, keyword, good)
        content = file_of(image)
        assert len(bad) == len(good)
        assert good.encode() in content
        path = folder / f"{keyword}.dcm"
        path.write_bytes(content.replace(good.encode(), bad, 1))
        paths.append(path)
    return [*paths, *_cut(folder)]


def _cut(folder: Path) -> Iterator[Path]:
    """Write images whose structure is broken: a wrong length, a wrong kind, half of a data set."""
    spoilers: dict[str, Callable[[bytes], bytes]] = {
        "long": lambda all_: all_.replace(b"LO\x06\x00ZQ700X", b"LO\xf6\x7fZQ700X"),
        "kind": lambda all_: all_.replace(b"LO\x06\x00ZQ700X", b"ZZ\x06\x00ZQ700X"),
        "half": lambda all_: all_[: all_.index(b"ZQ700X") + 3],
        "float": lambda all_: all_.replace(b"LO\x06\x00ZQ700X", b"FD\x06\x00ZQ700X"),
        "words": lambda all_: all_.replace(b"LO\x06\x00ZQ700X", b"DS\x06\x00ZQ700X"),
    }
    for name, spoil in spoilers.items():
        content = file_of(marked(mammogram()))
        path = folder / f"{name}.dcm"
        spoiled = spoil(content)
        assert spoiled != content
        path.write_bytes(spoiled)
        yield path
