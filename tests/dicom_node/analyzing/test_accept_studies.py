"""Which studies are read, and which of several images of a view."""

import pytest
from pydicom import Dataset
from small_images import mammogram

from dicom_node.analyzing.accept import judge_header, judge_study
from dicom_node.analyzing.rules import Judged, Terms
from dicom_node.eligibility import Accept
from dicom_node.errors import Declined

RULES = Accept()
FOUR = ("RCC", "LCC", "RMLO", "LMLO")
STUDY, PATIENT = "2.25.1", "P1"


def image(view: str = "LCC", **changes: object) -> Dataset:
    """Describe a good image of a size that the network reads."""
    good = {"Rows": 3328, "Columns": 2560, "StudyInstanceUID": STUDY, "PatientID": PATIENT}
    return mammogram(view, **{**good, **changes})


def looked_at(headers: "list[Dataset]", accept: Accept) -> list[Judged]:
    terms = Terms(accept, FOUR)
    return [Judged(header, judge_header(header, terms)) for header in headers]


def judge_images(headers: "list[Dataset]", accept: Accept) -> tuple[Judged, ...]:
    return judge_study(looked_at(headers, accept), Terms(accept, FOUR)).images


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


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_a_day_that_is_none_does_not_make_an_image_the_oldest() -> None:
    nothing = {"AcquisitionDate": "0000-00-00", "AcquisitionTime": "000000.000"}
    content = {"ContentDate": "20250901", "ContentTime": "102000"}
    known = image(AcquisitionDate="20250901", AcquisitionTime="101600")
    later = image(**nothing, **content)
    assert codes(known, later) == ["S03", ""]
    assert codes(later, known) == ["", "S03"]


def declined_study(*images: Dataset, accept: Accept = RULES) -> Declined | None:
    return judge_study(looked_at(list(images), accept), Terms(accept, FOUR)).declined


def test_four_good_views_of_one_patient_are_read() -> None:
    assert declined_study(*(image(view) for view in FOUR)) is None


def test_a_study_without_a_readable_image_is_declined_with_all_reasons() -> None:
    answer = declined_study(image(Modality="CR"), image(PartialView="YES"), image(Modality="CR"))
    assert answer is not None
    assert answer.code == "S02"
    assert answer.sentence == (
        "no image can be read: I02: Modality is CR, not MG; I14: it is a partial view"
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
        ("060Y", "female", True),  # not the standard's word, and clear enough
        ("060Y", "male", False),
        ("060Y", None, False),
        (None, "F", True),
        ("720M", "F", True),
        ("300M", "F", False),
        ("090D", "F", False),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value")
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


@pytest.mark.parametrize(
    ("born", "welcome"),
    [("19650412", True), ("19850902", False), ("19850901", True), ("20300101", True), ("", True)],
)
def test_an_age_that_is_not_said_follows_from_two_dates(
    born: str,
    welcome: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    header = image(PatientAge=None, PatientBirthDate=born)
    assert (declined_study(header, accept=Accept(age_min=40)) is None) is welcome


def test_a_mammogram_goes_before_a_newer_synthetic_image() -> None:
    taken = image(AcquisitionTime="101600")
    computed = image(AcquisitionTime="102000", ImageType=["DERIVED", "PRIMARY", "GENERATED_2D"])
    both = Accept(synthetic_2d=True)
    assert codes(taken, computed, accept=both) == ["", "S03"]
    assert codes(computed, taken, accept=both) == ["S03", ""]
    (declined,) = [one.declined for one in judge_images([taken, computed], both) if one.declined]
    assert declined.sentence == "a mammogram of LCC is in the study"


def test_an_administrator_may_prefer_the_first_image_of_a_view() -> None:
    old, new = image(AcquisitionTime="101600"), image(AcquisitionTime="102000")
    first = Accept(repeated_views="oldest")
    assert codes(old, new, accept=first) == ["", "S03"]
    (declined,) = [one.declined for one in judge_images([old, new], first) if one.declined]
    assert declined.sentence == "an older LCC is in the study"


def test_both_views_of_the_one_breast_make_a_whole_study_where_that_is_wished() -> None:
    left = [image("LCC"), image("LMLO")]
    whole = Accept(incomplete_studies=False)
    answer = declined_study(*left, accept=whole)
    assert str(answer) == "S02: missing: RCC, RMLO"
    after_mastectomy = Accept(incomplete_studies=False, unilateral=True)
    assert declined_study(*left, accept=after_mastectomy) is None
    assert str(declined_study(left[0], accept=after_mastectomy)) == "S02: missing: LMLO"
    three = [*left, image("RCC")]
    assert str(declined_study(*three, accept=after_mastectomy)) == "S02: missing: RMLO"


def test_a_study_that_is_too_large_is_declined() -> None:
    images = [Judged(image(view), None, size_bytes=600 << 20) for view in FOUR]
    terms = Terms(Accept(max_study_megabytes=2000), FOUR)
    answer = judge_study(images, terms).declined
    assert str(answer) == "S05: its images are larger than 2000 MB together"
    assert judge_study(images[:3], terms).declined is None


def test_names_that_differ_only_in_empty_parts_are_one_name() -> None:
    assert declined_study(image("LCC"), image("RCC", PatientName="Small^Image^^")) is None


def test_an_age_of_two_digits_is_an_age() -> None:
    header = image()
    header.add_new("PatientAge", "LO", "39Y")  # AS has three
    answer = declined_study(header, accept=Accept(age_min=40))
    assert answer is not None
    assert answer.code == "S04"
