"""Which images and studies may be read: the administrator's part, [analyzing.accept]."""

import difflib
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from dicom_node import patterns

Modifier = Literal[
    "anterior_compression",
    "axillary_tail",
    "axillary_tissue",
    "cleavage",
    "inframammary_fold",
    "nipple_in_profile",
    "rolled_inferior",
    "rolled_lateral",
    "rolled_medial",
    "rolled_superior",
    "tangential",
]
Detector = Literal["DIRECT", "SCINTILLATOR", "STORAGE", "FILM", ""]
Sex = Literal["F", "M", "O", ""]
Words = tuple[Annotated[str, Field(min_length=1, max_length=64)], ...]
Megabytes = Annotated[int, Field(ge=1)]

SPECIAL_SERIES = (
    *("(LE)", "(HE)", "(DES)", "CESM", "CEDM", "SPECIMEN*", "BIOPSY*", "WIRE*"),
    *("NEEDLE*", "LOCALISATION*", "LOCALIZATION*", "STEREO*", "SCOUT*", "SPOT*"),
    *("MAG", "MAGNIFIED", "MAGNIFICATION*", "GALACTOGRAM*", "DUCTOGRAM*"),
)

NUMBERS = {"DS", "FD", "FL", "IS", "SL", "SS", "UL", "US", "SV", "UV", "DA", "US or SS"}
TEXTS = {"AE", "AS", "CS", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
FIRST_GROUP = 0x0008  # what stands before it speaks of the file or of a message


def _pattern(value: str) -> str:
    patterns.parsed(value)
    return value


def _one_line(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("wanted: a sentence on one line")
    return value.strip()


def _keyword(value: str) -> str:
    """Take a keyword of the standard, or several with dots: sequences, and what lies in them."""
    *sequences, last = value.split(".")
    for one in sequences:
        if representation(one) != "SQ":
            raise ValueError(f"a dot leads into a sequence, and {one} is none")
    if representation(last) not in NUMBERS | TEXTS:
        inside = f"; name what lies in it, as {last}.CodeValue" if _is_sequence(last) else ""
        raise ValueError(f"no rule can compare {last}: it is no text and no number{inside}")
    return value


def _is_sequence(keyword: str) -> bool:
    return representation(keyword) == "SQ"


def representation(keyword: str) -> str:
    """Return the VR that the standard gives a keyword; a ValueError says that there is none."""
    # The listener reads settings without rules of the site's own without this dictionary.
    from pydicom.datadict import dictionary_VR, keyword_dict

    tag = keyword_dict.get(keyword)
    if tag is None or tag >> 16 < FIRST_GROUP:
        close = difflib.get_close_matches(keyword, list(keyword_dict), n=1, cutoff=0.7)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"the standard has no keyword {keyword} in an image{meant}")
    return dictionary_VR(tag)


Told = Annotated[str, AfterValidator(_one_line)]
Texts = Annotated[tuple[Annotated[Told, Field(max_length=64)], ...], Field(max_length=50)]
Pattern = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_pattern)]
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=50)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Condition(BaseModel):
    """What is asked of one attribute; where several things are, all of them have to hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tag: Annotated[str, Field(max_length=200), AfterValidator(_keyword)]
    one_of: Texts = ()
    none_of: Texts = ()
    contains: Texts = ()
    matches: Patterns = ()
    at_least: Number | None = None
    at_most: Number | None = None
    present: bool | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        limits = self.at_least is not None or self.at_most is not None
        words = self.one_of or self.none_of or self.contains or self.matches
        if not (limits or words or self.present is not None):
            raise ValueError(
                "wanted: what is asked of its tag, by one_of, none_of, contains, matches, "
                "at_least, at_most or present"
            )
        if limits and representation(self.tag.rsplit(".", 1)[-1]) not in NUMBERS:
            raise ValueError(f"at_least and at_most ask for numbers, and {self.tag} is none")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("wanted: at_least <= at_most")
        return self


class OwnRule(Condition):
    """A rule of the site's own: where its conditions hold, it decides."""

    name: Annotated[str, Field(max_length=32, pattern="^[A-Za-z0-9_.-]+$")]
    do: Literal["decline", "accept"]
    why: Annotated[Told, Field(max_length=200)]
    also: tuple[Condition, ...] = ()


class Accept(BaseModel):
    """Which images and studies the bundle may read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    synthetic_2d: bool = False
    implant_displaced: bool = False
    implants: bool = False
    partial_views: bool = False
    contrast: bool = False
    lossy: bool = False
    burned_in: bool = False
    body_parts: Words = ("BREAST",)
    modifiers: tuple[Modifier, ...] = (
        "nipple_in_profile",
        "anterior_compression",
        "inframammary_fold",
        "axillary_tissue",
    )
    magnification_max: Annotated[float, Field(ge=1, le=10)] = 1.5
    declined_series: Words = SPECIAL_SERIES
    detectors: tuple[Detector, ...] = ("DIRECT", "SCINTILLATOR", "STORAGE", "FILM", "")
    manufacturers: Words = ()
    unnamed_devices: bool = False
    rows_min: Annotated[int, Field(ge=1)] = 1750
    rows_max: Annotated[int, Field(ge=1)] = 6000
    bits_stored_min: Annotated[int, Field(ge=8, le=16)] = 10
    brightest_min: Annotated[float, Field(ge=0, le=1)] = 0.66
    max_image_megabytes: Megabytes = 1500
    incomplete_studies: bool = True
    unilateral: bool = False
    repeated_views: Literal["newest", "oldest"] = "newest"
    age_min: Annotated[int, Field(ge=0)] = 0
    age_max: Annotated[int, Field(ge=0)] = 150
    sexes: tuple[Sex, ...] = ("F", "M", "O", "")
    max_study_megabytes: Megabytes = 10000
    rules: Annotated[tuple[OwnRule, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not (self.rows_min <= self.rows_max and self.age_min <= self.age_max):
            raise ValueError("wanted: rows_min <= rows_max and age_min <= age_max")
        return self

    @model_validator(mode="after")
    def _each_rule_by_its_name(self) -> Self:
        names = [rule.name for rule in self.rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"each rule needs a name of its own; twice: {', '.join(twice)}")
        return self
