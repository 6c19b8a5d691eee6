"""The files of this checkout, as its rules see them."""

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("dicom_node", "inference", "train", "phantom")

# What tools and runs leave behind, as .gitignore lists it.
_LEFT_BEHIND = {".venv", ".cache", "build", "dist", "var", "runs", "demo", "node_modules"}
_LEFT_BEHIND |= {".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
_LEFT_BEHIND |= {".hypothesis", ".import_linter_cache"}


@cache
def files() -> tuple[Path, ...]:
    """List every file that belongs to the project."""
    return tuple(sorted(_walk()))


def _walk() -> Iterator[Path]:
    for folder, inner, names in os.walk(ROOT):
        top = Path(folder) == ROOT
        inner[:] = [
            name
            for name in inner
            if not name.endswith(".egg-info")
            and (name not in _LEFT_BEHIND or (not top and name == "demo"))
        ]
        yield from (Path(folder) / name for name in names)


def texts() -> Iterator[tuple[str, str]]:
    """Read every text file: its path in the checkout, and what it says."""
    for path in files():
        content = path.read_bytes()
        if b"\0" not in content:
            yield named(path), content.decode("utf-8")


def modules(*folders: str) -> Iterator[tuple[str, str]]:
    """Read the Python modules below some folders of the checkout."""
    wanted = tuple(f"{folder}/" for folder in folders)
    for path in files():
        if path.suffix == ".py" and named(path).startswith(wanted):
            yield named(path), path.read_text(encoding="utf-8")


def documents() -> dict[str, str]:
    """Read the pages that people read."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return {named(page): page.read_text(encoding="utf-8") for page in pages if page.exists()}


def functions_around(tree: ast.AST) -> dict[ast.AST, str]:
    """Name the innermost function or class around each node of a module."""
    around: dict[ast.AST, str] = {}

    def visit(node: ast.AST, name: str) -> None:
        around[node] = name
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = node.name
        for child in ast.iter_child_nodes(node):
            visit(child, name)

    visit(tree, "")
    return around


def named(path: Path) -> str:
    """Name a file by its path in the checkout."""
    return path.relative_to(ROOT).as_posix()
