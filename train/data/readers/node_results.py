"""A node's results, and what radiologists made of them in other tools: images, SR and SEG.

A study's images and results lie in one folder, in whatever files. Where a person has made or
verified a result, or corrected one in another tool, the image teaches what that says, be it that
nothing is there. A result that nobody has gone over is read as well, but its image teaches nothing
by itself: a model would learn its own mistakes. Results that were taken back are left out.

Whether it was cancer stands in no result. `outcomes.csv` may say it: study_instance_uid, side (L,
R, or nothing for both) and cancer (1 or 0).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pydicom import Dataset, config
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    KeyObjectSelectionDocumentStorage,
    SegmentationStorage,
)

from inference.errors import Unreadable
from inference.mammogram import Projection, Side
from inference.reading import projection_of, side_of, spacing_of
from train.data.pixels import is_dicom, open_dicom
from train.data.readers.measured_reports import report
from train.data.readers.segmentations import segmentation
from train.data.readers.tables import rows
from train.data.readers.told import Told
from train.data.sample import Region, Sample, Samples

NAME = "results of the node"
OUTCOMES = "outcomes.csv"
CORRECTED, UNSEEN = "a person", "nobody"  # by whom the result was gone over
_REPORTS = {ComprehensiveSRStorage, EnhancedSRStorage, Comprehensive3DSRStorage}
_SEGMENTATIONS = {SegmentationStorage, "1.2.840.10008.5.1.4.1.1.66.7"}  # the second: label maps
_TAKEN_BACK = {"113001", "113037", "113038"}  # titles of a Key Object Selection, CID 7011
_UNTOLD = "an image that no result speaks of"
_RECALLED = "a result that was taken back"
_NO_IMAGE = "a result about an image that is not there"
_NO_VIEW = "an image whose header does not say side and view, CC or MLO"

_Outcomes = dict[tuple[str, str], bool]


class _Image(NamedTuple):
    path: Path
    header: Dataset
    side: Side
    projection: Projection

    @property
    def uid(self) -> str:
        return str(self.header.SOPInstanceUID)


def samples(folder: Path) -> Samples:
    """Read every image of which a result speaks.

    Other tools write longer codes than may be: OHIF's "CORNERSTONEFREETEXT" is one.
    """
    with config.disable_value_validation():
        return _samples(folder)


def _samples(folder: Path) -> Samples:
    found = Samples()
    headers = dict(_headers(folder))
    images = {image.uid: image for image in _images(headers, found)}
    outcomes = _outcomes(folder / OUTCOMES)
    results = _results(headers, images, found)
    for told in results:
        if elsewhere := told.regions.keys() - images.keys():
            found.dropped[_NO_IMAGE] += len(elsewhere)
    for uid, image in images.items():
        about_it = [told for told in results if uid in told.regions]
        if not about_it:
            found.dropped[_UNTOLD] += 1
            continue
        best = max(about_it, key=lambda told: (told.by_a_person, told.moment, told.is_report))
        found.append(_sample(image, best, outcomes))
    return found


def _headers(folder: Path) -> Iterator[tuple[Path, Dataset]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and is_dicom(path):
            yield path, open_dicom(path).header


def _images(headers: Mapping[Path, Dataset], found: Samples) -> Iterator[_Image]:
    for path, header in headers.items():
        if header.get("Modality") != "MG" or "Rows" not in header:
            continue
        try:
            yield _Image(path, header, side_of(header), projection_of(header))
        except Unreadable:
            found.dropped[_NO_VIEW] += 1


def _results(
    headers: Mapping[Path, Dataset], images: Mapping[str, _Image], found: Samples
) -> list[Told]:
    recalled = {uid for header in headers.values() for uid in _taken_back(header)}
    spacings_mm = {uid: _spacing_mm(image.header) for uid, image in images.items()}
    results = []
    for path, header in headers.items():
        kind = header.get("SOPClassUID")
        if kind not in _REPORTS | _SEGMENTATIONS:
            continue
        if header.get("SOPInstanceUID") in recalled:
            found.dropped[_RECALLED] += 1
            continue
        told = report(path, header) if kind in _REPORTS else segmentation(path, spacings_mm)
        if told is not None:
            results.append(told)
    return results


def _taken_back(header: Dataset) -> Iterator[str]:
    """Return what a note takes back (PS3.3, A.35.4)."""
    if header.get("SOPClassUID") != KeyObjectSelectionDocumentStorage:
        return
    titles = header.get("ConceptNameCodeSequence") or ()
    if any(str(title.get("CodeValue")) in _TAKEN_BACK for title in titles):
        for study in header.get("CurrentRequestedProcedureEvidenceSequence") or ():
            for series in study.get("ReferencedSeriesSequence") or ():
                for one in series.get("ReferencedSOPSequence") or ():
                    yield str(one.ReferencedSOPInstanceUID)


def _spacing_mm(header: Dataset) -> tuple[float, float]:
    try:
        return spacing_of(header)
    except Unreadable:
        return 0.1, 0.1  # for what is joined to clusters; a digital mammogram's, nearly


def _outcomes(table: Path) -> _Outcomes:
    """Read what became of each breast, if anybody has written it down."""
    found: _Outcomes = {}
    if not table.exists():
        return found
    for row in rows(table, ("study_instance_uid", "side", "cancer")):
        cancer = row.truth("cancer")
        if cancer is not None:
            for side in [row.side("side")] if row["side"] else list(Side):
                found[row["study_instance_uid"], side] = cancer
    return found


def _sample(image: _Image, told: Told, outcomes: _Outcomes) -> Sample:
    study = str(image.header.get("StudyInstanceUID") or "")
    cancer = outcomes.get((study, image.side))
    complete = told.by_a_person and image.uid not in told.incomplete
    if cancer is None and complete and not told.regions[image.uid]:
        cancer = False  # a person looked, and found nothing
    return Sample(
        data_set=NAME,
        patient=str(image.header.get("PatientID") or study),
        image=image.path,
        side=image.side,
        projection=image.projection,
        cancer=cancer,
        regions=_judged(told.regions[image.uid], cancer=cancer),
        complete=complete,
        facts={
            "seen_by": CORRECTED if told.by_a_person else UNSEEN,
            "result": told.path.name,
            "device": str(image.header.get("ManufacturerModelName") or ""),
        },
    )


def _judged(regions: list[Region], *, cancer: bool | None) -> tuple[Region, ...]:
    """Say of each region what became of the breast; of several in a cancer, nobody knows which."""
    malignant = None if cancer and len(regions) > 1 else cancer
    return tuple(replace(region, malignant=malignant) for region in regions)
