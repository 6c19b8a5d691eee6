"""A screening study: the four views of one synthetic patient, and what is to be found in them."""

from collections.abc import Sequence
from dataclasses import dataclass

from phantom.breast import Projection, Side
from phantom.patient import PROJECTIONS, SIDES, Patient, Wanted, patient
from phantom.tissue import glands
from phantom.view import SeenLesion, View, view

__all__ = ["SeenLesion", "Study", "View", "study"]

_PITCHES_MM = (0.025, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The views of one patient, in the order RCC, LCC, RMLO, LMLO."""

    patient: Patient
    views: tuple[View, ...]

    @property
    def cancer(self) -> bool:
        """Tell whether the patient has a malignant lesion."""
        return self.patient.cancer


def study(
    seed: int,
    *,
    pitch_mm: float = 0.1,
    lesions: Sequence[Wanted] | None = None,
    difficulty: float = 1.0,
    projections: Sequence[Projection] = PROJECTIONS,
    sides: Sequence[Side] = SIDES,
) -> Study:
    """Image the patient of a seed; the same seed gives the same pixels.

    The patient does not depend on the pitch: a study at 0.2 mm shows what one at 0.1 mm shows.
    """
    finest, coarsest = _PITCHES_MM
    if not finest <= pitch_mm <= coarsest:
        raise ValueError(f"pixels of {pitch_mm} mm: ask for a pitch of {finest} to {coarsest} mm")
    woman = patient(seed, lesions=lesions, difficulty=difficulty)
    volumes = {side: glands(woman, woman.breasts[side]) for side in sides}
    return Study(
        woman,
        tuple(
            view(woman, side, projection, volumes[side], pitch_mm)
            for projection in projections
            for side in sides
        ),
    )
