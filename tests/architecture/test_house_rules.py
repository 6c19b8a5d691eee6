"""The rules of the house that no other tool keeps."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from checkout import PACKAGES, ROOT, files, functions_around, modules, named, texts

LONGEST_MODULE_LINES = 400
LARGEST_FILE_BYTES = 16 << 20

# A broad `except` that does not raise the same fault again stands only here: module, function.
BROAD_EXCEPTS = {
    ("dicom_node/tending.py", "_going_on"): "the listener shares its process: care must not end it",
    ("dicom_node/doorbell.py", "_asked"): "the bell never fails its caller; brokers raise anything",
    ("dicom_node/watching/balance.py", "_fault"): "a damaged file: parsers raise anything",
    ("dicom_node/watching/accessions.py", "number_of"): "the same, of its beginning alone",
    ("dicom_node/models/trying.py", "tried"): "a bundle from anywhere: reading raises anything",
    (
        "dicom_node/analyzing/accept.py",
        "_answer",
    ): "values from outside: converting raises anything",
    ("dicom_node/facts.py", "or_nothing"): "values from outside, as above",
    (
        "dicom_node/analyzing/pixel_rules.py",
        "opened",
    ): "bytes from outside: parsers raise anything",
    (
        "dicom_node/analyzing/pixel_rules.py",
        "decoded",
    ): "values from outside: memory and disk apart",
    (
        "dicom_node/receiving/listener.py",
        "image_is_here",
    ): "a fault of ours must still be a DIMSE answer",
    ("dicom_node/receiving/connection.py", "run_reactor"): "whatever it is, nothing is left behind",
    ("dicom_node/receiving/visits.py", "_write"): "one row must not end who writes all the others",
    ("dicom_node/auditing/keeping.py", "round"): "a spoilt row must not end who signs the trail",
    ("dicom_node/auditing/exporting.py", "_keep_telling"): "nor who tells a collector of it",
    ("dicom_node/pulse.py", "_watch"): "a watch that ended would end nobody who hangs later",
    ("dicom_node/pulse.py", "_listen"): "a hearing that ended would never notice a deaf worker",
    ("dicom_node/receiving/connection.py", "_associate"): "bytes from outside, as below",
    ("dicom_node/receiving/upper_layer.py", "_take"): "bytes from outside: parsers raise anything",
    ("dicom_node/receiving/fragments.py", "_decode_command"): "bytes from outside, as above",
    ("dicom_node/receiving/header.py", "view_of"): "values from outside; they are judged later",
    ("dicom_node/receiving/keep.py", "_checked"): "bytes from outside: parsers raise anything",
    ("dicom_node/worker.py", "answer"): "recorded as FAILED; Celery would print a header's values",
    ("dicom_node/analyzing/shadowing.py", "_read"): "what is only tried out may do anything",
    ("inference/decoding/child.py", "_answer"): "bytes from outside: decoders raise anything",
    (
        "dicom_node/reporting/unread.py",
        "kept_header",
    ): "bytes from outside: parsers raise anything",
    ("dicom_node/reporting/proof.py", "read_back"): "writing anything: disk and memory apart",
    ("dicom_node/reporting/proof.py", "_faults"): "reading anything: disk and memory apart",
    ("dicom_node/watching/render.py", "render"): "anybody's objects: reading them raises anything",
    ("dicom_node/watching/render.py", "_mammogram"): "as above, memory apart",
    ("dicom_node/watching/render.py", "_age"): "as above",
    ("dicom_node/watching/page/server.py", "_answered"): "a fault of ours must still be an answer",
    ("inference/reading.py", "_pixels"): "bytes from outside: decoders raise anything",
    ("inference/reading.py", "_voi_lut"): "bytes from outside: a LUT may be anything",
}

# Joined from parts, so that this file does not contain what it looks for.
FOREIGN_WORDS = [
    r"(?<!\w)/wo" + "rk/",
    r"(?<!\w)/fa" + "rm/",
    r"(?<!\w)/ro" + "ot/",
    r"\.lib" + r"rary\b",
    r"\bbrief\." + "md",
    "sub" + "agent",
    "cla" + "ude",
    "anth" + "ropic",
    "open" + r"ai\b",
    "chat" + "gpt",
    "copi" + "lot",
    "as an " + r"AI\b",
    "AI " + "assistant",
    "language " + "model",
    "coding " + "agent",
    r"\bCE" + r"O\b",
    r"sha" + r"red/(design|proto|data|papers)",
    "pypi" + r"\.org",
    "python" + "hosted",
    "deb" + r"ian\.org",
]
UNFINISHED_WORDS = [
    r"\bTO" + r"DO\b",
    r"\bFIX" + r"ME\b",
    r"\bXX" + r"X\b",
    "raise NotImpl" + "emented",
]
NAMELESS_MODULES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager"}


def test_no_module_is_longer_than_400_lines() -> None:
    counted = {
        path: text.count("\n")
        for path, text in modules(*PACKAGES, "tests", "alembic", "benchmarks")
    }
    assert counted
    assert {path: n for path, n in counted.items() if n > LONGEST_MODULE_LINES} == {}


def test_an_init_holds_only_a_docstring() -> None:
    wrong = []
    for path, text in modules(*PACKAGES):
        body = ast.parse(text).body
        if Path(path).name == "__init__.py" and not (
            len(body) == 1
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            wrong.append(path)
    assert wrong == []


def test_every_package_folder_has_an_init_and_the_migrations_have_none() -> None:
    folders = {Path(path).parent for path, _ in modules(*PACKAGES)}
    assert [str(f) for f in sorted(folders) if not (ROOT / f / "__init__.py").exists()] == []
    # It would hide the library of the same name.
    assert not (ROOT / "alembic" / "__init__.py").exists()


def test_no_module_is_named_for_nothing() -> None:
    assert [path for path, _ in modules(*PACKAGES) if Path(path).stem in NAMELESS_MODULES] == []


def test_test_modules_have_names_of_their_own() -> None:
    names = [Path(path).name for path, _ in modules("tests")]
    shared = {name for name in names if names.count(name) > 1}
    assert shared - {"conftest.py"} == set()


def test_broad_excepts_stand_only_in_the_listed_places() -> None:
    found: list[tuple[str, str]] = []
    for path, text in modules(*PACKAGES):
        tree = ast.parse(text)
        around = functions_around(tree)
        handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
        found += [(path, around[h]) for h in handlers if _broad(h) and not _raised_again(h)]
    assert [place for place in found if place not in BROAD_EXCEPTS] == []


def test_the_project_speaks_of_itself_alone() -> None:
    assert _lines_with(FOREIGN_WORDS, re.IGNORECASE) == []


def test_nothing_is_left_unfinished() -> None:
    assert _lines_with(UNFINISHED_WORDS, re.NOFLAG) == []


def test_no_module_keeps_state_in_globals() -> None:
    found = [
        path
        for path, text in modules(*PACKAGES)
        if any(isinstance(node, ast.Global) for node in ast.walk(ast.parse(text)))
    ]
    assert found == []


def test_no_file_is_too_large_for_a_repository() -> None:
    assert [named(path) for path in files() if path.stat().st_size > LARGEST_FILE_BYTES] == []


def test_the_import_contracts_hold() -> None:
    ended = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _broad(handler: ast.ExceptHandler) -> bool:
    kind = handler.type
    caught = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(
        one is None or (isinstance(one, ast.Name) and one.id in {"Exception", "BaseException"})
        for one in caught
    )


def _raised_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _lines_with(patterns: list[str], flags: re.RegexFlag) -> list[str]:
    wanted = re.compile("|".join(patterns), flags)
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if wanted.search(line)
    ]
