"""What reads the studies."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from dicom_node.eligibility import Accept
from dicom_node.settings.values import Table


def _bundles(value: object) -> str | tuple[str, ...]:
    """Take a bundle's name, or a list of names; a list of one is that one."""
    names = (value,) if isinstance(value, str) else value
    if not (isinstance(names, list | tuple) and names):
        raise ValueError("wanted: a bundle's name, or a list of names")
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError("wanted: a bundle's name, or a list of names, none of them empty")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"a bundle agrees with others, not with itself; twice: {', '.join(twice)}")
    return tuple(names) if len(names) > 1 else str(names[0])


Bundles = Annotated[str | tuple[str, ...], BeforeValidator(_bundles)]


class DevicePoint(Table):
    """A kind of device, and at which operating point its images are read; `*` stands for any."""

    manufacturer: str = ""
    model: str = ""
    software_versions: str = ""
    operating_point: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if not (self.manufacturer or self.model or self.software_versions):
            raise ValueError(
                "name a manufacturer, model or software version; for all, set "
                "analyzing.operating_point"
            )
        return self


class SiteCalibration(Table):
    """What `dicom-node calibrate` found for one bundle: a line on the logit of its scores."""

    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # of the weights
    scale: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # of all that the scores rest on
    slope: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    intercept: Annotated[float, Field(allow_inf_nan=False)]
    prevalence: Annotated[float | None, Field(gt=0, lt=1)] = None
    fitted_on: Annotated[str, Field(max_length=200)] = ""


class Analyzing(Table):
    """Which bundle reads the studies, or which several, and which studies."""

    bundle: Bundles = "recall_retina_cbis"
    bundles: Path | None = None
    shadow: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    operating_point: str = ""
    points: tuple[DevicePoint, ...] = ()
    prevalence: Annotated[float, Field(ge=0, lt=1)] = 0.0
    calibrations: tuple[SiteCalibration, ...] = ()
    device: str = "cpu"
    threads: Annotated[int, Field(ge=0)] = 0
    accept: Accept = Accept()
