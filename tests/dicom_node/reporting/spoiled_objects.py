"""Each way an object can be wrong: which object, how it is spoiled, and what the proof says."""

from collections.abc import Callable
from copy import deepcopy

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian
from scenes import CAD, MEASURED, SEGMENTED
from spoiling import Spoiler, Way

from dicom_node.reporting.marks import walk
from dicom_node.reporting.naming import uid


def code_of(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeValue) if names else ""


def every(dataset: Dataset, code: str) -> list[Dataset]:
    return [item for _, item in walk(dataset) if code_of(item) == code]


def remove(dataset: Dataset, parent: str, child: str) -> None:
    """Take the first child with this code out of the first parent with that code."""
    above = every(dataset, parent)[0]
    gone = next(item for item in above.ContentSequence if code_of(item) == child)
    above.ContentSequence = [item for item in above.ContentSequence if item is not gone]


def by_value(dataset: Dataset) -> None:
    outline = every(dataset, "111041")[0]
    image = deepcopy(every(dataset, "111028")[0].ContentSequence[1])
    del image.ContentSequence
    image.RelationshipType = "SELECTED FROM"
    outline.ContentSequence = [image]


def put(dataset: Dataset, keyword: str, vr: str, written: bytes) -> None:
    tag = Tag(keyword)
    dataset[tag] = RawDataElement(tag, vr, len(written), written, 0, False, True)


def points_at(dataset: Dataset, position: list[int]) -> None:
    item = every(dataset, "111041")[0].ContentSequence[0]
    item.ReferencedContentItemIdentifier = position


def redraw(dataset: Dataset, code: str, change: Callable[[list[float]], list[float]]) -> None:
    item = every(dataset, code)[0]
    item.GraphicData = change([float(number) for number in item.GraphicData])


def shape(dataset: Dataset, graphic: str) -> None:
    every(dataset, "111041")[0].GraphicType = graphic


def value_of(dataset: Dataset, code: str) -> Dataset:
    measured: Dataset = every(dataset, code)[0].MeasuredValueSequence[0]
    return measured


def meaning(dataset: Dataset, code: str, value: str) -> None:
    every(dataset, code)[0].ConceptCodeSequence[0].CodeValue = value


def private_text(dataset: Dataset) -> None:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", "Hello"
    name = Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "1", "99OURS", "Ours"
    item.ConceptNameCodeSequence = [name]
    dataset.ContentSequence.append(item)


def swap_tracking(dataset: Dataset) -> None:
    first, *_, last = every(dataset, "112040")
    first.UID, last.UID = last.UID, first.UID


def another_image(dataset: Dataset) -> None:
    reference = every(dataset, "111030")[0].ContentSequence[0].ReferencedSOPSequence[0]
    reference.ReferencedSOPInstanceUID = uid("image", "R", "CC")


def over_two_images(dataset: Dataset) -> None:
    """List another image as evidence, as a report over both would."""
    series = deepcopy(evidence(dataset).ReferencedSeriesSequence[0])
    series.SeriesInstanceUID = uid("series", "R", "CC")
    series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = uid("image", "R", "CC")
    evidence(dataset).ReferencedSeriesSequence.append(series)


def evidence(dataset: Dataset) -> Dataset:
    study: Dataset = dataset.CurrentRequestedProcedureEvidenceSequence[0]
    return study


def frame(dataset: Dataset) -> Dataset:
    first: Dataset = dataset.PerFrameFunctionalGroupsSequence[0]
    return first


def source_image(dataset: Dataset) -> Dataset:
    derived: Dataset = frame(dataset).DerivationImageSequence[0].SourceImageSequence[0]
    return derived


def flip_a_pixel(dataset: Dataset) -> None:
    pixels = bytearray(dataset.PixelData)
    pixels[0] ^= 1
    dataset.PixelData = bytes(pixels)


def swap_segments(dataset: Dataset) -> None:
    first, second = dataset.PerFrameFunctionalGroupsSequence
    one, two = first.SegmentIdentificationSequence, second.SegmentIdentificationSequence
    first.SegmentIdentificationSequence, second.SegmentIdentificationSequence = two, one


def of_another_image(dataset: Dataset) -> None:
    """Say consistently that the segmentation belongs to the other breast."""
    series = dataset.ReferencedSeriesSequence[0]
    series.SeriesInstanceUID = uid("series", "R", "CC")
    series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID = uid("image", "R", "CC")
    for each in dataset.PerFrameFunctionalGroupsSequence:
        source = each.DerivationImageSequence[0].SourceImageSequence[0]
        source.ReferencedSOPInstanceUID = uid("image", "R", "CC")


# of the exam with five findings, the first object of each kind
SPOILED: dict[str, tuple[str, Spoiler, str]] = {
    # any object
    "another patient": (CAD, lambda d: setattr(d, "PatientID", "OTHER"), "PatientID is not"),
    "another name": (SEGMENTED, lambda d: setattr(d, "PatientName", "X"), "PatientName is not"),
    "another study": (
        CAD,
        lambda d: setattr(d, "StudyInstanceUID", uid("x")),
        "StudyInstanceUID is not",
    ),
    "no accession": (MEASURED, lambda d: setattr(d, "AccessionNumber", ""), "AccessionNumber"),
    "the source's UID": (
        CAD,
        lambda d: setattr(d, "SOPInstanceUID", uid("image", "L", "CC")),
        "UID of one of its sources",
    ),
    "the source's series": (
        SEGMENTED,
        lambda d: setattr(d, "SeriesInstanceUID", uid("series", "L", "CC")),
        "series of its sources",
    ),
    "a bad UID": (
        CAD,
        lambda d: put(d, "SeriesInstanceUID", "UI", b"1.02.3"),
        "no valid UID",
    ),
    "a low series number": (CAD, lambda d: setattr(d, "SeriesNumber", 5), "below 9000"),
    "an unmarked series": (SEGMENTED, lambda d: setattr(d, "SeriesDescription", "SEG"), "'AI '"),
    "a series without the statement": (
        SEGMENTED,
        lambda d: setattr(d, "SeriesDescription", "AI SEG"),
        "does not say",
    ),
    "no software version": (CAD, lambda d: delattr(d, "SoftwareVersions"), "SoftwareVersions"),
    "another SOP class": (
        CAD,
        lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7.4"),
        "not made here",
    ),
    "Latin 1": (CAD, lambda d: setattr(d, "SpecificCharacterSet", "ISO_IR 100"), "written"),
    "an old character set": (
        SEGMENTED,
        lambda d: setattr(d, "SpecificCharacterSet", "GB18030"),
        "not ISO_IR 192",
    ),
    "broken words": (
        CAD,
        lambda d: put(d, "PatientName", "PN", b"\xc4arc\xeda^Zo\xeb "),
        "cannot be checked: UserWarning",
    ),
    "implicit VR": (
        CAD,
        lambda d: setattr(d.file_meta, "TransferSyntaxUID", ImplicitVRLittleEndian),
        "",
    ),
    # CAD SR
    "an image by value": (CAD, by_value, "by value"),
    "a dangling reference": (CAD, lambda d: points_at(d, [1, 2, 99]), "points at no image"),
    "a reference to no image": (CAD, lambda d: points_at(d, [1, 3]), "points at no image"),
    "the other breast": (CAD, lambda d: points_at(d, [1, 2, 1]), "in another image"),
    "no algorithm name": (CAD, lambda d: remove(d, "111059", "111001"), "name its algorithm"),
    "no algorithm version": (CAD, lambda d: remove(d, "111059", "111003"), "the version of"),
    "no name at a detection": (CAD, lambda d: remove(d, "111022", "111001"), "name its algorithm"),
    "no name at an analysis": (CAD, lambda d: remove(d, "111004", "111003"), "the version of"),
    "no rendering intent": (CAD, lambda d: remove(d, "111059", "111056"), "no rendering intent"),
    "an optional finding": (CAD, lambda d: meaning(d, "111056", "111151"), "would draw 4 of 5"),
    "no center": (CAD, lambda d: remove(d, "111059", "111010"), "no Center"),
    "no outline": (CAD, lambda d: remove(d, "111059", "111041"), "no Outline"),
    "an impression contained": (
        CAD,
        lambda d: setattr(every(d, "111034")[0], "RelationshipType", "CONTAINS"),
        "not INFERRED FROM",
    ),
    "a finding as a property": (
        CAD,
        lambda d: setattr(every(d, "111059")[0], "RelationshipType", "HAS PROPERTIES"),
        "not CONTAINS",
    ),
    "a mass as a finding": (CAD, lambda d: meaning(d, "111059", "129788004"), "is not called"),
    "no template": (CAD, lambda d: delattr(d, "ContentTemplateSequence"), "TID 4000"),
    "no evidence": (
        CAD,
        lambda d: delattr(d, "CurrentRequestedProcedureEvidenceSequence"),
        "no evidence",
    ),
    "evidence left out": (
        CAD,
        lambda d: evidence(d).ReferencedSeriesSequence.pop(),
        "does not list",
    ),
    "evidence of another series": (
        CAD,
        lambda d: setattr(evidence(d).ReferencedSeriesSequence[0], "SeriesInstanceUID", uid("x")),
        "does not list",
    ),
    "no language": (CAD, lambda d: d.ContentSequence.pop(0), "begin with its language"),
    "a private code": (CAD, private_text, "private code"),
    "a polygon": (CAD, lambda d: shape(d, "POLYGON"), "drawn as POLYGON"),
    "a circle of many points": (CAD, lambda d: shape(d, "CIRCLE"), "drawn as CIRCLE"),
    "an open line": (CAD, lambda d: redraw(d, "111041", lambda p: p[:-2]), "open line"),
    "a line like a box": (
        MEASURED,
        lambda d: redraw(d, "111030", lambda p: [*p[:8], *p[:2]]),
        "only 5 points",
    ),
    "outside the image": (CAD, lambda d: redraw(d, "111010", lambda p: [p[0], 641.0]), "leaves"),
    "above the image": (CAD, lambda d: redraw(d, "111010", lambda p: [p[0], -1.0]), "leaves"),
    "row and column swapped": (
        MEASURED,
        lambda d: redraw(d, "111030", lambda p: [p[i ^ 1] for i in range(len(p))]),
        "elsewhere",
    ),
    "no number": (CAD, lambda d: redraw(d, "111010", lambda p: [float("nan"), p[1]]), "is nan"),
    "a wrong unit": (
        CAD,
        lambda d: setattr(value_of(d, "111047").MeasurementUnitsCodeSequence[0], "CodeValue", "1"),
        "measured in 1",
    ),
    "another certainty": (
        CAD,
        lambda d: setattr(value_of(d, "111012"), "NumericValue", "12"),
        "another Certainty of Finding",
    ),
    "no probability": (
        MEASURED,
        lambda d: remove(d, "125007", "111047"),
        "another Probability of cancer",
    ),
    "another exam score": (
        CAD,
        lambda d: setattr(value_of(d, "111013"), "NumericValue", "12"),
        "another score than the exam",
    ),
    "a long number": (
        CAD,
        lambda d: put(value_of(d, "111012"), "NumericValue", "DS", b"91.300000000000000001"),
        "more than 16",
    ),
    "one finding less": (CAD, lambda d: remove(d, "111017", "111034"), "5 findings, the report 4"),
    "one group less": (MEASURED, lambda d: remove(d, "126010", "125007"), "the report 1"),
    "a report over two images": (MEASURED, over_two_images, "is about 2 images"),
    "no tracking UID": (CAD, lambda d: remove(d, "111059", "112040"), "no tracking UID"),
    "no tracking identifier": (MEASURED, lambda d: remove(d, "125007", "112039"), "identifier"),
    "tracking UIDs exchanged": (CAD, swap_tracking, "in another image"),
    "the wrong summary": (CAD, lambda d: meaning(d, "111017", "111241"), "does not say"),
    "no summary": (
        CAD,
        lambda d: remove(d, "111036", "111017"),
        "no summary",
    ),
    "one detection less": (CAD, lambda d: remove(d, "111063", "111022"), "Detections lists"),
    "another detection": (CAD, lambda d: meaning(d, "111022", "129769006"), "Detections lists"),
    "a detection not attempted": (CAD, lambda d: meaning(d, "111064", "111225"), "'Succeeded'"),
    "no analysis": (CAD, lambda d: remove(d, "111062", "111004"), "Analyses lists nothing"),
    "no word of what was looked for": (
        CAD,
        lambda d: setattr(every(d, "111033")[0], "TextValue", "For research use only."),
        "'Looked for masses and calcifications.'",
    ),
    "another segment label": (
        SEGMENTED,
        lambda d: setattr(d.SegmentSequence[1], "SegmentLabel", "Calcifications: not looked for"),
        "is labeled",
    ),
    "no statement": (CAD, lambda d: remove(d, "111017", "111033"), "research use"),
    "no comment": (MEASURED, lambda d: remove(d, "126000", "C0034375"), "research use"),
    "partial": (CAD, lambda d: setattr(d, "CompletionFlag", "PARTIAL"), "COMPLETE"),
    "verified": (CAD, lambda d: setattr(d, "VerificationFlag", "VERIFIED"), "UNVERIFIED"),
    "an image by value of another breast": (MEASURED, another_image, "in another image"),
    # SEG
    "no referenced series": (
        SEGMENTED,
        lambda d: delattr(d, "ReferencedSeriesSequence"),
        "ReferencedSeriesSequence is missing",
    ),
    "no derivation": (
        SEGMENTED,
        lambda d: delattr(frame(d), "DerivationImageSequence"),
        "not derived from",
    ),
    "no segment identification": (
        SEGMENTED,
        lambda d: delattr(frame(d), "SegmentIdentificationSequence"),
        "which segment it is",
    ),
    "pixels cut short": (
        SEGMENTED,
        lambda d: setattr(d, "PixelData", d.PixelData[:-2]),
        "bytes of pixels",
    ),
    "no dimensions": (
        SEGMENTED,
        lambda d: delattr(d, "DimensionIndexSequence"),
        "DimensionIndexSequence is missing",
    ),
    "no content label": (SEGMENTED, lambda d: delattr(d, "ContentLabel"), "ContentLabel"),
    "one number twice": (
        SEGMENTED,
        lambda d: setattr(d.SegmentSequence[1], "SegmentNumber", 1),
        "numbered [1, 1]",
    ),
    "an unknown source": (
        SEGMENTED,
        lambda d: setattr(source_image(d), "ReferencedSOPInstanceUID", uid("nobody")),
        "not among the sources",
    ),
    "the source of another series": (
        SEGMENTED,
        lambda d: setattr(source_image(d), "ReferencedSOPInstanceUID", uid("image", "R", "CC")),
        "not derived from",
    ),
    "the other breast, consistently": (SEGMENTED, of_another_image, "pixels, the masks 0"),
    "a flipped pixel": (SEGMENTED, flip_a_pixel, "pixels, the masks"),
    "segments exchanged": (SEGMENTED, swap_segments, "pixels, the masks"),
    "no plane orientation": (
        SEGMENTED,
        lambda d: delattr(d.SharedFunctionalGroupsSequence[0], "PlaneOrientationSequence"),
        "no plane orientation",
    ),
    "a plane position": (
        SEGMENTED,
        lambda d: setattr(frame(d), "PlanePositionSequence", [Dataset()]),
        "plane position",
    ),
    "a frame of reference": (
        SEGMENTED,
        lambda d: setattr(d, "FrameOfReferenceUID", uid("x")),
        "frame of reference",
    ),
    "no patient orientation": (
        SEGMENTED,
        lambda d: delattr(d, "PatientOrientation"),
        "PatientOrientation is missing",
    ),
    "another patient orientation": (
        SEGMENTED,
        lambda d: setattr(d, "PatientOrientation", ["P", "L"]),
        "differ in orientation",
    ),
    "no segment algorithm": (
        SEGMENTED,
        lambda d: delattr(d.SegmentSequence[0], "SegmentationAlgorithmIdentificationSequence"),
        "segments cannot be checked",
    ),
    "another segment algorithm": (
        SEGMENTED,
        lambda d: setattr(
            d.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0],
            "AlgorithmVersion",
            "9",
        ),
        "name its algorithm",
    ),
    "no segment tracking": (
        SEGMENTED,
        lambda d: delattr(d.SegmentSequence[0], "TrackingUID"),
        "tracking identifier",
    ),
}


WAYS = [Way(name, f"exam {kind}", spoil, reason) for name, (kind, spoil, reason) in SPOILED.items()]
