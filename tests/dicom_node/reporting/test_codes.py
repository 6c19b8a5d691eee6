import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from dicom_node.reporting import codes
from dicom_node.reporting.codes import Concept, Dialect

STANDARD = {
    scheme: {value: meaning for each in named.values() for value, (meaning, _) in each.items()}
    for scheme, named in concepts.items()
}


def every() -> Iterator[tuple[str, Concept]]:
    for name, value in vars(codes).items():
        if isinstance(value, Concept):
            yield name, value
        elif isinstance(value, dict) and name.isupper():
            yield from ((f"{name} {key}", concept) for key, concept in value.items())


def folded(words: str) -> str:
    return re.sub(r"[\s\u200b]", "", words).lower()


@pytest.mark.parametrize(("name", "concept"), list(every()))
def test_a_code_is_the_standards(name: str, concept: Concept) -> None:
    if concept.scheme == "UCUM" and concept.value.startswith("{"):
        assert concept.value[1:-1] == folded(concept.meaning)  # words in braces are free in UCUM
    elif concept.scheme in {"DCM", "UCUM"}:
        assert folded(STANDARD[concept.scheme][concept.value]) == folded(concept.meaning), name
    elif concept.scheme == "SCT":
        assert concept.value in STANDARD["SCT"], name


@pytest.mark.parametrize(("name", "concept"), list(every()))
def test_a_retired_code_means_the_same(name: str, concept: Concept) -> None:
    if concept.retired is not None:
        assert mapping["SRT"][concept.retired] == concept.value, name


def test_every_code_is_used() -> None:
    room = Path(codes.__file__).parent.parent
    words = " ".join(path.read_text() for path in room.rglob("*.py") if path.name != "codes.py")
    names = {name.split(" ")[0] for name, _ in every()}
    assert {name for name in names if not re.search(rf"\b{name}\b", words)} == set()


def test_a_concept_is_spelled_in_the_dialect_of_the_destination() -> None:
    breast = codes.item(codes.BREAST, Dialect("SRT"))
    assert (breast.CodeValue, breast.CodingSchemeDesignator) == ("T-04000", "SRT")
    shown = codes.item(codes.PRESENTATION_REQUIRED, Dialect(short_meanings=True))
    assert shown.CodeMeaning == "Presentation Required"
    assert codes.item(codes.PERCENT, Dialect("SRT")).CodingSchemeDesignator == "UCUM"
