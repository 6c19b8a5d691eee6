"""Which images and studies are read: every rule by a header that breaks it."""

import pytest
from pydicom import Dataset
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

from dicom_node.analyzing.accept import (
    IMAGE_RULES,
    Judged,
    judge_image,
    judge_study,
    keep_newest,
)
from dicom_node.errors import Declined
from dicom_node.settings import Accept

RULES = Accept()
FOUR = ("RCC", "LCC", "RMLO", "LMLO")
STUDY, PATIENT = "2.25.1", "P1"
SPOT, DISPLACED = code("399055006", "Spot compression"), code("399209000", "Implant displaced")
MAGNIFIED, ROLLED = code("399163009", "Magnification"), code("399197003", "Rolled lateral")
NIPPLE, UNKNOWN = code("442581004", "Nipple in profile"), code("12345", "Something new")


def judge_images(headers: "list[Dataset]", accept: Accept) -> list[Judged]:
    return keep_newest([Judged(header, judge_image(header, accept)) for header in headers])


def image(view: str = "LCC", **changes: object) -> Dataset:
    """Describe a good image of a size that the network reads."""
    good = {"Rows": 3328, "Columns": 2560, "StudyInstanceUID": STUDY, "PatientID": PATIENT}
    return mammogram(view, **{**good, **changes})


def with_modifier(modifier: Dataset) -> dict[str, object]:
    view = code("399162004", "cranio-caudal")
    view.ViewModifierCodeSequence = [modifier]
    return {"ViewCodeSequence": [view]}


BROKEN: list[tuple[str, dict[str, object], str]] = [
    ("I01", {"SOPClassUID": DigitalMammographyXRayImageStorageForProcessing}, "For Processing"),
    ("I01", {"SOPClassUID": BreastTomosynthesisImageStorage}, "tomosynthesis"),
    ("I01", {"SOPClassUID": SecondaryCaptureImageStorage}, "Secondary Capture"),
    ("I02", {"Modality": "CR"}, "Modality is CR, not MG"),
    ("I02", {"Modality": None}, "Modality is missing"),
    ("I03", {"PresentationIntentType": "FOR PROCESSING"}, "FOR PROCESSING"),
    ("I04", {"BodyPartExamined": "CHEST"}, "CHEST, not BREAST"),
    ("I05", {"PatientID": ""}, "missing or blank: PatientID"),
    ("I05", {"PatientID": "  "}, "missing or blank: PatientID"),
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
    ("I10", {"BitsStored": None}, "BitsStored is None"),
    ("I11", {"ImageLaterality": None}, "laterality is missing"),
    ("I11", {"ImageLaterality": "B"}, "laterality is B"),
    ("I11", {"Laterality": "R"}, "ImageLaterality is L but Laterality is R"),
    ("I12", {"ViewCodeSequence": None}, "the view is missing"),
    ("I12", {"ViewCodeSequence": [code("399352003", "medio-lateral")]}, "medio-lateral, not CC"),
    ("I12", {"ViewCodeSequence": [code("399162004", "cc")] * 2}, "2 items, not one"),
    ("I12", {"ViewCodeSequence": None, "ViewPosition": "ML"}, "the view is ML"),
    ("I13", with_modifier(SPOT), "modified: spot compression"),
    ("I13", with_modifier(MAGNIFIED), "modified: magnification"),
    ("I13", with_modifier(ROLLED), "modified: Rolled lateral"),
    ("I13", with_modifier(DISPLACED), "modified: Implant displaced"),
    ("I13", {"ViewModifierCodeSequence": [UNKNOWN]}, "modified: Something new"),
    ("I13", {"EstimatedRadiographicMagnificationFactor": 1.8}, "magnified 1.80 times"),
    ("I14", {"PartialView": "YES"}, "PartialView is YES"),
    ("I15", {"BreastImplantPresent": "YES"}, "BreastImplantPresent is YES"),
    ("I16", {"ExposureStatus": "ABORTED"}, "ExposureStatus is ABORTED"),
    ("I17", {"SeriesDescription": "L CC (DES)"}, "described as des"),
    ("I17", {"SeriesDescription": "Specimen left"}, "described as specimen"),
    ("I17", {"SeriesDescription": "WIRE localisation"}, "described as wire"),
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
    assert {rule for rule, _, _ in BROKEN} == set(IMAGE_RULES)
    assert list(IMAGE_RULES) == [f"I{number:02d}" for number in range(1, 18)]


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


@pytest.mark.parametrize(
    ("wish", "changes"),
    [
        ("synthetic_2d", {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}),
        ("implant_displaced", {**with_modifier(DISPLACED), "BreastImplantPresent": "YES"}),
        ("partial_views", {"PartialView": "YES"}),
        ("lossy", {"LossyImageCompression": "01"}),
    ],
)
def test_an_administrator_may_accept_more(wish: str, changes: dict[str, object]) -> None:
    assert judge_image(image(**changes), RULES) is not None
    assert judge_image(image(**changes), Accept.model_validate({wish: True})) is None


def test_magnified_and_spot_views_are_declined_whatever_is_wished() -> None:
    everything = Accept(
        synthetic_2d=True, implant_displaced=True, partial_views=True, lossy=True, rows_min=1
    )
    for modifier in (SPOT, MAGNIFIED):
        declined = judge_image(image(**with_modifier(modifier)), everything)
        assert declined is not None
        assert declined.code == "I13"


def codes(*images: Dataset, accept: Accept = RULES) -> list[str]:
    return [one.declined.code if one.declined else "" for one in judge_images(images, accept)]


def test_of_two_images_of_a_view_the_newest_is_read() -> None:
    old = image(AcquisitionTime="101600")
    new = image(AcquisitionTime="102000")
    assert codes(old, new) == ["S03", ""]
    assert codes(new, old) == ["", "S03"]
    (declined,) = [one.declined for one in judge_images([old, new], RULES) if one.declined]
    assert declined.sentence == "a newer LCC is in the study"


def test_a_newer_image_that_is_declined_takes_nobodys_place() -> None:
    old = image(AcquisitionTime="101600")
    new = image(AcquisitionTime="102000", PartialView="YES")
    assert codes(old, new) == ["", "I14"]


def test_the_day_of_an_image_counts_before_its_time() -> None:
    yesterday = image(AcquisitionDate="20250831", AcquisitionTime="235900")
    today = image(AcquisitionDate="20250901", AcquisitionTime="080000")
    assert codes(today, yesterday) == ["", "S03"]


def declined_study(*images: Dataset, accept: Accept = RULES) -> Declined | None:
    try:
        judge_study(judge_images(images, accept), FOUR, accept)
    except Declined as answer:
        return answer
    return None


def test_four_good_views_of_one_patient_are_read() -> None:
    assert declined_study(*(image(view) for view in FOUR)) is None


def test_a_study_without_a_readable_image_is_declined_with_all_reasons() -> None:
    answer = declined_study(image(Modality="CR"), image(PartialView="YES"), image(Modality="CR"))
    assert answer is not None
    assert answer.code == "S02"
    assert answer.sentence == (
        "no image can be read: I02: Modality is CR, not MG; I14: PartialView is YES"
    )
    empty = declined_study()
    assert empty is not None
    assert empty.code == "S02"


def test_a_study_with_a_view_missing_is_read_unless_the_administrator_minds() -> None:
    three = [image(view) for view in FOUR[:3]]
    assert declined_study(*three) is None
    answer = declined_study(*three, accept=Accept(incomplete_studies=False))
    assert answer is not None
    assert str(answer) == "S02: missing: LMLO"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "P2"),
        ("PatientName", "Somebody^Else"),
        ("PatientBirthDate", "19700101"),
        ("StudyDate", "20250902"),
    ],
)
def test_images_of_two_patients_are_never_read_together(keyword: str, value: str) -> None:
    answer = declined_study(image("LCC"), image("RCC", **{keyword: value}))
    assert answer is not None
    assert str(answer) == f"S01: the images do not agree on {keyword}"
    assert value not in str(answer)


def test_an_image_that_is_declined_does_not_speak_for_the_patient() -> None:
    assert declined_study(image("LCC"), image("RCC", PatientID="P2", Modality="CR")) is None


@pytest.mark.parametrize(
    ("age", "sex", "welcome"),
    [
        ("060Y", "F", True),
        ("040Y", "F", True),
        ("074Y", "F", True),
        ("039Y", "F", False),
        ("075Y", "F", False),
        ("060Y", "M", False),
        ("060Y", None, False),
        (None, "F", True),
        ("720M", "F", True),
    ],
)
def test_age_and_sex_are_limits_where_they_are_known(
    age: str | None,
    sex: str | None,
    welcome: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    limits = Accept(age_min=40, age_max=74, sexes=("F",))
    answer = declined_study(image(PatientAge=age, PatientSex=sex), accept=limits)
    assert (answer is None) is welcome
    if answer is not None:
        assert answer.code == "S04"
        assert (age or "060")[:3] not in answer.sentence


def test_an_age_of_two_digits_is_an_age() -> None:
    header = image()
    header.add_new("PatientAge", "LO", "39Y")  # AS has three
    answer = declined_study(header, accept=Accept(age_min=40))
    assert answer is not None
    assert answer.code == "S04"
