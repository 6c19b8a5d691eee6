"""What is wrong with a file of settings, in words for whoever edits it."""

import difflib
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

_PLAIN: dict[str, Callable[[dict[str, Any]], str]] = {
    "bool_parsing": lambda _: "wanted: true or false",
    "bool_type": lambda _: "wanted: true or false",
    "dict_type": lambda _: "wanted: a table",
    "finite_number": lambda _: "wanted: a number, and none without end",
    "float_parsing": lambda _: "wanted: a number",
    "float_type": lambda _: "wanted: a number",
    "greater_than": lambda told: f"wanted: more than {told['gt']:g}",
    "greater_than_equal": lambda told: f"wanted: at least {told['ge']:g}",
    "int_from_float": lambda _: "wanted: a whole number",
    "int_parsing": lambda _: "wanted: a whole number",
    "int_type": lambda _: "wanted: a whole number",
    "less_than": lambda told: f"wanted: less than {told['lt']:g}",
    "less_than_equal": lambda told: f"wanted: at most {told['le']:g}",
    "list_type": lambda _: "wanted: a list, as [...]",
    "literal_error": lambda told: f"wanted: {told['expected']}",
    "model_type": lambda _: "wanted: a table",
    "path_type": lambda _: 'wanted: a path, as "..."',
    "string_pattern_mismatch": lambda _: "wanted: letters, digits, '_', '.' and '-' alone",
    "string_too_long": lambda told: f"wanted: at most {told['max_length']} characters",
    "string_too_short": lambda told: f"wanted: at least {told['min_length']} characters",
    "string_type": lambda _: 'wanted: text, as "..."',
    "too_short": lambda told: f"wanted: at least {told['min_length']} in the list",
    "tuple_type": lambda _: "wanted: a list, as [...]",
}
_ONE_TABLE = {"dict_type", "model_type"}


def sentences(path: Path, text: str, whole: type[BaseModel], faults: ValidationError) -> list[str]:
    """Write each fault as `file: key.path: what is wrong`; in lists, with its line."""
    told = faults.errors(include_url=False)
    # A key that is there once is found by its name; one of several tables by its line alone.
    listed = any(isinstance(part, int) for fault in told for part in fault["loc"])
    beginnings = list(_beginnings(text)) if listed else []
    return [
        f"{path}: {'.'.join(str(part) for part in fault['loc'])}: "
        f"{_said(whole, fault)}{_line(beginnings, fault['loc'])}"
        for fault in told
    ]


def _beginnings(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the file again with one line more each time: what is there after so many lines.

    So a text that only looks like a table deceives nobody.
    """
    lines = text.split("\n")
    for count in range(len(lines) + 1):
        try:
            yield count, tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value that has several lines


def _line(beginnings: Sequence[tuple[int, object]], where: tuple[int | str, ...]) -> str:
    """Say on which line a place in one of several tables begins: right behind what lacks it."""
    if not any(isinstance(part, int) for part in where):
        return ""
    depths = [_depth(table, where) for _, table in beginnings]
    first = depths.index(max(depths))
    return f" [line {beginnings[first - 1][0] + 1}]" if first else ""


def _depth(table: object, where: tuple[int | str, ...]) -> int:
    """Count the parts of a place that are there."""
    for depth, part in enumerate(where):
        try:
            table = table[part]  # type: ignore[index]
        except (IndexError, KeyError, TypeError):
            return depth
    return len(where)


def _said(whole: type[BaseModel], fault: ErrorDetails) -> str:
    where = fault["loc"]
    if fault["type"] == "extra_forbidden":
        return f"there is no such key{_meant(whole, where)}"
    if fault["type"] == "missing":
        return "is missing"
    name = ".".join(part for part in where if isinstance(part, str))
    if fault["type"] == "tuple_type" and isinstance(fault["input"], dict):
        return f"wanted: a table for each, with two brackets: [[{name}]]"
    if fault["type"] in _ONE_TABLE and isinstance(fault["input"], list):
        return f"wanted: one table, with one bracket: [{name}]"
    plain = _PLAIN.get(fault["type"])
    said = plain(fault.get("ctx", {})) if plain else fault["msg"].removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    simple = isinstance(fault["input"], str | int | float)
    if not simple or _is_secret(whole, where):
        return said
    return f"{said} (it is {fault['input']!r})"


def _meant(whole: type[BaseModel], where: tuple[int | str, ...]) -> str:
    """Guess which key was meant."""
    annotation = _annotation_at(whole, where[:-1])
    model = next(_models_in(annotation), None)
    if model is None:
        return ""
    close = difflib.get_close_matches(str(where[-1]), list(model.model_fields), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _is_secret(whole: type[BaseModel], where: tuple[int | str, ...]) -> bool:
    """Say whether a place holds a secret: its type says so, whichever table it stands in."""
    return SecretStr in set(_types_in(_annotation_at(whole, where)))


def _annotation_at(whole: type[BaseModel], where: tuple[int | str, ...]) -> object:
    """Return what is declared at a place in the file; the places of lists are passed over."""
    found: object = whole
    for part in where:
        model = next(_models_in(found), None)
        if isinstance(part, str) and model is not None and part in model.model_fields:
            found = model.model_fields[part].annotation
    return found


def _types_in(annotation: object) -> Iterator[object]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        yield annotation
    for part in get_args(annotation):
        yield from _types_in(part)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    for one in _types_in(annotation):
        if isinstance(one, type) and issubclass(one, BaseModel):
            yield one
