"""One settings file, read and checked: `/etc/ytm/mirror.toml` or what lies over it."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ytm_bundle.errors import UsageError
from ytm_device.settings.explain import explain, shown
from ytm_device.settings.model import MirrorSettings
from ytm_device.settings.section import MAX_TEXT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 64 << 10
"""In a settings file; a full one has some 2,000."""
MAX_LINE = MAX_TEXT + 200
"""Characters in a line of it: a key of 20,000 parts takes the parser half a minute."""
Layer = dict[str, Any]
"""What one file or the command line sets: tables within a table."""


def read_layer(path: Path) -> Layer:
    """Read and check `path`; a file that is not there sets nothing.

    Raises:
        UsageError: it cannot be read, is no TOML, or sets what cannot be.
    """
    return parse_layer(read_text(path), path)


def read_text(path: Path) -> str:
    """The text of a settings file; empty if it is not there.

    Raises:
        UsageError: it cannot be read as text of at most `MAX_BYTES`.
    """
    try:
        content = _read_bytes(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path}: over {MAX_BYTES} bytes; settings need far fewer")
    try:
        # Some editors put a mark before the text.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: byte {error.start} is no UTF-8 text; save the file as UTF-8"
        ) from error


def _read_bytes(path: Path) -> bytes:
    # A pipe without a writer would otherwise hold us for ever.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UsageError(f"{path}: is no file; put the settings into a file of that name")
        return file.read(MAX_BYTES + 1)


def parse_layer(text: str, path: Path) -> Layer:
    """Check `text`, which is or is to be in `path`.

    Raises:
        UsageError: it is no TOML, or sets what cannot be.
    """
    try:
        layer = parse_toml(text)
    except ValueError as error:
        raise UsageError(f"{path}: is no TOML ({error})") from error
    try:
        MirrorSettings.model_validate(layer)
    except ValidationError as error:
        what = explain(error, lambda key, value: f"{path}: {key} = {shown(value)}")
        raise UsageError(what) from error
    return layer


def parse_toml(text: str) -> Layer:
    """Parse `text`, whatever it sets.

    Raises:
        ValueError: it is no TOML, or has a line over `MAX_LINE`.
    """
    if any(len(line) > MAX_LINE for line in text.splitlines()):
        raise ValueError(f"a line is over {MAX_LINE} characters")
    try:
        parsed: Layer = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("brackets nested too deeply") from error
    return parsed
