"""Which images and studies may be read: the administrator's part, [analyzing.accept]."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

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

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not (self.rows_min <= self.rows_max and self.age_min <= self.age_max):
            raise ValueError("wanted: rows_min <= rows_max and age_min <= age_max")
        return self
