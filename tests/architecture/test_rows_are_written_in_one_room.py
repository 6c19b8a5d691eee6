"""Only the ledger's room writes rows: whatever changes goes past the audit trail."""

import ast
from collections.abc import Callable
from pathlib import Path

from checkout import modules

ROOMS = ("dicom_node/ledger/", "dicom_node/auditing/")  # the second writes its own two tables
WRITES = {"insert", "update", "delete"}
ON_A_SESSION = {"add", "add_all", "merge", "delete", "bulk_save_objects", "bulk_insert_mappings"}
SENDS_SQL = {"exec_driver_sql"}


def writers(path: str, text: str) -> list[str]:
    """List where a module writes rows by itself."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
            found += [f"{path}: {one.name}" for one in node.names if one.name in WRITES]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value
            is_session = isinstance(of, ast.Name) and of.id == "session"
            if node.func.attr in SENDS_SQL or (is_session and node.func.attr in ON_A_SESSION):
                found.append(f"{path}:{node.lineno}: {node.func.attr}")
    return found


def test_A1_no_code_outside_the_ledger_writes_rows(figure: Callable[[str], None]) -> None:
    looked_at = [(path, text) for path, text in modules("dicom_node")]
    outside = [one for one in looked_at if not one[0].startswith(ROOMS)]
    found = [place for path, text in outside for place in writers(path, text)]
    assert found == []
    figure(f"0 of {len(outside)} modules outside the ledger write rows")


def test_the_look_would_find_a_writer() -> None:
    text = "from sqlalchemy import update\nsession.add(row)\nconnection.exec_driver_sql('x')\n"
    assert len(writers("somewhere.py", text)) == 3
    assert Path("dicom_node/ledger/ledger.py").exists()
