"""The rules that a study answers as a whole, and which of several images of a view is read."""

from collections.abc import Callable, Sequence

from pydicom import Dataset

from dicom_node.analyzing.rules import MAMMOGRAM, Judged, Rule, Terms
from dicom_node.errors import Declined
from dicom_node.facts import age_years, kind, sex, taken_at, text

MEGABYTE = 1 << 20
SHARED = ("StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate", "StudyDate")

Fault = Callable[[Sequence[Judged], Terms], str]

REPEATED = Rule(
    "S03",
    "repeated view",
    "the study has another image of the same view that is to be read: a mammogram before a "
    "synthetic image, then the newest by date and time",
    "a view that was repeated; the newer image was read",
    ("repeated_views",),
)
NOTHING_NEW = Rule(
    "S06",
    "nothing new",
    "no image of a later round can be read, and an earlier round has a result, which stands (a "
    "recalled one does not)",
    "images that came later and are not read; the former result stands",
)
NOT_KEPT = Rule(
    "S07",
    "images not kept",
    "images that came earlier are no longer kept here, and an image came late: without them the "
    "study would be read in part",
    "a late image of a study whose other images were removed: the whole study is to be sent again",
)
READABLE = Rule(
    "S02",
    "readable",
    "no image can be read; or, where you ask for whole studies, a required view is missing",
    "a study without a view that can be read, or without all of the four views",
    ("incomplete_studies", "unilateral"),
)


def _one_patient(images: Sequence[Judged], _: Terms) -> str:
    headers = [one.header for one in images if one.declined is None]
    for keyword in SHARED:
        if len({_plain(header, keyword) for header in headers}) > 1:
            return f"the images do not agree on {keyword}"
    return ""


def _plain(header: Dataset, keyword: str) -> str:
    """Return an attribute without what means nothing: empty parts at a name's end."""
    said = text(header, keyword)
    return said.rstrip("^= ") if keyword == "PatientName" else said


def _age_and_sex(images: Sequence[Judged], terms: Terms) -> str:
    accept = terms.accept
    header = next((one.header for one in images if one.declined is None), None)
    if header is None:
        return ""
    years = age_years(header)
    if years is not None and not accept.age_min <= int(years) <= accept.age_max:
        return f"the patient's age is not {accept.age_min} to {accept.age_max} years"
    if sex(header) not in accept.sexes:
        return "the patient's sex is not among analyzing.accept.sexes"
    return ""


def _size(images: Sequence[Judged], terms: Terms) -> str:
    limit = terms.accept.max_study_megabytes
    total = sum(one.size_bytes for one in _accepted(images))
    return f"its images are larger than {limit} MB together" if total > limit * MEGABYTE else ""


def _readable(images: Sequence[Judged], terms: Terms) -> str:
    there = {one.view for one in _accepted(images)}
    if not there:
        reasons = sorted({str(one.declined) for one in images})
        return f"no image can be read: {'; '.join(reasons) or 'there is none'}"
    if terms.accept.incomplete_studies:
        return ""
    sides = {view[0] for view in there}
    one_breast = terms.accept.unilateral and len(sides) == 1
    wanted = [view for view in terms.required if view[0] in sides or not one_breast]
    missing = [view for view in wanted if view not in there]
    return f"missing: {', '.join(missing)}" if missing else ""


def _accepted(images: Sequence[Judged]) -> list[Judged]:
    return [one for one in images if one.declined is None]


# In this order: whose images these are counts before how many there are.
STUDY_RULES: dict[Rule, Fault] = {
    Rule(
        "S01",
        "one patient",
        "its images do not agree on the study, PatientID, PatientName, PatientBirthDate or "
        "StudyDate",
        "a study whose images name different patients or days",
    ): _one_patient,
    Rule(
        "S04",
        "age and sex",
        "the patient's age or sex is not among those to be read",
        "a patient outside the ages or sexes that are read here",
        ("age_min", "age_max", "sexes"),
    ): _age_and_sex,
    Rule(
        "S05",
        "size of the study",
        "the images that would be read are larger than the limit together",
        "an unusually large study",
        ("max_study_megabytes",),
    ): _size,
    READABLE: _readable,
}


def keep_one_of_each_view(images: Sequence[Judged], terms: Terms) -> list[Judged]:
    """Decline all but one of the accepted images of each view (S03)."""
    best: dict[str, Judged] = {}
    for one in _accepted(images):
        rival = best.get(one.view)
        if rival is None or _goes_before(one, rival, terms):
            best[one.view] = one
    return [
        one
        if one.declined is not None or best[one.view] is one
        else Judged(one.header, _left_out(one, best[one.view], terms), size_bytes=one.size_bytes)
        for one in images
    ]


def _goes_before(one: Judged, rival: Judged, terms: Terms) -> bool:
    plain = (kind(one.header) == MAMMOGRAM, kind(rival.header) == MAMMOGRAM)
    if plain[0] != plain[1]:
        return plain[0]
    if terms.accept.repeated_views == "oldest":
        return taken_at(one.header) < taken_at(rival.header)
    return taken_at(one.header) >= taken_at(rival.header)


def _left_out(one: Judged, read: Judged, terms: Terms) -> Declined:
    if kind(one.header) != kind(read.header):
        return Declined(REPEATED.code, f"a mammogram of {one.view} is in the study")
    when = "a newer" if terms.accept.repeated_views == "newest" else "an older"
    return Declined(REPEATED.code, f"{when} {one.view} is in the study")
