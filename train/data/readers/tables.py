"""The tables that data sets come with: rows that know where they stand, and the words in them."""

import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from inference.mammogram import Projection, Side
from train.errors import Refused

SIDES = {"L": Side.LEFT, "LEFT": Side.LEFT, "R": Side.RIGHT, "RIGHT": Side.RIGHT}
_YES = {"1", "1.0", "TRUE", "T", "YES", "Y"}
_NO = {"0", "0.0", "FALSE", "F", "NO", "N"}
_NOTHING = {"", "NA", "N/A", "NAN", "NONE", "NULL"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, without the blanks and line breaks around its values."""

    table: Path
    line: int
    values: Mapping[str, str]
    unit: str = "line"

    def __getitem__(self, column: str) -> str:
        return self.values[column]

    def refused(self, what: str) -> Refused:
        """Say what is wrong, and where."""
        return Refused(f"{self.place}: {what}")

    @property
    def place(self) -> str:
        """Say where it stands."""
        return f"{self.table}, {self.unit} {self.line}"

    def side(self, column: str) -> Side:
        """Read which breast."""
        return self.one_of(column, SIDES)

    def one_of(self, column: str, known: Mapping[str, T]) -> T:
        """Read a value that has to be one of some words, in whatever letters."""
        word = self[column]
        if word.upper() not in known:
            raise self.refused(f"{column} is {word!r}, and none of {', '.join(known)}; correct it")
        return known[word.upper()]

    def truth(self, column: str) -> bool | None:
        """Read yes, no, or nothing."""
        word = self[column].upper()
        if not says_something(word):
            return None
        if word not in _YES | _NO:
            raise self.refused(f"{column} is {self[column]!r}, and neither 1 nor 0; correct it")
        return word in _YES

    def number(self, column: str) -> float | None:
        """Read a number, or nothing."""
        if not says_something(self[column]):
            return None
        return self._converted(column, float, "no number")

    def count(self, column: str) -> int:
        """Read a whole number."""
        return self._converted(column, int, "no whole number")

    def _converted(self, column: str, kind: Callable[[str], T], else_it_is: str) -> T:
        try:
            return kind(self[column])
        except ValueError:
            raise self.refused(f"{column} is {self[column]!r}, {else_it_is}; correct it") from None

    def facts(self, **columns: str) -> dict[str, str]:
        """Keep some values under names of our own, those that say nothing left out."""
        kept = {name: self.values.get(column, "") for name, column in columns.items()}
        return {name: value for name, value in kept.items() if says_something(value)}


def rows(table: Path, columns: Collection[str], delimiter: str = ",") -> Iterator[Row]:
    """Read a table that has to have these columns."""
    if not table.is_file():
        raise Refused(f"{table} is missing: get it from where the data set came from")
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            if missing := sorted(name for name in columns if name not in header):
                raise Refused(f"{table} has no column {', '.join(missing)}; {_told(header)}")
            last = reader.line_num
            for values in reader:
                row = Row(table, last + 1, _named(header, values))
                last = reader.line_num
                if len(values) not in {0, len(header)}:
                    raise row.refused(f"{len(values)} values under {len(header)} columns")
                if values:
                    yield row
        except UnicodeDecodeError as fault:
            raise Refused(f"{table} is not UTF-8: save it as that ({fault})") from fault
        except csv.Error as fault:
            raise Refused(f"{table}, line {reader.line_num + 1}: {fault}") from fault


def says_something(value: str) -> bool:
    """Tell a value from the words with which tables leave one out."""
    return value.upper() not in _NOTHING


def projection_of(view: str) -> Projection | None:
    """Read which view; one that is neither CC nor MLO is none of ours."""
    return Projection(view.upper()) if view.upper() in set(Projection) else None


def _told(header: list[str]) -> str:
    """Say which columns there are, or why there seems to be one alone."""
    if not header:
        return "it is empty"
    between = [mark for mark in ";\t|" if mark in header[0]]
    if len(header) == 1 and between:
        return f"between its values stands {between[0]!r}: say delimiter = {json.dumps(between[0])}"
    return f"it has {', '.join(header)}"


def _named(header: list[str], values: list[str]) -> dict[str, str]:
    return {name: value.strip() for name, value in zip(header, values, strict=False)}
