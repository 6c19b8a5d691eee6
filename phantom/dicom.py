"""Studies as Digital Mammography X-Ray Images (PS3.3 A.27), complete enough for any archive."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from uuid import UUID, uuid5

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from phantom.headers import PRESETS, Preset, voi
from phantom.study import Study
from phantom.view import TOP, View

__all__ = ["PRESETS", "Preset", "datasets", "sop_instance_uid", "uid_for", "write"]

_NAMESPACE = UUID("6d0b6c0e-3f0f-5d0b-9a35-5a6f1d0c8e21")
IMPLEMENTATION_CLASS_UID = UID(f"2.25.{uuid5(_NAMESPACE, 'phantom').int}")
_PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
_COMPRESSED = (JPEG2000Lossless, JPEGLSLossless, RLELossless)
_VIEWS = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique")}
# Where rows and columns run to: the chest wall is at the left of a left breast (PS3.3 C.7.6.1.1.1).
_ORIENTATIONS = {
    ("L", "CC"): ["A", "R"],
    ("R", "CC"): ["P", "L"],
    ("L", "MLO"): ["A", "FR"],
    ("R", "MLO"): ["P", "FL"],
}
_GIVEN_NAMES = (
    *("Ada", "Berta", "Clara", "Dora", "Edith", "Frieda", "Greta", "Hedwig", "Ida", "Johanna"),
    *("Käthe", "Lena", "Marie", "Nora", "Olga", "Paula", "Rosa", "Selma", "Thea", "Ursula"),
)
_RAW_BITS, _RAW_DEPTH = 14, 3.5  # for processing: bits, and attenuation of the brightest grey


def datasets(  # noqa: PLR0913 - what one may ask for, each by its name
    study: Study,
    *,
    preset: str = "plain",
    study_instance_uid: str | None = None,
    patient_id: str | None = None,
    patient_name: str | None = None,
    accession_number: str | None = None,
    study_date: str = "20250901",
    for_processing: bool = False,
    uid_salt: str = "",
) -> list[Dataset]:
    """Return one image per view, in the order of `study.views`, each in a series of its own."""
    how = _known(preset)
    seed = study.patient.seed
    uid = study_instance_uid or _study_uid(study, preset, uid_salt)
    shared = Dataset()
    _name_patient(shared, how, patient_name or "", seed)
    shared.PatientID = patient_id or f"PHANTOM-{seed:04d}"
    age = 42 + seed % 31
    shared.PatientBirthDate = f"{int(study_date[:4]) - age}0101"
    shared.PatientAge = f"{age:03d}Y"
    shared.PatientSex = "F"
    shared.StudyInstanceUID = uid
    shared.StudyID = f"{seed}"
    shared.StudyDate, shared.StudyTime = study_date, "101500"
    shared.StudyDescription = "MAMMOGRAPHY SCREENING"
    shared.AccessionNumber = accession_number or f"PH{seed:06d}"
    shared.ReferringPhysicianName = ""
    found = []
    for number, view in enumerate(study.views, start=1):
        image = deepcopy(shared)
        name = sop_instance_uid(
            study,
            view,
            preset=preset,
            study_instance_uid=study_instance_uid,
            for_processing=for_processing,
            uid_salt=uid_salt,
        )
        image.SOPInstanceUID = name
        image.SeriesInstanceUID = uid_for("series", name)
        image.SeriesNumber, image.InstanceNumber = number, 1
        image.AcquisitionNumber = number
        image.SeriesDate = image.AcquisitionDate = image.ContentDate = study_date
        image.SeriesTime = image.AcquisitionTime = image.ContentTime = f"10{15 + number:02d}00"
        _describe_device(image, how)
        _describe_view(image, study, view)
        _describe_exposure(image, study, view)
        _store_pixels(image, view, how, for_processing=for_processing)
        with config.disable_value_validation():
            for trap in how.traps:
                trap(image)
        image.file_meta = _file_meta(image)
        found.append(image)
    return found


def sop_instance_uid(
    study: Study,
    view: View,
    *,
    preset: str = "plain",
    study_instance_uid: str | None = None,
    for_processing: bool = False,
    uid_salt: str = "",
) -> str:
    """Return the SOP Instance UID that `datasets`, asked the same, gives a view."""
    uid = study_instance_uid or _study_uid(study, preset, uid_salt)
    intent = "processing" if for_processing else "presentation"
    return uid_for("image", uid, *_looks(study, preset, uid_salt), view.name, intent)


def write(
    datasets: Sequence[Dataset], folder: Path, *, transfer_syntax: UID = ExplicitVRLittleEndian
) -> list[Path]:
    """Write each image to a file named by its UID; the datasets stay as they are."""
    if transfer_syntax not in _PLAIN + _COMPRESSED:
        known = ", ".join(syntax.name for syntax in _PLAIN + _COMPRESSED)
        raise ValueError(f"cannot write {UID(transfer_syntax).name}: ask for one of {known}")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for image in datasets:
        written = deepcopy(image)
        if image.file_meta.TransferSyntaxUID.is_encapsulated:
            pass  # a specimen that came compressed stays as it came
        elif transfer_syntax in _COMPRESSED:
            written.compress(transfer_syntax, generate_instance_uid=False)
        else:
            written.file_meta.TransferSyntaxUID = transfer_syntax
        path = folder / f"{image.SOPInstanceUID}.dcm"
        with config.disable_value_validation():  # what is mistyped is mistyped on purpose
            written.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _known(preset: str) -> Preset:
    if preset not in PRESETS:
        raise ValueError(f"no preset {preset!r}: ask for one of {', '.join(PRESETS)}")
    return PRESETS[preset]


def _study_uid(study: Study, preset: str, uid_salt: str) -> str:
    return uid_for("study", *_looks(study, preset, uid_salt))


def _looks(study: Study, preset: str, uid_salt: str) -> tuple[object, ...]:
    """Return all that shapes the pixels: other pixels must never go by the same name."""
    pitch = study.views[0].pitch_mm if study.views else 0.0
    return preset, uid_salt, study.patient.seed, pitch, study.patient.lesions


def uid_for(*words: object) -> str:
    """Return the UID that follows from some words."""
    return f"2.25.{uuid5(_NAMESPACE, '/'.join(str(word) for word in words)).int}"


def _name_patient(shared: Dataset, how: Preset, name: str, seed: int) -> None:
    """Write the name that was asked for in UTF-8, else the preset's own as the preset does."""
    own = how.patient_name and not name
    character_set = list(how.character_set if own else ("ISO_IR 192",))
    if character_set:
        shared.SpecificCharacterSet = character_set
    given = f"Phantom^{_GIVEN_NAMES[seed % len(_GIVEN_NAMES)]}"
    shared.PatientName = name or how.patient_name or given


def _describe_device(image: Dataset, how: Preset) -> None:
    image.Modality = "MG"
    image.Manufacturer = "PHANTOM"
    image.ManufacturerModelName = how.model
    image.DeviceSerialNumber = "1"
    image.SoftwareVersions = "1.0"
    image.InstitutionName = "Phantom Hospital"
    image.DetectorType, image.DetectorConfiguration = "DIRECT", "AREA"
    image.DetectorID = "D1"
    if how.grid is not None:
        image.Grid = how.grid


def _describe_view(image: Dataset, study: Study, view: View) -> None:
    image.SeriesDescription = f"{view.side} {view.projection}"
    image.BodyPartExamined = "BREAST"
    image.ImageLaterality = view.side
    image.PatientOrientation = _ORIENTATIONS[view.side, view.projection]
    image.AnatomicRegionSequence = [_code("76752008", "Breast")]
    item = _code(*_VIEWS[view.projection])
    item.ViewModifierCodeSequence = []
    image.ViewCodeSequence = [item]
    image.OrganExposed = "BREAST"
    image.PositionerType = "MAMMOGRAPHIC"
    angle = 0.0 if view.projection == "CC" else round(study.patient.mlo_angle_deg, 1)
    image.PositionerPrimaryAngle = angle if view.side == "L" else -angle
    image.BreastImplantPresent, image.PartialView = "NO", "NO"
    image.BurnedInAnnotation = "NO"  # the marker names the view, not the patient
    image.RequestAttributesSequence = [Dataset()]
    image.RequestAttributesSequence[0].RequestedProcedureID = image.AccessionNumber
    image.RequestAttributesSequence[0].ScheduledProcedureStepID = image.AccessionNumber


def _describe_exposure(image: Dataset, study: Study, view: View) -> None:
    rows, columns = view.pixels.shape
    pitch = [view.pitch_mm, view.pitch_mm]
    extent = [round(rows * view.pitch_mm, 2), round(columns * view.pitch_mm, 2)]
    image.ImagerPixelSpacing = image.DetectorElementSpacing = pitch
    image.DetectorActiveShape, image.DetectorActiveDimensions = "RECTANGLE", extent
    image.FieldOfViewShape = "RECTANGLE"
    image.FieldOfViewDimensions = [round(side) for side in extent]
    image.FieldOfViewOrigin = [0, 0]
    image.FieldOfViewRotation, image.FieldOfViewHorizontalFlip = "0", "NO"
    image.EstimatedRadiographicMagnificationFactor = 1.08
    image.BodyPartThickness = round(study.patient.thickness_mm)
    image.CompressionForce, image.OrganDose = 100, 0.015
    image.KVP, image.ExposureInuAs, image.AnodeTargetMaterial = 29, 80000, "TUNGSTEN"
    image.AcquisitionContextSequence = []


def _store_pixels(image: Dataset, view: View, how: Preset, *, for_processing: bool) -> None:
    grey = view.pixels.astype(np.float32) / np.float32(TOP)
    if for_processing:
        stored = np.round(((1 << _RAW_BITS) - 1) * np.exp(-_RAW_DEPTH * grey)).astype(np.uint16)
        bits, inverse = _RAW_BITS, True
        image.SOPClassUID = DigitalMammographyXRayImageStorageForProcessing
        image.PresentationIntentType = "FOR PROCESSING"
        image.ImageType = ["ORIGINAL", "PRIMARY"]
        image.PixelIntensityRelationship = "LIN"
    else:
        stored, bits, inverse = how.store(grey), how.bits_stored, how.inverse
        image.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
        image.PresentationIntentType = "FOR PRESENTATION"
        image.ImageType = list(how.image_type)
        image.PixelIntensityRelationship = "LOG"
        image.update(voi(how))
        if how.view_position:
            image.ViewPosition = view.projection
        if "DERIVED" in how.image_type:
            image.DerivationDescription = "processed for presentation"
    image.PixelIntensityRelationshipSign = 1 if inverse else -1
    image.PhotometricInterpretation = "MONOCHROME1" if inverse else "MONOCHROME2"
    image.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = 0, 1, "US"
    image.LossyImageCompression = "00"
    image.SamplesPerPixel = 1
    image.Rows, image.Columns = stored.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, bits, bits - 1
    image.PixelRepresentation = 0
    image.add_new("PixelData", "OW", stored.astype("<u2").tobytes())


def _file_meta(image: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = image.SOPClassUID
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = "PHANTOM_1"
    return meta


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item
