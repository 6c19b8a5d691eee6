"""Every element of every object, taken away, emptied, changed: the proof notices it, or says why
not."""

import pytest
from conftest import header
from scenes import CAD, MEASURED, SEGMENTED, first_view_alone, scenes_of
from spoiling import Scene, unnoticed

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.maker import Maker
from inference.findings import ExamFindings

SOME_OF_THEM = 11  # in the quick suite: each eleventh change

# What may change unnoticed, and why nobody is misled by it.
ANY_OBJECT = {
    r"file meta/(FileMetaInformation|MediaStorage)\w+ \w+": "written anew with every file",
    r"file meta/Implementation\w+ \w+": "which software wrote the file; nobody acts on it",
    r"SeriesNumber changed": "where the series sorts, still behind the images",
}
WHO_WROTE_IT = r"(Manufacturer|SoftwareVersions|ContributionDescription)"
BY_HIGHDICOM = {
    rf"ContributingEquipmentSequence 2/{WHO_WROTE_IT} changed": "which library helped, in words",
    r"ContributingEquipmentSequence/ContributionDescription changed": "words beside a code",
}
MORE_DIGITS = r".*/MeasuredValueSequence/FloatingPointValue deleted"
HARMLESS = {
    CAD: ANY_OBJECT,
    MEASURED: ANY_OBJECT | BY_HIGHDICOM | {MORE_DIGITS: "the number stands there with fewer"},
    SEGMENTED: ANY_OBJECT
    | BY_HIGHDICOM
    | {
        r"SegmentSequence( 2)?/RecommendedDisplayCIELabValue changed": "which color; never none",
        r"DimensionIndexSequence/DimensionDescriptionLabel changed": "words beside the tag",
    },
}


@pytest.fixture(scope="module")
def one_view(exam: ExamFindings, maker: Maker, first_round: Circumstances) -> dict[str, Scene]:
    """Hold objects of one view with a mass and a calcification: every element there can be."""
    alone = first_view_alone(exam)
    (view,) = alone.views
    sources = [header(view.side, view.projection)]
    return scenes_of("one view", sources, alone, maker, first_round)


@pytest.mark.parametrize("kind", [CAD, MEASURED, SEGMENTED])
def test_changes_of_any_element_are_noticed(kind: str, one_view: dict[str, Scene]) -> None:
    assert unnoticed(one_view[f"one view {kind}"], HARMLESS[kind], SOME_OF_THEM) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", [CAD, MEASURED, SEGMENTED])
def test_every_change_of_every_element_is_noticed(kind: str, one_view: dict[str, Scene]) -> None:
    assert unnoticed(one_view[f"one view {kind}"], HARMLESS[kind]) == []
