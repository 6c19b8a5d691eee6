"""Whatever style the headers have, whatever system read, whatever became of the study: no errors.

Every object goes into a real Orthanc and is fetched from there before the validators see it.
"""

from collections.abc import Sequence
from pathlib import Path

import matrix
import pytest
from matrix import Cell, Outcome
from orthanc_server import OrthancServer

from inference.analyzer import SYSTEMS
from inference.findings import ExamFindings
from phantom.dicom import PRESETS

pytestmark = [
    pytest.mark.journey,
    pytest.mark.filterwarnings("ignore:Invalid value"),  # of headers that are odd on purpose
    pytest.mark.filterwarnings("ignore:Value length"),
]
ARTIFACTS = matrix.ROOT / "build" / "artifacts"
MARKING = set(SYSTEMS) - {"all_conv"}  # which judges exams and marks nothing


@pytest.fixture(scope="module")
def them() -> matrix.Patients:
    return matrix.patients()


@pytest.fixture(scope="module")
def readings(them: matrix.Patients) -> dict[tuple[str, Outcome], ExamFindings]:
    return matrix.read_by_all(them)


def judged(
    name: str,
    cells: Sequence[Cell],
    them: matrix.Patients,
    readings: dict[tuple[str, Outcome], ExamFindings],
    orthanc: OrthancServer,
    folder: Path,
) -> tuple[list[matrix.File], dict[tuple[str, str], list[str]]]:
    """Build, send, fetch and judge every object of some cells; print and keep the table."""
    files: list[matrix.File] = []
    places: dict[str, Path] = {}
    for preset in PRESETS:
        mine = [cell for cell in cells if cell.preset == preset]
        made = list(matrix.objects(preset, mine, them, readings))
        places |= matrix.there_and_back(made, orthanc, folder / preset)
        files += [file.emptied for file in made]
    assert {file.sop_uid for file in files} == set(places)
    errors = matrix.complaints(files, places)
    table = matrix.table(files, errors)
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    (ARTIFACTS / f"{name}.md").write_text(table, encoding="utf-8")
    print(table)  # noqa: T201 - the table is what the test is read for
    return files, errors


def test_both_phantoms_are_what_they_are_for(
    readings: dict[tuple[str, Outcome], ExamFindings],
) -> None:
    for (system, outcome), seen in readings.items():
        assert bool(seen.findings) == (outcome is Outcome.WITH and system in MARKING), system


def test_an_eighth_of_the_matrix_has_no_error(
    them: matrix.Patients,
    readings: dict[tuple[str, Outcome], ExamFindings],
    orthanc: OrthancServer,
    tmp_path: Path,
) -> None:
    cells = matrix.slice_of()
    for preset in PRESETS:
        assert len({cell.outcome for cell in cells if cell.preset == preset}) > 1
    for system in SYSTEMS:
        assert {cell.outcome for cell in cells if cell.system == system} == set(Outcome)
    files, errors = judged("matrix_eighth", cells, them, readings, orthanc, tmp_path)
    assert {file.cell for file in files} == set(cells)
    assert {place: said for place, said in errors.items() if said} == {}


@pytest.mark.slow
def test_the_whole_matrix_has_no_error(
    them: matrix.Patients,
    readings: dict[tuple[str, Outcome], ExamFindings],
    orthanc: OrthancServer,
    tmp_path: Path,
) -> None:
    cells = matrix.whole()
    assert len(cells) == len(PRESETS) * len(SYSTEMS) * len(Outcome) >= 12 * 5 * 4
    files, errors = judged("matrix", cells, them, readings, orthanc, tmp_path)
    assert {file.cell for file in files} == set(cells)
    assert {place: said for place, said in errors.items() if said} == {}


def test_the_validators_of_the_matrix_would_complain(
    them: matrix.Patients,
    readings: dict[tuple[str, Outcome], ExamFindings],
    tmp_path: Path,
) -> None:
    cell = Cell("plain", "shared_trunk", Outcome.WITH)
    files = list(matrix.objects("plain", [cell], them, readings))
    places = {}
    for number, file in enumerate(files):
        place = places[file.sop_uid] = tmp_path / f"{number}.dcm"
        place.write_bytes(
            file.content if file.kind == matrix.SOURCE else matrix.spoiled(file, number)
        )
    errors = matrix.complaints(files, places)
    assert {column for (_, column), said in errors.items() if said} == set(matrix.COLUMNS)
    assert "objects of 1 cells" in matrix.table(files, errors)
    assert not matrix.table(files, errors).endswith(": 0 errors.\n")
