"""Every command and every setting is documented, and nothing is documented that is not there."""

import os
import re
import tomllib
from collections.abc import Iterator
from typing import Any, get_args

import typer.main
from checkout import ROOT, documents
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from dicom_node.cli import app
from dicom_node.settings.file import Settings

NODE_TOML = (ROOT / "config" / "node.toml").read_text(encoding="utf-8")
UNITS = sorted((ROOT / "deploy").glob("*.service"))

# `# [table]` and `# key = value` are examples to be uncommented; text behind more blanks is prose.
EXAMPLE = re.compile(r"^# (?=\[|[a-z_]+ = )", re.MULTILINE)

# A revision of the ledger, as a page or a command names it.
REVISION = re.compile(r"\bat revision (\d{4})\b")

# A command as a page shows it: in backticks, or at the start of a line.
SHOWN_COMMAND = re.compile(r"(?:^|`)\s*(?:\$ )?(?:\S*/)?dicom-node ([a-z][a-z-]*)", re.MULTILINE)


def commands() -> dict[str, Any]:
    """List every command of the program by its words, those of groups included."""

    def below(command: Any, words: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - click's
        for name, inner in getattr(command, "commands", {}).items():
            yield f"{words} {name}".strip(), inner
            yield from below(inner, f"{words} {name}".strip())

    return dict(below(typer.main.get_command(app), ""))


def options() -> list[tuple[str, str]]:
    """List every option of every command, the program's own included."""
    everywhere = [("", typer.main.get_command(app)), *commands().items()]
    return [
        (words, max(parameter.opts, key=len))
        for words, command in everywhere
        for parameter in command.params
        if parameter.param_type_name == "option"
        and not getattr(parameter, "hidden", False)
        and "--help" not in parameter.opts
        and not {"--install-completion", "--show-completion"} & set(parameter.opts)
    ]


def settings(model: type[BaseModel] = Settings, table: str = "") -> Iterator[tuple[str, str, Any]]:
    """List every key: its table, its name, its default."""
    for key, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is not None:
            yield from settings(inner, f"{table}.{key}".strip("."))
        else:
            yield table, key, field.default


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _table(toml: dict[str, Any], name: str) -> dict[str, Any]:
    """Find a table; of an array of tables, all their keys together."""
    found: Any = toml
    for part in name.split("."):
        found = found.get(part, {})
        if isinstance(found, list):
            found = {key: value for table in found for key, value in table.items()}
    return dict(found)


def _sections(page: str) -> Iterator[tuple[str, str]]:
    """Split a page at its headings."""
    parts = re.split(r"^(#+ .*)$", page, flags=re.MULTILINE)
    yield from zip(parts[1::2], parts[2::2], strict=True)


KEYS = list(settings())


def test_every_command_is_documented() -> None:
    pages = "\n".join(documents().values())
    missing = [w for w in commands() if not re.search(rf"dicom-node {w}\b", pages)]
    assert not missing, "undocumented commands: " + ", ".join(missing)


def test_every_option_is_documented_on_a_page_that_names_its_command() -> None:
    missing = []
    for words, option in options():
        command = f"dicom-node {words}".strip()
        pages = "\n".join(text for text in documents().values() if command in text)
        if not re.search(rf"(?<![\w-]){option}(?![\w-])", pages):
            missing.append(f"{command} {option}")
    assert not missing, "undocumented options: " + ", ".join(missing)


def test_no_command_is_documented_that_is_not_there() -> None:
    known = {words.split()[0] for words in commands()}
    said = {
        (page, word)
        for page, text in documents().items()
        for word in re.findall(SHOWN_COMMAND, text)
    }
    assert {(page, word) for page, word in said if word not in known} == set()


def test_the_two_commands_of_a_newcomer_are_in_the_readme_and_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"make {target}" in documents()["README.md"]
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE)
    continuous_integration = ROOT / ".ci" / "run"
    assert os.access(continuous_integration, os.X_OK)
    assert "make test" in continuous_integration.read_text(encoding="utf-8")


def test_the_pages_know_the_newest_revision_and_no_other() -> None:
    newest = max(path.name[:4] for path in (ROOT / "alembic" / "versions").glob("*.py"))
    pages = documents() | {"CHANGELOG.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")}
    said = {(page, one) for page, text in pages.items() for one in REVISION.findall(text)}
    assert said == {("docs/administration.md", newest)}


def test_the_page_says_when_a_study_is_complete_as_the_settings_do() -> None:
    default = Settings().receiving
    waits = documents()["docs/administration.md"].partition("## When is a study complete?")[2]
    assert f"`grace_seconds` ({default.grace_seconds:g} s)" in waits
    assert f"`quiet_seconds` ({default.quiet_seconds:g} s)" in waits
    assert f"RECEIVING for `cap_seconds` ({default.cap_seconds / 60:g} minutes)" in waits


def test_every_unit_runs_commands_that_are_there() -> None:
    assert UNITS
    for unit in UNITS:
        started = re.findall(r"^Exec\w+=.*?/dicom-node ([a-z-]+)", unit.read_text(), re.MULTILINE)
        assert started, unit.name
        assert set(started) <= set(commands()), unit.name


def test_every_setting_stands_in_the_file() -> None:
    written = tomllib.loads(EXAMPLE.sub("", NODE_TOML))
    assert [f"[{t}] {key}" for t, key, _ in KEYS if key not in _table(written, t)] == []


def test_the_file_is_valid_with_and_without_its_examples() -> None:
    Settings.model_validate(tomllib.loads(NODE_TOML))
    Settings.model_validate(tomllib.loads(EXAMPLE.sub("", NODE_TOML)))


def test_the_file_says_the_defaults() -> None:
    written = tomllib.loads(NODE_TOML)
    for table, key, default in KEYS:
        said = _table(written, table).get(key)
        if said is not None and default is not PydanticUndefined and table != "receiving.callers":
            plain = list(default) if isinstance(default, tuple) else default
            assert said == (plain if isinstance(plain, list) else _as_toml(plain)), f"{table}.{key}"


def test_every_key_of_the_file_has_its_comment() -> None:
    lines = NODE_TOML.splitlines()
    bare = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"[a-z_]+ = ", line) and not before.startswith("#")
    ]
    assert bare == []


def test_every_setting_is_documented_in_the_section_of_its_table() -> None:
    sections = list(_sections(documents().get("docs/configuration.md", "")))
    missing = [
        f"[{table}] {key}"
        for table, key, _ in KEYS
        if not any(
            re.search(rf"\[{re.escape(table)}\]", heading) and f"`{key}`" in text
            for heading, text in sections
        )
    ]
    assert not missing, "settings without an explanation: " + ", ".join(missing)


def _as_toml(value: object) -> object:
    return value if isinstance(value, bool | int | float | str) else str(value)
