"""Each way an object that viewers draw can be wrong, and that the proof says so."""

import re
from pathlib import Path
from typing import Literal

import pytest
from conftest import VIEWS, header, lightbox_of
from pydicom.dataset import Dataset
from spoiled_captures import SPOILED_CAPTURES
from spoiled_presentations import SPOILED_PRESENTATIONS
from spoiled_summaries import SPOILED_SUMMARIES, SUMMARIZED
from spoiling import Scene, Way, names, unnoticed
from ways_table import judged, write

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.profile import Profile
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import KINDS_ON_DEMAND, report
from inference.findings import ExamFindings

WAYS = [
    Way(name, kind, spoil, reason)
    for spoiled in (SPOILED_PRESENTATIONS, SPOILED_CAPTURES)
    for name, (kind, spoil, reason) in spoiled.items()
]
WAYS += [
    Way(name, SUMMARIZED, spoil, reason) for name, (spoil, reason) in SPOILED_SUMMARIES.items()
]


@pytest.fixture(scope="module")
def pictured(exam: ExamFindings, maker: Maker, first_round: Circumstances) -> dict[str, Scene]:
    """Hold one object of each kind; the presentation state is of the LCC view."""
    headers = [header(side, projection) for side, projection in VIEWS]
    lightbox = lightbox_of(headers)

    def proof(dataset: Dataset) -> None:
        prove(dataset, headers, exam, lightbox)

    built = report(headers, exam, maker, first_round, KINDS_ON_DEMAND, lightbox=lightbox)
    return {each.kind: Scene(each.kind, encoded(each.dataset), proof) for each in reversed(built)}


def test_sound_objects_pass(pictured: dict[str, Scene]) -> None:
    assert set(pictured) == KINDS_ON_DEMAND
    assert [scene.complaint(scene.read()) for scene in pictured.values()] == [""] * len(pictured)


@pytest.mark.parametrize("way", WAYS, ids=names(WAYS))
def test_a_spoiled_object_is_unsound(way: Way, pictured: dict[str, Scene]) -> None:
    assert way.reason in pictured[way.scene].complaint(way.spoiled(pictured))


def test_the_table_of_pictures(pictured: dict[str, Scene], tmp_path: Path) -> None:
    rows = judged(WAYS, pictured, tmp_path)
    write("ways-of-pictures", rows)
    assert [row.way.name for row in rows if not row.said] == []
    assert all(sum(row.kind == kind for row in rows) >= 15 for kind in KINDS_ON_DEMAND)


# What every object has in common is looked at where all of them are.
COMMON = re.compile(
    r"(file meta/|Series|Study|Patient|Referring|Device|Instance|SOPInstance|Manufacturer"
    r"|Software|ContentDate|ContentTime|PresentationCreation).*"
)


HARMLESS = {
    "presentation_state": {
        ".*TextObjectSequence 3/UnformattedTextValue changed": "the site's own; two are promised"
    }
}


@pytest.mark.parametrize(
    "kind",
    [
        "presentation_state",
        pytest.param("secondary_capture", marks=pytest.mark.slow),
        pytest.param("summary", marks=pytest.mark.slow),
    ],
)
def test_no_change_of_any_element_passes(kind: str, pictured: dict[str, Scene]) -> None:
    found = unnoticed(pictured[kind], HARMLESS.get(kind, {}))
    assert [change for change in found if not COMMON.fullmatch(change)] == []


@pytest.mark.parametrize("syntax", ["implicit", "deflated"])
def test_the_same_in_other_transfer_syntaxes(
    syntax: Literal["implicit", "deflated"],
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 12])
    table.add_new("LUTData", "US", list(range(4096)))
    for each in headers:
        del each.WindowCenter, each.WindowWidth
        each.VOILUTSequence = [table]
    profile, lightbox = Profile(transfer_syntax=syntax), lightbox_of(headers)
    built = report(headers, exam, maker, first_round, KINDS_ON_DEMAND, profile, lightbox=lightbox)
    assert len(built) == 4
    for made in built:
        prove(made.dataset, headers, exam, lightbox, profile=profile)
