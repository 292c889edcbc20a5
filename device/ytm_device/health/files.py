"""Read small files that may be anything: bounded, and never waiting for somebody to write."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_BYTES = 64 << 10


class UnreadableError(Exception):
    """Why something that is there cannot be read."""


def read_small(path: Path) -> bytes | None:
    """What is in the file at `path`; None if there is none.

    Raises:
        UnreadableError: it is no file, too large, or may not be read.
    """
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
        content = _read(path) if is_file else b""
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnreadableError(error.strerror) from error
    if not is_file:
        raise UnreadableError("no file, but something else of that name")
    if len(content) > MAX_BYTES:
        raise UnreadableError(f"larger than {MAX_BYTES >> 10} KiB")
    return content


def _read(path: Path) -> bytes:
    # Were it a FIFO by now, opening it without O_NONBLOCK would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        return os.read(descriptor, MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def read_text(path: Path) -> str | None:
    """The stripped text at `path`, as in /sys; None if there is none that can be read."""
    try:
        content = read_small(path)
    except UnreadableError:
        return None
    return None if content is None else content.decode("utf-8", "replace").strip()


def read_number(path: Path) -> int | None:
    """The integer at `path`, as in /sys; None if there is none."""
    text = read_text(path)
    try:
        return int(text) if text is not None and len(text) < 20 else None
    except ValueError:
        return None
