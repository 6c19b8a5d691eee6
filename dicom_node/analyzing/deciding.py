"""At which operating point a study is read, and what this site makes of its scores."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pydicom import Dataset

from dicom_node import facts
from dicom_node.settings.analyzing import Analyzing, DevicePoint, SiteCalibration
from inference.bundle import joint_digest
from inference.findings import Correction
from inference.scores import EDGE, logit_of

if TYPE_CHECKING:
    from inference.bundle import Card


def point_for(analyzing: Analyzing, headers: Sequence[Dataset]) -> str:
    """Return the operating point of the devices that made these images; empty: each card's own.

    One exam is decided on at one point: where its images come from devices with several, it is the
    node's own.
    """
    asked = {
        next((one.operating_point for one in analyzing.points if made_by(header, one)), "")
        for header in headers
    }
    return (
        asked.pop() or analyzing.operating_point if len(asked) == 1 else analyzing.operating_point
    )


def made_by(header: Dataset, device: DevicePoint) -> bool:
    """Say whether an image comes from such a device; what is left empty asks nothing."""
    asked = {
        "Manufacturer": device.manufacturer,
        "ManufacturerModelName": device.model,
        "SoftwareVersions": device.software_versions,
    }
    return all(
        any(fnmatchcase(word.casefold(), wanted.casefold()) for word in facts.words(header, name))
        for name, wanted in asked.items()
        if wanted
    )


def corrections(
    analyzing: Analyzing, cards: "Sequence[Card]"
) -> tuple[tuple[Correction | None, ...], Correction | None]:
    """Return what is done to each bundle's scores, and to those that they agree on."""
    line = calibration_of(analyzing, cards)
    if line is not None:
        return (None,) * len(cards), _along(line, analyzing.prevalence)
    return tuple(_shifted(card, analyzing.prevalence) for card in cards), None


def calibration_of(analyzing: Analyzing, cards: "Sequence[Card]") -> SiteCalibration | None:
    """Return the line that was fitted here for exactly these weights."""
    digest = joint_digest([card.weights_sha256 for card in cards])
    fitting = (one for one in analyzing.calibrations if one.digest == digest)
    return next(fitting, None)


def faults(analyzing: Analyzing, cards: "Sequence[Card]") -> Iterator[str]:
    """Say where a prevalence cannot be heeded: nobody knows what the scores were calibrated at."""
    if not analyzing.prevalence:
        return
    line = calibration_of(analyzing, cards)
    if line is not None:
        if line.prevalence is None:
            yield (
                "analyzing.prevalence: the calibration in analyzing.calibrations says no "
                "prevalence: add the one that `dicom-node calibrate` printed with it, or take "
                "this out"
            )
        return
    for card in cards:
        if card.calibration is not None and card.calibration.prevalence is None:
            yield (
                f"analyzing.prevalence: the card of {card.name} {card.version} does not say at "
                "which prevalence it was calibrated: take this out, or calibrate here with "
                "`dicom-node calibrate`"
            )


def calibrated_at(analyzing: Analyzing, cards: "Sequence[Card]") -> dict[str, float]:
    """Say of which part of exams with a cancer scores speak as they are, by who fitted them."""
    line = calibration_of(analyzing, cards)
    if line is not None:
        return {"what was fitted here": line.prevalence} if line.prevalence else {}
    return {
        f"{card.name} {card.version}": card.calibration.prevalence
        for card in cards
        if card.calibration is not None and card.calibration.prevalence is not None
    }


def _along(line: SiteCalibration, prevalence: float) -> Correction:
    why = f"calibrated here on {line.fitted_on}" if line.fitted_on else "calibrated here"
    if not prevalence or line.prevalence is None:
        return Correction(line.slope, line.intercept, why)
    return Correction(
        line.slope,
        line.intercept + _shift(line.prevalence, prevalence),
        f"{why}; {_from_to(line.prevalence, prevalence)}",
    )


def _shifted(card: "Card", prevalence: float) -> Correction | None:
    then = None if card.calibration is None else card.calibration.prevalence
    if not prevalence or then is None:
        return None
    return Correction(1.0, _shift(then, prevalence), _from_to(then, prevalence))


def _shift(then: float, now: float) -> float:
    return logit_of(now, EDGE) - logit_of(then, EDGE)


def _from_to(then: float, now: float) -> str:
    return f"prevalence {100 * now:.3g} % in place of {100 * then:.3g} %"
