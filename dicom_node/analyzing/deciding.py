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
    analyzing: Analyzing, cards: "Sequence[Card]", point: str
) -> tuple[tuple[Correction | None, ...], Correction | None]:
    """Return what is done to each bundle's scores, and to those that they agree on.

    `point`: at which operating point they read; empty: each at its card's own.
    """
    line = calibration_of(analyzing, cards, point)
    if line is not None:
        return (None,) * len(cards), _along(line, analyzing.prevalence)
    return tuple(_shifted(card, analyzing.prevalence) for card in cards), None


def weights_of(cards: "Sequence[Card]") -> str:
    """Name the weights of all who read."""
    return joint_digest([card.weights_sha256 for card in cards])


def scale_of(cards: "Sequence[Card]", point: str) -> str:
    """Name what the scores rest on that these bundles give together, at an operating point."""
    return joint_digest([card.scale(point or None) for card in cards])


def calibration_of(
    analyzing: Analyzing, cards: "Sequence[Card]", point: str
) -> SiteCalibration | None:
    """Return the line that was fitted here to exactly such scores."""
    if not analyzing.calibrations:
        return None
    scale = scale_of(cards, point)
    return next((one for one in analyzing.calibrations if one.scale == scale), None)


def points_asked(analyzing: Analyzing) -> tuple[str, ...]:
    """Return the operating points at which studies are read here; empty: each card's own."""
    points = (analyzing.operating_point, *(one.operating_point for one in analyzing.points))
    return tuple(dict.fromkeys(points))


def idle(analyzing: Analyzing, cards: "Sequence[Card]") -> Iterator[str]:
    """Say which lines for these weights do nothing, and where such a line is missing.

    A line beside one that holds is kept for its card to come back, and nothing is said of it.
    """
    weights = weights_of(cards)
    ours = [one for one in analyzing.calibrations if one.digest == weights]
    if not ours:
        return
    here = {point: scale_of(cards, point) for point in points_asked(analyzing)}
    bare = [point for point, scale in here.items() if scale not in {one.scale for one in ours}]
    if bare:
        yield from (_misplaced(one, cards) for one in ours if one.scale not in here.values())
    for point in bare if len(bare) < len(here) else ():
        yield (
            f"analyzing.calibrations: no line was fitted for operating point {point or 'default'}: "
            "scores are as the card calibrates them there, and corrected elsewhere; "
            f"`dicom-node calibrate{f' --point {point}' if point else ''}` fits one"
        )


def _misplaced(line: SiteCalibration, cards: "Sequence[Card]") -> str:
    """Say why a line for these weights is not for the scores that they give now."""
    said = f"analyzing.calibrations: the line fitted on {line.fitted_on or 'unnamed exams'}"
    common = set.intersection(*(set(card.operating_points) for card in cards))
    for point in sorted(common):
        if scale_of(cards, point) == line.scale:
            return f"{said} is for operating point {point}, at which nothing is read"
    return (
        f"{said} belongs to another card of these weights, whose scores are other ones: it is not "
        "laid over those of this card; run `dicom-node calibrate` once enough exams were read with "
        "this one"
    )


def faults(analyzing: Analyzing, cards: "Sequence[Card]") -> Iterator[str]:
    """Say where a prevalence cannot be heeded: nobody knows what the scores were calibrated at."""
    if not analyzing.prevalence:
        return
    lines = [calibration_of(analyzing, cards, point) for point in points_asked(analyzing)]
    if any(line is not None and line.prevalence is None for line in lines):
        yield (
            "analyzing.prevalence: the calibration in analyzing.calibrations says no prevalence: "
            "add the one that `dicom-node calibrate` printed with it, or take this out"
        )
    for card in cards if None in lines else ():
        if card.calibration is not None and card.calibration.prevalence is None:
            yield (
                f"analyzing.prevalence: the card of {card.name} {card.version} does not say at "
                "which prevalence it was calibrated: take this out, or calibrate here with "
                "`dicom-node calibrate`"
            )


def calibrated_at(analyzing: Analyzing, cards: "Sequence[Card]") -> dict[str, float]:
    """Say of which part of exams with a cancer scores speak as they are, by who fitted them."""
    said, fitted = dict[str, float](), "what was fitted here"
    for line in (calibration_of(analyzing, cards, point) for point in points_asked(analyzing)):
        if line is None:
            said |= {
                f"{card.name} {card.version}": card.calibration.prevalence
                for card in cards
                if card.calibration is not None and card.calibration.prevalence is not None
            }
        elif line.prevalence is not None:  # of several, the one that is furthest from screening
            said[fitted] = max(line.prevalence, said.get(fitted, 0.0))
    return said


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
