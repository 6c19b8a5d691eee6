"""Each kind of study that the phantom can send meets the rule that it names, as files."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dicom_node.analyzing.accept import rules
from dicom_node.analyzing.explain import ExplainedStudy, explain
from dicom_node.analyzing.rules import Terms
from dicom_node.eligibility import Accept
from phantom.dicom import write
from phantom.kinds import KINDS, specimen
from phantom.study import Study, study

FOUR = ("RCC", "LCC", "RMLO", "LMLO")
SMALLEST = 300  # of the phantom's thinned pixels, so that the test is quick
# The file that is no image, the file and the study that are too large, and the late image that
# brings nothing, or comes when the others are gone, and what a site keeps out by rules of its own,
# have tests of their own.
NO_KIND = {"I00", "I23", "I25", "S05", "S06", "S07"}

Ask = Callable[[str, str, Mapping[str, object]], ExplainedStudy]


@pytest.fixture(scope="module")
def woman() -> Study:
    return study(7, pitch_mm=0.4, lesions=())


@pytest.fixture
def ask(woman: Study, tmp_path: Path) -> Ask:
    """Write a kind as files, and judge them as the node does."""

    def judged(name: str, preset: str, wishes: Mapping[str, object]) -> ExplainedStudy:
        folder = tmp_path / name
        if not folder.exists():
            write(specimen(name, woman, preset=preset), folder)
        accept = Accept.model_validate({"rows_min": SMALLEST, **wishes})
        broken, (seen,) = explain([folder], Terms(accept, FOUR))
        assert broken == []
        return seen

    return judged


def codes(seen: ExplainedStudy) -> set[str]:
    verdicts = [one.judged.declined for one in seen.files]
    return {one.code for one in (*verdicts, seen.study.declined) if one is not None}


# The styles farthest from the plain one: views in words, sides of series, nothing of a detector.
@pytest.mark.parametrize("preset", ["plain", "fuji_cr", "film"])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore:Invalid value")  # the traps of these styles are there to be met
def test_each_kind_meets_its_rule_and_no_other(ask: Ask, name: str, preset: str) -> None:
    kind = KINDS[name]
    left_alone = {"S02"} if kind.meets.startswith("I") else set()  # where no image is left
    assert codes(ask(name, preset, kind.when)) - left_alone == {kind.meets} - {""}
    if kind.unless:
        assert codes(ask(name, preset, kind.unless)) == set()
    if kind.when:
        assert codes(ask(name, preset, {})) == set()


def test_every_rule_has_a_kind_that_meets_it() -> None:
    assert {kind.meets for kind in KINDS.values()} - {""} == {one.code for one in rules()} - NO_KIND


def test_every_kind_that_is_left_out_is_told_in_a_sentence_without_the_patient(
    ask: Ask, woman: Study
) -> None:
    patient = specimen("screening", woman)[0]
    secrets = [str(patient.PatientName), str(patient.PatientID), str(patient.PatientBirthDate)]
    for name, kind in KINDS.items():
        seen = ask(name, "plain", kind.when)
        told = [one.judged.declined for one in seen.files]
        sentences = [one.sentence for one in (*told, seen.study.declined) if one is not None]
        assert bool(sentences) == bool(kind.meets), name
        assert all(len(sentence) > 10 for sentence in sentences)
        assert not any(secret in sentence for sentence in sentences for secret in secrets)
