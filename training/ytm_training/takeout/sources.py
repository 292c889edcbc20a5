"""Where an export may lie: a file, an archive, the parts of one, or a folder with any of these."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from ytm_bundle.errors import TakeoutError
from ytm_training.takeout.archives import (
    ARCHIVE_SUFFIXES,
    Ignore,
    archived,
    is_archive,
    json_first,
    may_be_history,
)
from ytm_training.takeout.entry import shortened
from ytm_training.takeout.streams import Meter, Stream

_PART = re.compile(r"(.+-)\d{3}(\.(?:zip|tgz))", re.IGNORECASE)


def streams(path: Path, meter: Meter, ignore: Ignore) -> Iterator[Stream]:
    """Each file at or in `path` that may be a history; a stream is good until the next.

    Raises:
        TakeoutError: there is nothing at `path`, or it is an archive that cannot be unpacked.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise TakeoutError(f"{path}: cannot be read ({reason}); give an export") from error
    if stat.S_ISDIR(mode):
        yield from _in_folder(path, meter, ignore)
    elif not stat.S_ISREG(mode):
        raise TakeoutError(f"{path}: neither a file nor a folder; give an export")
    elif is_archive(path):
        yield from archived(path, meter, ignore)
        for other in _other_parts(path):
            yield from _one_of_many(other, meter, ignore)
    else:
        yield from _plain(path, path.name, meter)


def _other_parts(path: Path) -> list[Path]:
    """The other archives of an export that Google has split."""
    part = _PART.fullmatch(path.name)
    if part is None:
        return []
    return [
        other
        for other in _listed(path.parent)
        if other != path
        and (found := _PART.fullmatch(other.name))
        and found.groups() == part.groups()
        and is_archive(other)
    ]


def _listed(folder: Path) -> list[Path]:
    """What is directly in `folder`; nothing where that cannot be listed."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _one_of_many(path: Path, meter: Meter, ignore: Ignore) -> Iterator[Stream]:
    """An archive that was not asked for by name: damage in it is said, and ends nothing."""
    members = archived(path, meter, ignore)
    try:
        yield from members
    except (TakeoutError, OSError) as error:
        ignore(path.name, str(error))


def _in_folder(folder: Path, meter: Meter, ignore: Ignore) -> Iterator[Stream]:
    names: list[str] = []

    def unlisted(error: OSError) -> None:
        ignore(shortened(str(error.filename)) or "", f"cannot be listed: {error.strerror}")

    for parent, _, files in os.walk(folder, onerror=unlisted):
        names += [
            os.path.relpath(Path(parent) / name, folder) for name in files if may_be_history(name)
        ]
    for name in sorted(names, key=json_first):
        path = folder / name
        if path.is_file():
            yield from _one_plain_of_many(path, name, meter, ignore)
    for path in _listed(folder):
        if path.name.casefold().endswith(ARCHIVE_SUFFIXES) and path.is_file() and is_archive(path):
            yield from _one_of_many(path, meter, ignore)


def _one_plain_of_many(path: Path, name: str, meter: Meter, ignore: Ignore) -> Iterator[Stream]:
    try:
        yield from _plain(path, name, meter)
    except TakeoutError as error:
        ignore(shortened(name) or "", str(error))


def _plain(path: Path, name: str, meter: Meter) -> Iterator[Stream]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise TakeoutError(f"{path}: cannot be read ({error.strerror})") from error
    with file:
        yield Stream(shortened(name) or "", file, path.stat().st_size, meter)
