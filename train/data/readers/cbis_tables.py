"""The four tables of CBIS-DDSM: one line an abnormality, with where its images lie."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inference.findings import Kind
from inference.mammogram import Projection, Side
from train.data.readers.tables import Row, rows

NAME = "CBIS-DDSM"
TABLES = "*_case_description_*_set.csv"
COLUMNS = (
    "patient_id",
    "left or right breast",
    "image view",
    "abnormality id",
    "abnormality type",
    "assessment",
    "pathology",
    "subtlety",
    "image file path",
    "cropped image file path",
    "ROI mask file path",
)
SIDES = {"LEFT": Side.LEFT, "RIGHT": Side.RIGHT}
VIEWS = {"CC": Projection.CC, "MLO": Projection.MLO}
KINDS = {"MASS": Kind.MASS, "CALCIFICATION": Kind.CALCIFICATION}
MALIGNANT = {"MALIGNANT": True, "BENIGN": False, "BENIGN_WITHOUT_CALLBACK": False}


@dataclass(frozen=True, slots=True)
class View:
    """Which film it is: there is one of each view of a patient."""

    patient: str
    side: Side
    projection: Projection


@dataclass(frozen=True, slots=True)
class Abnormality:
    """One line of a table."""

    view: View
    kind: Kind
    malignant: bool
    row: Row

    @property
    def facts(self) -> dict[str, str]:
        """Say what the radiologist said of it."""
        return self.row.facts(
            abnormality="abnormality id",
            pathology="pathology",
            birads="assessment",
            subtlety="subtlety",
            shape="mass shape",
            margins="mass margins",
            type="calc type",
            distribution="calc distribution",
        )


def abnormalities(table: Path) -> Iterator[Abnormality]:
    """Read one table."""
    for row in rows(table, COLUMNS):
        view = View(
            row["patient_id"],
            row.one_of("left or right breast", SIDES),
            row.one_of("image view", VIEWS),
        )
        kind = row.one_of("abnormality type", KINDS)
        yield Abnormality(view, kind, row.one_of("pathology", MALIGNANT), row)


def cancers(found: list[Abnormality]) -> set[View]:
    """Tell which views show a cancer."""
    return {one.view for one in found if one.malignant}
