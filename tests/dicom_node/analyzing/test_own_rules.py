"""Rules of the site's own: what they can ask, what they may decide, and what they never do."""

import re
import time
from pathlib import Path

import pytest
from pydicom import Dataset
from small_images import code, file_of, mammogram

from dicom_node.analyzing.accept import CANNOT_BE_READ, judge_header
from dicom_node.analyzing.explain import explain
from dicom_node.analyzing.own_rules import sentence
from dicom_node.analyzing.rules import Terms
from dicom_node.eligibility import Accept
from dicom_node.errors import Misconfigured
from dicom_node.patterns import fits, parsed
from dicom_node.settings.file import load_settings

FOUR = ("RCC", "LCC", "RMLO", "LMLO")
NAME = "Mueller^Anna"


def own(*rules: dict[str, object]) -> Terms:
    """Take small images, and these rules; what a rule does not say is said here."""
    whole = [{"name": f"rule-{n}", "do": "decline", "why": "so", **r} for n, r in enumerate(rules)]
    return Terms(Accept.model_validate({"rows_min": 16, "brightest_min": 0, "rules": whole}), FOUR)


def said(image: Dataset, *rules: dict[str, object]) -> str:
    return str(judge_header(image, own(*rules)) or "")


def asked(tag: str, **tests: object) -> dict[str, object]:
    return {"tag": tag, **tests}


def station(**changes: object) -> Dataset:
    return mammogram("LCC", StationName="MG-OLD-2", PatientName=NAME, **changes)


@pytest.mark.parametrize(
    ("rule", "applies"),
    [
        (asked("StationName", one_of=["mg-old-2", "x"]), True),
        (asked("StationName", one_of=["MG-OLD"]), False),
        (asked("StationName", none_of=["MG-NEW"]), True),
        (asked("StationName", none_of=["MG-old-2"]), False),
        (asked("InstitutionName", none_of=["A"]), True),
        (asked("InstitutionName", one_of=["A"]), False),
        (asked("StationName", contains=["old"]), True),
        (asked("StationName", contains=["new"]), False),
        (asked("StationName", matches=["mg-*-[0-9]"]), True),
        (asked("StationName", matches=["MG"]), False),
        (asked("StationName", contains=["old"], none_of=["MG-OLD-2"]), False),
        (asked("KVP", at_least=28, at_most=30), True),
        (asked("KVP", at_least=28.1), False),
        (asked("Exposure", at_most=1000), False),
        (asked("StudyDate", at_least=20000101), True),
        (asked("InstitutionName", present=False), True),
        (asked("StationName", present=True), True),
        (asked("StationName", present=False), False),
        (asked("ImageType", one_of=["primary"]), True),
        (asked("ImageType", none_of=["PRIMARY"]), False),
        (asked("ProcedureCodeSequence.CodeValue", one_of=["MGSCR"]), True),
        (asked("ProcedureCodeSequence.LongCodeValue", none_of=["MGSCR"]), True),
        (asked("ProcedureCodeSequence.URNCodeValue", present=True), False),
        (asked("ProcedureCodeSequence.CodeMeaning", contains=["biopsy"]), False),
        (asked("StationName", contains=["old"], also=[asked("KVP", at_least=20)]), True),
        (asked("StationName", contains=["old"], also=[asked("KVP", at_least=40)]), False),
    ],
)
def test_a_rule_applies_where_everything_holds_that_it_asks(
    rule: dict[str, object], *, applies: bool
) -> None:
    procedures = [code("MGDIAG", "Diagnostic"), code("MGSCR", "Screening")]
    image = station(KVP="28", ProcedureCodeSequence=procedures, StudyDate="20260102")
    image.ImageType = ["ORIGINAL", "PRIMARY"]
    assert said(image, rule) == ("I25: rule-0: so" if applies else "")


def test_the_first_that_applies_decides_and_accept_skips_own_rules_alone() -> None:
    let_in = {"tag": "StationName", "contains": ["OLD"], "do": "accept"}
    keep_out = {"tag": "StationName", "present": True}
    assert said(station(), let_in, keep_out) == ""
    assert said(station(), keep_out, let_in) == "I25: rule-0: so"
    assert said(mammogram("LCC", StationName="NEW"), let_in, keep_out) == "I25: rule-1: so"
    assert said(station(PartialView="YES"), let_in).startswith("I14: ")


def test_a_value_that_cannot_be_compared_leaves_the_image_out_and_is_not_quoted() -> None:
    unreadable = f"I25: {CANNOT_BE_READ}"
    long = station(ImageComments="y" * 5000)
    assert said(long, asked("ImageComments", contains=["x"])) == unreadable
    no_sequence, no_number = station(), station()
    no_sequence.add_new("ProcedureCodeSequence", "LO", NAME)
    procedure = asked("ProcedureCodeSequence.CodeValue", present=True)
    assert said(no_sequence, procedure) == unreadable
    no_number.add_new("KVP", "LO", NAME)
    assert said(no_number, asked("KVP", at_least=1)) == unreadable
    nothing_measured = station()
    nothing_measured.add_new("KVP", "FD", float("nan"))
    assert said(nothing_measured, asked("KVP", at_most=30)) == unreadable


@pytest.mark.parametrize(
    ("pattern", "value", "fit"),
    [
        ("", "", True),
        ("*", "", True),
        ("MG?", "mg1", True),
        ("MG?", "MG", False),
        ("*a*b*c", "xaxbxc", True),
        ("*a*b*c", "xaxbxcx", False),
        ("[a-c]x", "Bx", True),
        ("[!a-c]x", "bx", False),
        ("[*]", "*", True),
        ("[a-]", "-", True),
        ("[[]x]", "[x]", True),
        (".*", "ab", False),
        ("STRASSE", "Straße", True),
    ],
)
def test_a_pattern_fits_a_whole_value(pattern: str, value: str, *, fit: bool) -> None:
    assert fits(pattern, value) is fit


def test_no_pattern_keeps_a_worker_busy() -> None:
    began = time.process_time()
    assert not fits("*a" * 31 + "*b", "a" * 4096)
    assert fits("*" * 64, "a" * 4096)
    assert time.process_time() - began < 10  # it is a tenth of a second; a regex never ends


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [("[abc", "is not closed"), ("a[]", "nothing between"), ("[9-0]", "[9-0] runs backward")],
)
def test_a_bad_pattern_says_what_is_wrong(pattern: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=re.escape(wrong)):
        parsed(pattern)


WHOLE = 'name = "a"\ndo = "decline"\nwhy = "so"\n'
WRONG = [
    (
        'tag = "StatonName"\npresent = true',
        ".tag: the standard has no keyword StatonName in an ima",
    ),
    ('tag = "StatonName"\npresent = true', "; did you mean StationName? (it is 'StatonName') [li"),
    (
        'tag = "PixelData"\npresent = true',
        "no rule can compare PixelData: it is no text and no",
    ),
    (
        'tag = "ProcedureCodeSequence"\npresent = true',
        "name what lies in it, as ProcedureCodeSeque",
    ),
    (
        'tag = "StationName.CodeValue"\npresent = true',
        "a dot leads into a sequence, and StationName is",
    ),
    ('tag = "TransferSyntaxUID"\npresent = true', "no keyword TransferSyntaxUID in an image"),
    ('tag = "StationName"', "wanted: what is asked of its tag, by one_of"),
    ('tag = "StationName"\nat_least = 3', "at_least and at_most ask for numbers, and StationName"),
    ('tag = "KVP"\nat_least = 3\nat_most = 2', "wanted: at_least <= at_most"),
    ('tag = "KVP"\nat_least = nan', ".at_least: wanted: a number, and none without end"),
    ('tag = "StationName"\nmatches = ["MG["]', ".matches.0: its bracket [ is not closed"),
    ('tag = "StationName"\nis = ["MG"]', ".is: there is no such key"),
    ('tag = "StationName"\nmatch = ["MG"]', "there is no such key; did you mean matches?"),
    ('tag = "KVP"\npresent = true\nalso = [{ tag = "X", present = true }]', ".also.0.tag: the st"),
]


@pytest.mark.parametrize(("content", "wrong"), WRONG)
def test_a_mistyped_rule_is_named_with_its_line(content: str, wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    right = 'name = "b"\ndo = "accept"\nwhy = "so"\ntag = "KVP"\npresent = true\n'
    head = f"# rules\n[[analyzing.accept.rules]]\n{right}\n[[analyzing.accept.rules]]\n"
    file.write_text(f"{head}{WHOLE}{content}\n")
    with pytest.raises(Misconfigured) as raised:
        load_settings(file)
    (fault,) = [one for one in raised.value.faults if wrong in one]
    assert "analyzing.accept.rules.1" in fault
    first, last = head.count("\n"), head.count("\n") + len(f"{WHOLE}{content}".splitlines())
    line = int(fault.rpartition("[line ")[2].removesuffix("]"))
    key = fault.partition("rules.1")[2].partition(":")[0].lstrip(".").partition(".")[0]
    lines = file.read_text().splitlines()
    assert lines[line - 1].startswith(f"{key} = " if key else "[[analyzing.accept.rules]]")
    assert first <= line <= last


def test_a_line_is_told_behind_texts_that_look_like_tables(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    statement = '"""\n[[receiving.callers]]\nresearch use only, as said above and below\n"""'
    file.write_text(
        f"[reporting]\nresearch_statement = {statement}\n[[receiving.callers]]\n"
        'addresses = [\n "10.0.0.1",\n "nowhere",\n]\nae_title = "A"\n'
    )
    with pytest.raises(Misconfigured) as raised:
        load_settings(file)
    (fault,) = [one for one in raised.value.faults if "addresses" in one]
    assert fault.endswith("[line 7]")


def test_two_rules_of_one_name_and_a_why_of_two_lines_are_faults() -> None:
    with pytest.raises(ValueError, match="twice: a"):
        own({"name": "a", **asked("KVP", present=True)}, {"name": "a", **asked("KVP", at_most=1)})
    with pytest.raises(ValueError, match="a sentence on one line"):
        own({"why": "one\ntwo", **asked("KVP", present=True)})


def test_each_own_rule_answers_for_a_file_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(file_of(station(StudyInstanceUID="2.25.9")))
    rules = (
        {"name": "rooms", "why": "not this room", **asked("StationName", one_of=["MG-NEW"])},
        {"name": "old", "why": "not calibrated", **asked("StationName", matches=["*OLD*"])},
        {"name": "never", **asked("StationName", present=True)},
    )
    _, (study,) = explain([path], own(*rules))
    answers = {rule.name: answer for rule, answer in study.files[0].answers if rule.code == "I25"}
    assert answers == {"rooms": "", "old": "old: not calibrated", "never": None}
    told = [rule.asks for rule, _ in study.files[0].answers if rule.name == "rooms"]
    assert told == [f"does not apply; it would {sentence(own(*rules).accept.rules[0])}"]
    assert study.study.declined is not None


def test_a_rule_on_a_name_tells_no_name() -> None:
    assert said(station(), asked("PatientName", contains=["mueller"])) == "I25: rule-0: so"
