"""Which images and studies are read: every rule by a header that breaks it."""

import pytest
from pydicom import Dataset, config
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForProcessing,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    SecondaryCaptureImageStorage,
)
from small_images import code, mammogram

from dicom_node.analyzing.accept import judge_header
from dicom_node.analyzing.image_rules import IMAGE_RULES
from dicom_node.analyzing.rules import Terms
from dicom_node.eligibility import Accept
from dicom_node.errors import Declined

RULES = Accept()
FOUR = ("RCC", "LCC", "RMLO", "LMLO")
STUDY, PATIENT = "2.25.1", "P1"
SPOT, DISPLACED = code("399055006", "Spot compression"), code("399209000", "Implant displaced")
MAGNIFIED, ROLLED = code("399163009", "Magnification"), code("399197002", "Somebody's roll")
NIPPLE, UNKNOWN = code("442581004", "Nipple in profile"), code("12345", "Small^Image")


def judge_image(
    header: Dataset, accept: Accept = RULES, reads: tuple[str, ...] = ("mammogram",)
) -> Declined | None:
    return judge_header(header, Terms(accept, FOUR, frozenset(reads)))


def image(view: str = "LCC", **changes: object) -> Dataset:
    """Describe a good image of a size that the network reads."""
    good = {"Rows": 3328, "Columns": 2560, "StudyInstanceUID": STUDY, "PatientID": PATIENT}
    with config.disable_value_validation():  # what is mistyped is mistyped on purpose
        return mammogram(view, **{**good, **changes})


def with_modifier(modifier: Dataset) -> dict[str, object]:
    view = code("399162004", "cranio-caudal")
    view.ViewModifierCodeSequence = [modifier]
    return {"ViewCodeSequence": [view]}


def in_region(value: str) -> dict[str, object]:
    region = code("76752008", "Breast")
    region.AnatomicRegionModifierSequence = [code(value, "a side")]
    return {"AnatomicRegionSequence": [region]}


def in_frames(side: str) -> dict[str, object]:
    anatomy, group = Dataset(), Dataset()
    anatomy.FrameLaterality = side
    group.FrameAnatomySequence = [anatomy]
    return {"SharedFunctionalGroupsSequence": [group]}


BROKEN: list[tuple[str, dict[str, object], str]] = [
    ("I01", {"SOPClassUID": DigitalMammographyXRayImageStorageForProcessing}, "For Processing"),
    ("I01", {"SOPClassUID": BreastTomosynthesisImageStorage}, "tomosynthesis"),
    ("I01", {"SOPClassUID": SecondaryCaptureImageStorage}, "Secondary Capture"),
    ("I02", {"Modality": "CR"}, "Modality is CR, not MG"),
    ("I02", {"Modality": None}, "Modality is missing, not MG"),
    ("I03", {"PresentationIntentType": "FOR PROCESSING"}, "FOR PROCESSING"),
    ("I04", {"BodyPartExamined": "CHEST"}, "CHEST, not BREAST"),
    ("I05", {"PatientID": ""}, "missing or blank: PatientID"),
    ("I05", {"PatientID": "  "}, "missing or blank: PatientID"),
    ("I05", {"PatientID": ["12", "34"]}, "a backslash divides"),
    ("I05", {"PatientName": ["A^B", "C"], "StudyID": ["1", "2"]}, "PatientName, StudyID"),
    (
        "I05",
        {"StudyDate": None, "ManufacturerModelName": None},
        "missing or blank: StudyDate, ManufacturerModelName",
    ),
    ("I06", {"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_SCOUT"]}, "scout or stereo"),
    ("I06", {"ImageType": ["DERIVED", "PRIMARY", "STEREO_PLUS"]}, "scout or stereo"),
    (
        "I06",
        {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]},
        "analyzing.accept.synthetic_2d is false",
    ),
    ("I06", {"SeriesDescription": "L CC C-View"}, "a synthetic 2D image"),
    ("I07", {"QualityControlImage": "YES"}, "QualityControlImage is YES"),
    ("I08", {"LossyImageCompression": "01"}, "compressed with loss"),
    ("I09", {"Rows": 1749}, "1749 x 2560 pixels; each side must be 1750 to 6000"),
    ("I09", {"Columns": 6001}, "3328 x 6001"),
    ("I09", {"Rows": None}, "Rows or Columns is missing"),
    ("I09", {"NumberOfFrames": 40}, "40 frames"),
    ("I10", {"PhotometricInterpretation": "RGB"}, "RGB, not MONOCHROME1 or 2"),
    ("I10", {"PhotometricInterpretation": None}, "missing, not MONOCHROME1 or 2"),
    ("I10", {"SamplesPerPixel": 3}, "one sample of 16"),
    ("I10", {"BitsAllocated": 8}, "one sample of 16"),
    ("I10", {"BitsStored": 8}, "BitsStored is 8, not 10 to 16"),
    ("I10", {"BitsStored": None}, "BitsStored is missing"),
    ("I11", {"ImageLaterality": None}, "laterality is missing"),
    ("I11", {"ImageLaterality": "B"}, "both breasts are in one image"),
    ("I11", {"ImageLaterality": "Small^Image"}, "laterality is a word that is not known"),
    ("I11", {"Laterality": "R"}, "ImageLaterality is L but Laterality is R"),
    ("I11", in_region("24028007"), "ImageLaterality is L but AnatomicRegionModifierSequence is R"),
    ("I11", in_frames("B"), "ImageLaterality is L but FrameLaterality is B"),
    ("I12", {"ViewCodeSequence": None}, "the view is missing"),
    ("I12", {"ViewCodeSequence": [code("399352003", "Small^Image")]}, "latero-medial, not CC"),
    ("I12", {"ViewCodeSequence": [code("399162004", "cc")] * 2}, "2 items, not one"),
    ("I12", {"ViewCodeSequence": [code("G-8310", "x")]}, "tissue specimen, not CC"),
    ("I12", {"ViewCodeSequence": [code("R-1024A", "x")]}, "exaggerated cranio-caudal, laterally"),
    ("I12", {"ViewCodeSequence": [code("77", "Small^Image")]}, "not a code that we know, not CC"),
    ("I12", {"ViewCodeSequence": None, "ViewPosition": "ML"}, "the view is ML"),
    ("I12", {"ViewPosition": "MLO"}, "ViewCodeSequence says CC but ViewPosition is MLO"),
    ("I13", with_modifier(SPOT), "modified: spot compression"),
    ("I13", with_modifier(MAGNIFIED), "modified: magnification"),
    ("I13", with_modifier(ROLLED), "modified: rolled lateral"),
    ("I13", with_modifier(DISPLACED), "modified: implant displaced"),
    ("I13", {"ViewModifierCodeSequence": [UNKNOWN]}, "modified: not a code that we know"),
    ("I13", {"ViewModifierCodeSequence": [code("R-102D2", "x")]}, "modified: cleavage"),
    ("I13", {"EstimatedRadiographicMagnificationFactor": 1.8}, "magnified 1.80 times"),
    ("I14", {"PartialView": "YES"}, "partial view"),
    ("I14", {"PartialViewCodeSequence": [code("255561001", "Medial")]}, "partial view"),
    ("I15", {"BreastImplantPresent": "YES"}, "the implant is not displaced"),
    ("I16", {"ExposureStatus": "ABORTED"}, "ExposureStatus is ABORTED"),
    ("I17", {"SeriesDescription": "L CC (DES)"}, "described as des"),
    ("I17", {"SeriesDescription": "Specimen left"}, "described as specimen"),
    ("I17", {"SeriesDescription": "WIRE localisation"}, "described as wire"),
    ("I17", {"SeriesDescription": "L CC SPOT"}, "described as spot"),
    ("I17", {"SeriesDescription": "mag 1.8 L CC"}, "described as mag"),
    ("I17", {"SeriesDescription": "L_CC_MAG"}, "described as mag"),
    ("I17", {"SeriesDescription": "MAG2 L CC"}, "described as mag"),
    ("I17", {"SeriesDescription": "3D_Scout"}, "described as scout"),
    ("I17", {"SeriesDescription": "LCC(LE)"}, "described as le"),
    ("I20", {"DetectorType": "PIGEON"}, "a detector whose type is a word that is not known"),
    ("I22", {"ContrastBolusAgent": "Iopamidol"}, "contrast agent"),
    ("I24", {"BurnedInAnnotation": "YES"}, "its pixels may name the patient; analyzing.accept.b"),
    ("I24", {"BurnedInAnnotation": ["NO", "yes "]}, "BurnedInAnnotation is YES"),
    ("I22", {"ImageType": ["DERIVED", "PRIMARY", "", "LOW_ENERGY"]}, "ImageType says LOW_ENERGY"),
]


@pytest.mark.parametrize(("rule", "changes", "said"), BROKEN)
def test_an_image_that_breaks_a_rule_is_declined_with_its_code(
    rule: str, changes: dict[str, object], said: str
) -> None:
    declined = judge_image(image(**changes), RULES)
    assert declined is not None
    assert declined.code == rule
    assert said in declined.sentence


@pytest.mark.parametrize(
    ("rule", "keyword"),
    [("I09", "NumberOfFrames"), ("I13", "EstimatedRadiographicMagnificationFactor")],
)
def test_a_value_that_cannot_be_read_is_an_answer_and_is_not_told(rule: str, keyword: str) -> None:
    header = image()
    header.add_new(keyword, "LO", "Small^Image")
    declined = judge_image(header, RULES)
    assert declined is not None
    assert declined.code == rule
    assert "cannot be read" in declined.sentence
    assert "Small" not in declined.sentence


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless])
def test_a_transfer_syntax_with_loss_needs_no_attribute_to_say_so(syntax: UID) -> None:
    header = image()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax
    declined = judge_image(header, RULES)
    assert declined is not None
    assert declined.code == "I08"
    assert judge_image(header, Accept(lossy=True)) is None


def test_every_rule_has_a_header_that_breaks_it() -> None:
    # These have their own tests: a file's syntax, and lists that nobody has by default.
    apart = {"I19", "I21", "I25"}
    assert {rule for rule, _, _ in BROKEN} | apart == {rule.code for rule in IMAGE_RULES}
    numbers = [*range(1, 18), 19, 20, 21, 22, 24, 25]
    assert [rule.code for rule in IMAGE_RULES] == [f"I{number:02d}" for number in numbers]


@pytest.mark.parametrize(
    ("view", "changes"),
    [
        *((view, {}) for view in FOUR),
        ("LCC", {"ImageType": ["ORIGINAL", "PRIMARY"]}),
        ("LCC", {"ImageType": ["DERIVED", "SECONDARY"]}),
        ("LCC", {"PresentationIntentType": None, "BodyPartExamined": ""}),
        ("LCC", {"ImageLaterality": None, "Laterality": "L"}),
        ("LCC", {"ImageLaterality": "L", "Laterality": "L"}),
        ("LCC", {"ViewCodeSequence": None, "ViewPosition": "CC"}),
        ("LCC", {"ViewCodeSequence": [code("R-10242", "cranio-caudal")]}),
        ("LCC", {"ViewModifierCodeSequence": [NIPPLE]}),
        ("LCC", {"EstimatedRadiographicMagnificationFactor": 1.08}),
        ("LCC", {"EstimatedRadiographicMagnificationFactor": None}),
        ("LCC", {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 10}),
        ("LCC", {"LossyImageCompression": "00", "QualityControlImage": "NO"}),
        ("LCC", {"NumberOfFrames": 1, "PartialView": "NO", "BreastImplantPresent": "NO"}),
        ("LCC", {"ExposureStatus": "NORMAL", "SeriesDescription": "L CC"}),
        ("LCC", {"Rows": 1750, "Columns": 6000}),
    ],
)
def test_a_good_image_is_accepted(view: str, changes: dict[str, object]) -> None:
    plain = image(view, EstimatedRadiographicMagnificationFactor=1.0)
    for keyword, value in changes.items():
        if value is not None:
            setattr(plain, keyword, value)
        elif keyword in plain:
            delattr(plain, keyword)
    assert judge_image(plain, RULES) is None


IMPLANT = {"BreastImplantPresent": "YES"}


@pytest.mark.parametrize(
    ("wish", "changes"),
    [
        (
            {"synthetic_2d": True},
            {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]},
        ),
        ({"implant_displaced": True}, {**with_modifier(DISPLACED), **IMPLANT}),
        ({"implants": True}, IMPLANT),
        ({"partial_views": True}, {"PartialView": "YES"}),
        ({"lossy": True}, {"LossyImageCompression": "01"}),
        ({"burned_in": True}, {"BurnedInAnnotation": "YES"}),
        ({"contrast": True}, {"ContrastBolusAgent": "Iopamidol"}),
        ({"contrast": True}, {"ImageType": ["DERIVED", "PRIMARY", "", "RECOMBINED"]}),
        ({"body_parts": ["BREAST", "mamma"]}, {"BodyPartExamined": "MAMMA"}),
        ({"modifiers": ["rolled_lateral"]}, with_modifier(ROLLED)),
        ({"magnification_max": 2.0}, {"EstimatedRadiographicMagnificationFactor": 1.8}),
        ({"declined_series": []}, {"SeriesDescription": "Specimen left"}),
        ({"unnamed_devices": True}, {"Manufacturer": "", "ManufacturerModelName": None}),
        ({"bits_stored_min": 8}, {"BitsStored": 8}),
        ({"rows_min": 1000}, {"Rows": 1100}),
        ({"rows_max": 7000}, {"Rows": 6500}),
    ],
)
def test_an_administrator_may_accept_more(
    wish: dict[str, object], changes: dict[str, object]
) -> None:
    assert judge_image(image(**changes)) is not None
    assert judge_image(image(**changes), Accept.model_validate(wish)) is None


@pytest.mark.parametrize(
    ("wish", "changes", "said"),
    [
        ({"detectors": ["DIRECT"]}, {"DetectorType": "FILM"}, "I20: it is a digitized film"),
        ({"detectors": ["DIRECT"]}, {"ConversionType": "DF"}, "I20: it is a digitized film"),
        ({"detectors": [""]}, {"DetectorType": "STORAGE"}, "I20: it is from a storage phosphor"),
        ({"detectors": ["DIRECT"]}, {}, "I20: it is from a detector whose type is missing"),
        ({"manufacturers": ["Stone"]}, {}, "I21: its manufacturer is not among analyzing.accept"),
        ({"modifiers": []}, {"ViewModifierCodeSequence": [NIPPLE]}, "I13: the view is modified"),
        ({"magnification_max": 1.0}, {"EstimatedRadiographicMagnificationFactor": 1.08}, "I13: "),
        ({"declined_series": ["L CC"]}, {"SeriesDescription": "L CC"}, "I17: the series is"),
        ({"bits_stored_min": 13}, {}, "I10: BitsStored is 12, not 13 to 16"),
    ],
)
def test_an_administrator_may_accept_less(
    wish: dict[str, object], changes: dict[str, object], said: str
) -> None:
    assert judge_image(image(**changes)) is None
    assert str(judge_image(image(**changes), Accept.model_validate(wish))).startswith(said)


def test_a_manufacturer_is_known_by_a_part_of_its_name_in_any_case() -> None:
    paper = Accept(manufacturers=("stone", "PAPER"))
    assert judge_image(image(Manufacturer="Paper Works, Ltd."), paper) is None


@pytest.mark.parametrize("place", ["MAGDEBURG L CC", "L CC SPOTLESS? no", "(LEFT)"])
def test_a_special_word_is_a_whole_word_or_the_beginning_of_one(place: str) -> None:
    declined = judge_image(image(SeriesDescription=place))
    assert (declined is None) == (place != "L CC SPOTLESS? no")


def test_implants_that_are_displaced_and_those_that_are_not_are_two_decisions() -> None:
    lying, displaced = image(**IMPLANT), image(**IMPLANT, **with_modifier(DISPLACED))
    for wish, image_read, image_left in (
        ({"implants": True}, lying, displaced),
        ({"implant_displaced": True}, displaced, lying),
    ):
        assert judge_image(image_read, Accept.model_validate(wish)) is None
        assert judge_image(image_left, Accept.model_validate(wish)) is not None


def test_magnified_and_spot_views_are_declined_whatever_is_wished() -> None:
    everything = Accept(
        synthetic_2d=True, implant_displaced=True, partial_views=True, lossy=True, rows_min=1
    )
    for modifier in (SPOT, MAGNIFIED):
        declined = judge_image(image(**with_modifier(modifier)), everything)
        assert declined is not None
        assert declined.code == "I13"


@pytest.mark.parametrize(
    ("reads", "changes", "code_without"),
    [
        (
            "for_processing",
            {
                "SOPClassUID": DigitalMammographyXRayImageStorageForProcessing,
                "PresentationIntentType": "FOR PROCESSING",
            },
            "I01",
        ),
        (
            "tomosynthesis",
            {"SOPClassUID": BreastTomosynthesisImageStorage, "NumberOfFrames": 40},
            "I01",
        ),
        (
            "synthetic_2d",
            {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]},
            "I06",
        ),
    ],
)
def test_a_bundle_that_takes_more_permits_more(
    reads: str, changes: dict[str, object], code_without: str
) -> None:
    declined = judge_image(image(**changes))
    assert declined is not None
    assert declined.code == code_without
    assert judge_image(image(**changes), reads=("mammogram", reads)) is None


def test_a_transfer_syntax_that_nobody_decodes_is_declined() -> None:
    header = image()
    header.file_meta = FileMetaDataset()
    for syntax in (UID("1.2.840.10008.1.2.4.100"), UID("1.2.840.10008.1.2.4.92"), UID("1.2.3")):
        header.file_meta.TransferSyntaxUID = syntax
        assert str(judge_image(header)) == "I19: its transfer syntax cannot be decoded here"
