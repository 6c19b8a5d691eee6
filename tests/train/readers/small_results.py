"""What the node writes about a phantom, and how other tools change it."""

import subprocess
import sys
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom import Dataset, config
from pydicom.uid import generate_uid

from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.profile import Profile
from inference.findings import Box, ExamFindings, Finding, Kind, Mask, ViewFindings
from inference.mammogram import Mammogram
from inference.reading import read

MAKER = Maker("Our hospital", "Our node", "1.0", "1", "For research use only.")
FOR_SLICER = Profile(geometry="full")  # it opens no other segmentation
MASS = Mask(30, 60, np.hypot(*np.mgrid[-9:10, -9:10]) <= 9)
SPECKS = Mask(20, 100, np.zeros((12, 14), np.bool_))
for _row, _column in ((0, 0), (4, 12), (10, 5), (11, 13)):
    SPECKS.pixels[_row, _column] = True


def finding(kind: Kind, mask: Mask) -> Finding:
    height, width = mask.pixels.shape
    box = Box(mask.left, mask.top, mask.left + width, mask.top + height)
    return Finding(kind, box, 0.9, 0.8, mask, ("shared_trunk",))


def found(images: Sequence[Dataset]) -> ExamFindings:
    """Return findings in the first view, a mass and a cluster, and none in the others."""
    views = [view_of(read(image), ()) for image in images]
    lesions = (finding(Kind.MASS, MASS), finding(Kind.CALCIFICATION, SPECKS))
    views[0] = replace(views[0], findings=lesions)
    return ExamFindings(
        system="shared_trunk",
        version="1.0",
        digest="ab" * 32,
        operating_point="balanced",
        marks=tuple(Kind),
        cancer_score=0.8,
        views=tuple(views),
    )


def view_of(view: Mammogram, findings: tuple[Finding, ...]) -> ViewFindings:
    return ViewFindings(view.sop_instance_uid, view.side, view.projection, 0.5, findings)


def keep(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    with config.disable_value_validation():  # as viewers write it
        path.write_bytes(encoded(dataset))
    return path


def later(dataset: Dataset) -> Dataset:
    """Make a copy as another tool would save it, an hour later."""
    copy = deepcopy(dataset)
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    copy.ContentTime = "130000"
    return copy


def by_a_person(dataset: Dataset) -> Dataset:
    """Verify a report."""
    corrected = later(dataset)
    corrected.VerificationFlag = "VERIFIED"
    return corrected


def groups(dataset: Dataset) -> Dataset:
    """Return the container of the measurement groups."""
    (held,) = [
        item
        for item in dataset.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "126010"
    ]
    return held


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def content(kind: str, name: Dataset, below: Sequence[Dataset] = ()) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    item.ConceptNameCodeSequence = [name]
    if below:
        item.ContentSequence = list(below)
    return item


def coordinates(shape: str, numbers: Sequence[float], image: Dataset) -> Dataset:
    item = content("SCOORD", code("111030", "DCM", "Image Region"))
    item.GraphicType, item.GraphicData = shape, list(numbers)
    selected = Dataset()
    selected.RelationshipType, selected.ValueType = "SELECTED FROM", "IMAGE"
    reference = Dataset()
    reference.ReferencedSOPClassUID = image.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    selected.ReferencedSOPSequence = [reference]
    item.ContentSequence = [selected]
    return item


def drawn_in_a_viewer(results: dict[str, Dataset], drawn: Sequence[Dataset]) -> Dataset:
    """Write a report as OHIF does: a person's, each outline under the number measured with it."""
    made = later(results["measurement_report"])
    groups_made = []
    for outline in drawn:
        named = content("CODE", code("121071", "DCM", "Finding"))
        with config.disable_value_validation():
            named.ConceptCodeSequence = [code("CORNERSTONEFREETEXT", "CORNERSTONEJS", "Mass, left")]
        number = content("NUM", code("42798000", "SCT", "Area"), [outline])
        groups_made.append(
            content("CONTAINER", code("125007", "DCM", "Measurement Group"), [named, number])
        )
    observer = content("PNAME", code("121008", "DCM", "Person Observer Name"))
    observer.PersonName = "unknown^unknown"
    measured = content("CONTAINER", code("126010", "DCM", "Imaging Measurements"), groups_made)
    made.ContentSequence = [observer, measured]
    return made


def placed(image: Dataset) -> Dataset:
    """Lay an image in a space, as 3D Slicer does before it saves what was painted on it."""
    copy = deepcopy(image)
    copy.FrameOfReferenceUID = generate_uid()
    copy.ImagePositionPatient, copy.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    copy.PixelSpacing, copy.SliceThickness = [1, 1], 1
    return copy


def dcmqi(program: str, *arguments: object) -> None:
    """Run one of 3D Slicer's converters."""
    command = [Path(sys.executable).with_name(program), *map(str, arguments)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
