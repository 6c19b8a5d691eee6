"""R4: what a file says of itself names no file of the commands that read it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from small_images import file_of, mammogram

from dicom_node.analyzing.explain import explain
from dicom_node.analyzing.rules import Terms
from dicom_node.commands.at_hand import PlainConsole
from dicom_node.eligibility import Accept
from dicom_node.errors import Misconfigured, NotYourTurn
from dicom_node.specimens import phantoms
from dicom_node.watching.accessions import cases_meant
from dicom_node.watching.render import files_of, render
from dicom_node.watching.workstation import RULES
from dicom_node.wiring import Node

PICTURES = re.compile(r"out/([LR](CC|MLO)(-\d+)?|lightbox)\.png")
KEYWORDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
NAMES = (
    *("../../victim.txt", "../victim.txt", "/etc/passwd", "..", ".", "~/victim", "-rf", "NUL.dcm"),
    *("$(touch victim)", "`touch victim`", "%2e%2e%2fvictim", "{0.__class__}", "a/b", "a\nb", "\0"),
    *("' OR 1=1 --", "<script>alert(1)</script>", "1.2.3/../../../victim.txt", "\x1b[2J"),
)


def spoiled(keyword: str, name: str) -> bytes:
    """Write an image whose UID is any text."""
    mark = "2.25." + "7" * 35
    image = mammogram(**{keyword: mark})
    return file_of(image).replace(mark.encode(), name.encode().ljust(len(mark)))


@pytest.mark.filterwarnings("ignore")
def test_R4_no_command_that_reads_files_writes_where_their_names_lead(
    node: Node, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    files = tmp_path / "in"
    files.mkdir()
    for victim in (tmp_path / "victim.txt", files / "victim.txt"):
        victim.write_text("as it was")
    for number, name in enumerate(NAMES):
        for keyword in KEYWORDS:
            (files / f"{number}-{keyword}.dcm").write_bytes(spoiled(keyword, name))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    render(files_of(files), RULES["strict"], tmp_path / "out")
    explain([files], Terms(Accept(), ("RCC", "LCC", "RMLO", "LMLO")))
    for name in NAMES:
        with pytest.raises(NotYourTurn):
            cases_meant(node, name)
        with pytest.raises(Misconfigured):
            phantoms(PlainConsole(), tmp_path / "phantoms", [1], None, name, 0.4, "screening")
        with pytest.raises(Misconfigured):
            phantoms(PlainConsole(), tmp_path / "phantoms", [1], None, "plain", 0.4, name)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    made = {str(path.relative_to(tmp_path)) for path in after.keys() - before.keys()}
    own = {name for name in made if name.startswith("var/")}
    figure(
        f"{len(NAMES)} hostile names in {len(KEYWORDS)} UIDs through render, `rules test`, phantom "
        f"and trace: 0 files beside the {len(made - own)} pictures asked for, 0 overwritten"
    )
    assert all(PICTURES.fullmatch(name) for name in made - own), made
    assert all(after[path] == content for path, content in before.items() if "var" not in str(path))
