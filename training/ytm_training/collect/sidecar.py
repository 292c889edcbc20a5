"""The table beside the videos: a CSV with what is known of each, by its file name."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ytm_bundle.errors import UsageError

_NAMES = ("categories.csv", "manifest.csv")
_MAX_BYTES = 64 << 20

Row = Mapping[str, str]


@dataclass(frozen=True)
class Facts:
    """What the table says of one video; None where it says nothing."""

    category: str | None = None
    title: str | None = None
    licence: str | None = None
    origin: str | None = None
    rights: str | None = None


# Columns under which each fact is looked for; the first that says something counts.
_COLUMNS = {
    "category": ("category",),
    "title": ("title", "description"),
    "licence": ("licence", "license", "content_licence_note", "repo_licence"),
    "origin": ("origin", "repo"),
    "rights": ("rights", "rights_class"),
}


@dataclass(frozen=True)
class Condition:
    """A condition `COLUMN=VALUE` on a row."""

    column: str
    value: str

    def __str__(self) -> str:
        return f"{self.column}={self.value}"


def parse_condition(text: str) -> Condition:
    """Read `COLUMN=VALUE`.

    Raises:
        UsageError: there is no `=` or no column before it.
    """
    column, equals, value = text.partition("=")
    if not equals or not column.strip():
        raise UsageError(f"--only {text!r}: write COLUMN=VALUE, such as rights_class=A")
    return Condition(column.strip(), value.strip())


class Sidecar:
    """The rows of a table, found by the path or the name of a video."""

    def __init__(self, path: Path | None, columns: Sequence[str], rows: Sequence[Row]) -> None:
        self.path, self._columns = path, columns
        self._by_path = {_normal(row["file"]): row for row in rows}
        names = Counter(PurePosixPath(file).name for file in self._by_path)
        self._by_name = {
            name: row
            for file, row in self._by_path.items()
            if names[name := PurePosixPath(file).name] == 1
        }

    def facts(self, source: str) -> Facts:
        """What is known of the video at `source`, a path inside the folder of videos."""
        row = self._row(source)
        known = {
            fact: next((row[column] for column in columns if row.get(column)), None)
            for fact, columns in _COLUMNS.items()
        }
        return Facts(**known)

    def matches(self, source: str, conditions: Sequence[Condition]) -> bool:
        """Whether the row of `source` fulfils every condition; a video without a row does not."""
        row = self._row(source)
        return all(row.get(condition.column) == condition.value for condition in conditions)

    def check(self, conditions: Sequence[Condition]) -> None:
        """See that every condition names a column of the table.

        Raises:
            UsageError: one does not, or there is no table.
        """
        for condition in conditions:
            if self.path is None:
                raise UsageError(f"--only {condition}: needs a table; give one with --categories")
            if condition.column not in self._columns:
                raise UsageError(
                    f"--only {condition}: {self.path} has no column {condition.column!r}; it has"
                    f" {', '.join(self._columns)}"
                )

    def _row(self, source: str) -> Row:
        name = PurePosixPath(source).name
        return self._by_path.get(source) or self._by_name.get(name) or {}


def _normal(file: str) -> str:
    return str(PurePosixPath(file.replace("\\", "/")))


def find_sidecar(videos: Path, given: Path | None) -> Sidecar:
    """Read the table given, else `categories.csv` or `manifest.csv` in or above `videos`.

    Raises:
        UsageError: the table given cannot be read or has no column `file`.
    """
    if given is not None:
        return _read(given)
    folders = (videos, videos.absolute().parent)
    for path in (folder / name for folder in folders for name in _NAMES):
        if path.is_file():
            return _read(path)
    return Sidecar(None, (), ())


def _read(path: Path) -> Sidecar:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path}: larger than {_MAX_BYTES >> 20} MB; not a table of videos")
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            columns = [column.strip() for column in next(lines, [])]
            rows = [_row(columns, cells) for cells in lines]
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a CSV table in UTF-8 ({error})") from error
    if "file" not in columns:
        raise UsageError(
            f"{path}: has no column 'file' (it has {', '.join(columns) or 'none'}); name the"
            " columns in its first line, or give another table with --categories"
        )
    return Sidecar(path, columns, [row for row in rows if row["file"]])


def _row(columns: Sequence[str], cells: Sequence[str]) -> Row:
    return dict(itertools.zip_longest(columns, map(str.strip, cells[: len(columns)]), fillvalue=""))
