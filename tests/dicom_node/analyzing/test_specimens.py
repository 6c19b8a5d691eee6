"""Each kind of study that the phantom can send meets the rule that it names."""

from collections.abc import Mapping, Sequence

import pytest
from pydicom import Dataset

from dicom_node.analyzing.accept import IMAGE_RULES, Judged, judge_image, judge_study, keep_newest
from dicom_node.errors import Declined
from dicom_node.settings import Accept
from inference.errors import Unreadable
from inference.reading import read
from phantom.kinds import KINDS, specimen
from phantom.study import Study, study

FOUR = ("RCC", "LCC", "RMLO", "LMLO")
SMALLEST = 300  # of the phantom's thinned pixels, so that the test is quick


@pytest.fixture(scope="module")
def woman() -> Study:
    return study(7, pitch_mm=0.4, lesions=())


def judged(images: Sequence[Dataset], accept: Accept) -> list[Judged]:
    """Judge as the node does: by the headers, then by what can be read."""
    found = []
    for image in images:
        declined = judge_image(image, accept)
        if declined is None:
            try:
                read(image)
            except Unreadable as trouble:
                declined = Declined("I18", str(trouble))
        found.append(Judged(image, declined))
    return keep_newest(found)


def codes(images: Sequence[Dataset], wishes: Mapping[str, object]) -> set[str]:
    accept = Accept.model_validate({"rows_min": SMALLEST, **wishes})
    verdicts = judged(images, accept)
    found = {one.declined.code for one in verdicts if one.declined}
    try:
        judge_study(verdicts, FOUR, accept)
    except Declined as answer:
        found.add(answer.code)
    return found


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_meets_its_rule_and_no_other(woman: Study, name: str) -> None:
    kind = KINDS[name]
    images = specimen(name, woman)
    left_alone = {"S02"} if kind.meets.startswith("I") else set()  # where no image is left
    assert codes(images, kind.when) - left_alone == {kind.meets} - {""}
    if kind.unless:
        assert codes(images, kind.unless) == set()
    if kind.when:
        assert codes(images, {}) == set()


def test_every_rule_has_a_kind_that_meets_it() -> None:
    assert set(IMAGE_RULES) <= {kind.meets for kind in KINDS.values()}
