"""The settings beside each archive are sound, and what they say of the other side fits to them."""

import re
from pathlib import Path

import pytest
from checkout import ROOT, documents

from dicom_node.settings.file import load_settings

EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.toml"))


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_is_one_for_each_archive_and_the_page_names_it() -> None:
    assert {path.stem for path in EXAMPLES} >= {"orthanc", "dcm4chee"}
    page = documents()["docs/administration.md"]
    assert [path.name for path in EXAMPLES if f"config/examples/{path.name}" not in page] == []


def test_the_settings_are_valid_and_lead_both_ways(example: Path) -> None:
    settings = load_settings(example)
    (destination,) = settings.delivering.destinations
    assert destination.name == example.stem
    assert destination.host is not None
    assert settings.receiving.caller_at(destination.ae_title or "", destination.host) is not None
    assert settings.node.data.is_absolute()
    assert settings.receiving.address not in {"", "127.0.0.1"}, "a PACS could not connect"


def test_what_is_entered_at_the_archive_names_this_node(example: Path) -> None:
    """The comments say how the archive calls the node: by its title, at its address and port."""
    receiving = load_settings(example).receiving
    said = "\n".join(line for line in example.read_text().splitlines() if line.startswith("#"))
    for one in (receiving.ae_title, receiving.address, str(receiving.port)):
        assert re.search(rf"\b{re.escape(one)}\b", said), one


def test_the_other_way_that_is_commented_out_is_valid_too(tmp_path: Path) -> None:
    whole = (ROOT / "config" / "examples" / "dcm4chee.toml").read_text()
    head, _, web = whole.partition("there is no storage commitment then:\n#\n")
    without = head.partition("[[delivering.destinations]]")[0]
    (tmp_path / "secret").write_text("letters-and-digits")
    (tmp_path / "secret").chmod(0o600)
    spoken = web.replace("/etc/fourviews/dcm4chee.token", str(tmp_path / "secret"))
    path = tmp_path / "web.toml"
    path.write_text(without + re.sub(r"^# ", "", spoken, flags=re.MULTILINE))
    (destination,) = load_settings(path).delivering.destinations
    assert destination.url is not None
    assert destination.url.endswith("/rs")
