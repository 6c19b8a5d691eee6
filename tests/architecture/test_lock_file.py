"""requirements.lock holds all that pyproject.toml asks for, each with its hashes."""

import re
import tomllib
from itertools import chain, pairwise

import pytest
from checkout import ROOT
from packaging.markers import default_environment
from packaging.requirements import Requirement

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def locked() -> list[tuple[Requirement, str]]:
    """Read each pin and the lines that belong to it."""
    starts = [match.start() for match in re.finditer(r"^[a-z0-9]", LOCK, re.MULTILINE)]
    entries = [LOCK[start:end] for start, end in pairwise([*starts, len(LOCK)])]
    return [(Requirement(entry.partition("\\")[0].strip()), entry) for entry in entries]


def name_of(requirement: Requirement) -> str:
    """Spell a distribution's name the one way in which names compare."""
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


@pytest.mark.parametrize(
    "wanted", [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
)
def test_the_lock_file_holds_what_the_project_asks_for(wanted: str) -> None:
    requirement = Requirement(wanted)
    pins = [
        pin
        for pin, _ in locked()
        if name_of(pin) == name_of(requirement)
        and (pin.marker is None or pin.marker.evaluate(dict(default_environment())))
    ]
    assert len(pins) == 1, f"{wanted} is not locked; run `make lock`"
    (exactly,) = pins[0].specifier
    assert exactly.operator == "=="
    assert requirement.specifier.contains(exactly.version), f"{wanted}; run `make lock`"


def test_every_pin_has_its_hashes() -> None:
    assert [str(pin) for pin, lines in locked() if "--hash=sha256:" not in lines] == []


def test_the_lock_file_names_no_index() -> None:
    assert "://" not in LOCK
    assert not re.search(r"^\s*-(i|-index|-extra|-find|-trusted)", LOCK, re.MULTILINE)
