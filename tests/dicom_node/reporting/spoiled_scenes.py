"""Ways to spoil what is true of some exams only: none found, several readers, later rounds."""

from collections.abc import Callable
from copy import deepcopy

from pydicom.dataset import Dataset
from scenes import CAD, MEASURED, SEGMENTED
from spoiled_objects import (
    by_value,
    every,
    evidence,
    flip_a_pixel,
    frame,
    meaning,
    redraw,
    remove,
    value_of,
)
from spoiling import Spoiler, Way

from dicom_node.reporting.naming import uid


def add(dataset: Dataset, keyword: str, value: object) -> None:
    setattr(dataset, keyword, value)


def again(dataset: Dataset, parent: str, child: str) -> None:
    """Say something twice."""
    above = every(dataset, parent)[0]
    one = next(item for item in above.ContentSequence if item in every(dataset, child))
    above.ContentSequence.append(deepcopy(one))


def words(dataset: Dataset, code: str, old: str, new: str) -> None:
    """Write other words in a text."""
    for item in every(dataset, code):
        item.TextValue = str(item.TextValue).replace(old, new)


def predecessor(dataset: Dataset) -> Dataset:
    series = dataset.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    document: Dataset = series.ReferencedSOPSequence[0]
    return document


def exchange_items(dataset: Dataset) -> None:
    """Put the library behind the answer: every reference then points at something else."""
    language, library, *rest = dataset.ContentSequence
    dataset.ContentSequence = [language, rest[0], library, *rest[1:]]


def one_item_more(dataset: Dataset, keyword: str) -> None:
    dataset[keyword].value.append(deepcopy(dataset[keyword].value[-1]))


def scaled(factor: float) -> Callable[[list[float]], list[float]]:
    return lambda numbers: [factor * number for number in numbers]


def moved(by: float) -> Callable[[list[float]], list[float]]:
    """Move points to the right."""
    return lambda numbers: [number + by * (place % 2 == 0) for place, number in enumerate(numbers)]


def flipped(numbers: list[float]) -> list[float]:
    """Mirror points in an image of 512 columns, as a reader does that forgot to flip back."""
    return [512 - number if place % 2 == 0 else number for place, number in enumerate(numbers)]


def smaller(numbers: list[float]) -> list[float]:
    """Draw half as large, in the same place."""
    across, down = numbers[::2], numbers[1::2]
    middle = sum(across) / len(across), sum(down) / len(down)
    return [(number + middle[place % 2]) / 2 for place, number in enumerate(numbers)]


def backwards(dataset: Dataset) -> None:
    dataset.PerFrameFunctionalGroupsSequence = list(
        reversed(dataset.PerFrameFunctionalGroupsSequence)
    )


def wider(dataset: Dataset) -> None:
    dataset.Rows, dataset.Columns = dataset.Columns, dataset.Rows


def shifted(dataset: Dataset) -> None:
    """Lose the first byte of the pixels, as a wrong offset does."""
    dataset.PixelData = dataset.PixelData[1:] + b"\0"


def redraw_number(dataset: Dataset, code: str, value: str) -> None:
    value_of(dataset, code).NumericValue = value


def points_at_image(dataset: Dataset) -> None:
    """Refer to the library, as TID 4021 wants it and TID 1410 does not."""
    region = every(dataset, "111030")[0]
    pointer = Dataset()
    pointer.RelationshipType = "SELECTED FROM"
    pointer.ReferencedContentItemIdentifier = [1, 9, 1, 1]
    region.ContentSequence = [pointer]


def again_from_center(dataset: Dataset) -> None:
    """Give a finding an area that nobody measured."""
    finding = every(dataset, "111059")[0]
    area = deepcopy(
        next(item for item in finding.ContentSequence if item in every(dataset, "111012"))
    )
    area.ConceptNameCodeSequence[0].CodeValue = "42798000"
    finding.ContentSequence.append(area)


def drop_evidence(dataset: Dataset) -> None:
    evidence(dataset).ReferencedSeriesSequence.pop()


# by the scene, the way, what is done, and what the proof says
SPOILED: list[tuple[str, str, Spoiler, str]] = [
    # nothing found
    (f"clear {CAD}", "findings announced", lambda d: meaning(d, "111017", "111242"), "not say"),
    (f"clear {CAD}", "partly done", lambda d: meaning(d, "111017", "111243"), "does not say"),
    (f"clear {CAD}", "failed", lambda d: meaning(d, "111064", "111224"), "'Succeeded'"),
    (f"clear {CAD}", "no answer", lambda d: remove(d, "111036", "111017"), "no summary"),
    (f"clear {CAD}", "no library", lambda d: remove(d, "111036", "111028"), "item"),
    (f"clear {CAD}", "library behind the answer", exchange_items, "points at no image"),
    (
        f"clear {CAD}",
        "no words of research",
        lambda d: words(d, "111033", "research", "clinical"),
        "research use",
    ),
    (f"clear {CAD}", "another study date", lambda d: add(d, "StudyDate", "20250902"), "StudyDate"),
    (f"clear {CAD}", "a comment on the patient", lambda d: add(d, "PatientComments", "x"), "place"),
    (f"clear {CAD}", "a private element", lambda d: d.add_new(0x00091001, "LO", "x"), "no place"),
    (f"clear {CAD}", "another maker", lambda d: add(d, "Manufacturer", "Somebody"), "Manufacturer"),
    (
        f"clear {CAD}",
        "made another day",
        lambda d: add(d, "ContentDate", "20250902"),
        "ContentDate",
    ),
    (f"clear {CAD}", "another instance", lambda d: add(d, "SOPInstanceUID", uid("x")), "SOPInst"),
    (f"clear {CAD}", "another round", lambda d: add(d, "InstanceNumber", 2), "InstanceNumber"),
    (f"clear {CAD}", "another modality", lambda d: add(d, "Modality", "MG"), "Modality"),
    (
        f"clear {CAD}",
        "no request",
        lambda d: delattr(d, "ReferencedRequestSequence"),
        "no ReferencedRequestSequence",
    ),
    (f"clear {CAD}", "the other side", lambda d: meaning(d, "111027", "80248007"), "Laterality"),
    (f"clear {CAD}", "another view", lambda d: meaning(d, "111031", "399368009"), "Image View"),
    (
        f"clear {CAD}",
        "a spacing in the library",
        lambda d: redraw_number(d, "111026", "7"),
        "Horiz",
    ),
    (f"scored only {CAD}", "a detection", lambda d: meaning(d, "111064", "111222"), "Attempted"),
    (f"scored only {CAD}", "no score", lambda d: remove(d, "111017", "111013"), "score"),
    (
        f"scored only {CAD}",
        "no word of what is not marked",
        lambda d: words(d, "111033", "nothing", "all"),
        "nothing",
    ),
    (
        f"masses only {CAD}",
        "calcifications looked for",
        lambda d: again(d, "111063", "111022"),
        "lists",
    ),
    (f"masses only {CAD}", "a judgment", lambda d: meaning(d, "111065", "111222"), "Attempted"),
    # two findings an image
    (f"exam {CAD}", "a finding twice", lambda d: again(d, "111017", "111034"), "findings"),
    (f"exam {CAD}", "an outline twice", lambda d: again(d, "111059", "111041"), "items"),
    (f"exam {CAD}", "a mark mirrored", lambda d: redraw(d, "111041", flipped), "elsewhere"),
    (
        f"exam {CAD}",
        "a mark of half the size",
        lambda d: redraw(d, "111041", smaller),
        "GraphicDat",
    ),
    (
        f"exam {CAD}",
        "a mark at half scale",
        lambda d: redraw(d, "111041", scaled(0.5)),
        "elsewhere",
    ),
    (f"exam {CAD}", "a center off by two", lambda d: redraw(d, "111010", moved(2)), "GraphicData"),
    (f"exam {MEASURED}", "a region off by ten", lambda d: redraw(d, "111030", moved(10)), "where"),
    (f"exam {CAD}", "another area", lambda d: redraw_number(d, "42798000", "99"), "NumericValue"),
    (f"exam {MEASURED}", "another area", lambda d: redraw_number(d, "42798000", "99"), "Numeric"),
    (
        f"exam {MEASURED}",
        "the other breast",
        lambda d: meaning(d, "272741003", "24028007"),
        "Later",
    ),
    (f"exam {MEASURED}", "no site", lambda d: remove(d, "125007", "363698007"), "items"),
    (
        f"exam {MEASURED}",
        "another device",
        lambda d: add(every(d, "121012")[0], "UID", "1.2"),
        "Dev",
    ),
    (f"exam {MEASURED}", "an image by reference", points_at_image, "no place"),
    (f"exam {MEASURED}", "no library", lambda d: remove(d, "126000", "111028"), "items"),
    (f"exam {SEGMENTED}", "frames exchanged", backwards, "pixels, the masks"),
    (f"exam {SEGMENTED}", "rows for columns", wider, "differ in size"),
    (f"exam {SEGMENTED}", "pixels shifted", shifted, "pixels, the masks"),
    (
        f"exam {SEGMENTED}",
        "the other breast",
        lambda d: add(
            d.SegmentSequence[0].AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0],
            "CodeValue",
            "24028007",
        ),
        "AnatomicRegionModifierSequence",
    ),
    (
        f"exam {SEGMENTED}",
        "a mass called a calcification",
        lambda d: add(
            d.SegmentSequence[0],
            "SegmentedPropertyTypeCodeSequence",
            deepcopy(d.SegmentSequence[1].SegmentedPropertyTypeCodeSequence),
        ),
        "SegmentedPropertyTypeCodeSequence",
    ),
    (f"exam {SEGMENTED}", "fractional", lambda d: add(d, "SegmentationType", "FRACTIONAL"), "Type"),
    (
        f"exam {SEGMENTED}",
        "a third segment",
        lambda d: one_item_more(d, "SegmentSequence"),
        "number",
    ),
    (f"exam {SEGMENTED}", "eight bits", lambda d: add(d, "BitsAllocated", 8), "BitsAllocated"),
    (
        f"exam {SEGMENTED}",
        "drawn by hand",
        lambda d: add(d.SegmentSequence[0], "SegmentAlgorithmType", "MANUAL"),
        "SegmentAlgorithmType",
    ),
    (
        f"exam {SEGMENTED}",
        "pixels of another size",
        lambda d: add(
            d.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0], "PixelSpacing", [0.1, 0.1]
        ),
        "PixelSpacing",
    ),
    (
        f"exam {SEGMENTED}",
        "upside down",
        lambda d: add(
            d.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0],
            "ImageOrientationPatient",
            [1, 0, 0, 0, -1, 0],
        ),
        "turns the image",
    ),
    (f"boxes {CAD}", "an area of a box", again_from_center, "items"),
    (
        f"boxes {CAD}",
        "a box at half scale",
        lambda d: redraw(d, "111041", scaled(0.5)),
        "elsewhere",
    ),
    # several who agreed
    (
        f"agreement {CAD}",
        "one who saw it left out",
        lambda d: words(d, "111002", "ft_mtl", "x"),
        "who",
    ),
    (f"agreement {CAD}", "another weight", lambda d: words(d, "111002", "bc", "cb"), "TextValue"),
    (
        f"agreement {MEASURED}",
        "nobody saw it",
        lambda d: words(d, "111002", "marked by", ""),
        "who",
    ),
    (
        f"agreement {MEASURED}",
        "other words",
        lambda d: words(d, "121106", "2 of 2", "1 of 2"),
        "say",
    ),
    (
        f"agreement {SEGMENTED}",
        "a member left out",
        lambda d: add(
            d.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0],
            "AlgorithmParameters",
            "bundle sha256=" + "ef" * 32,
        ),
        "AlgorithmParameters",
    ),
    # white on black, or without a spacing
    (f"inverse {CAD}", "another outline", lambda d: redraw(d, "111041", moved(3)), "GraphicData"),
    (
        f"inverse {SEGMENTED}",
        "inverse as its image",
        lambda d: add(d, "PhotometricInterpretation", "MONOCHROME1"),
        "PhotometricInterpretation",
    ),
    (f"inverse {SEGMENTED}", "a flipped pixel", flip_a_pixel, "pixels, the masks"),
    (f"no spacing {CAD}", "an area all the same", again_from_center, "items"),
    (f"no spacing {CAD}", "an image by value", by_value, "by value"),
    (f"no spacing {MEASURED}", "an orientation", lambda d: again(d, "126200", "260753009"), "item"),
    (
        f"no spacing {SEGMENTED}",
        "a spacing all the same",
        lambda d: add(d.SharedFunctionalGroupsSequence[0], "PixelMeasuresSequence", [Dataset()]),
        "PixelMeasuresSequence",
    ),
    (
        f"no spacing {SEGMENTED}",
        "an orientation",
        lambda d: add(d, "PatientOrientation", ["A", "R"]),
        "differ in orientation",
    ),
    # a later round
    (
        f"round 2 {CAD}",
        "no predecessor",
        lambda d: delattr(d, "PredecessorDocumentsSequence"),
        "replaces",
    ),
    (
        f"round 2 {CAD}",
        "another predecessor",
        lambda d: add(predecessor(d), "ReferencedSOPInstanceUID", uid("x")),
        "replaces",
    ),
    (f"round 2 {CAD}", "no word of it", lambda d: words(d, "111033", "Round 2", "R"), "Round 2"),
    (
        f"round 2 {CAD}",
        "of the first round",
        lambda d: add(d, "InstanceNumber", 1),
        "InstanceNumber",
    ),
    # a view that nobody could read
    (f"partial {CAD}", "all succeeded", lambda d: meaning(d, "111017", "111242"), "does not say"),
    (f"partial {CAD}", "no failed detections", lambda d: remove(d, "111064", "111025"), "items"),
    (f"partial {CAD}", "succeeded wholly", lambda d: meaning(d, "111064", "111222"), "Partially"),
    (
        f"partial {CAD}",
        "no word of it",
        lambda d: words(d, "111033", "Not read", "Read"),
        "TextValue",
    ),
    (f"partial {CAD}", "not in the evidence", drop_evidence, "does not list"),
    # old codes, and a place in space
    (f"old codes {CAD}", "a new code", lambda d: meaning(d, "111027", "73056007"), "Laterality"),
    (
        f"old codes {CAD}",
        "an old code of another",
        lambda d: meaning(d, "111059", "F-01775"),
        "called",
    ),
    (
        f"old codes {SEGMENTED}",
        "no place",
        lambda d: delattr(frame(d), "PlanePositionSequence"),
        "plane position",
    ),
    (
        f"old codes {SEGMENTED}",
        "no frame of reference",
        lambda d: delattr(d, "FrameOfReferenceUID"),
        "frame of reference",
    ),
    (
        f"old codes {SEGMENTED}",
        "somebody's frame of reference",
        lambda d: add(d, "FrameOfReferenceUID", uid("x")),
        "FrameOfReferenceUID",
    ),
]


WAYS = [Way(name, scene, spoil, reason) for scene, name, spoil, reason in SPOILED]
