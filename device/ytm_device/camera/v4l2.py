"""Asking a Video4Linux node what it is and offers, without opening its stream.

Reference: `linux/videodev2.h`; the numbers below are its structures and requests.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("=16s32s32s4xII12x")  # driver, card, bus, what it can, what this node
_ENUM_FMT = 0xC0405602
_FORMAT = struct.Struct("=III32s4s16x")  # index, type, flags, description, code
_ENUM_FRAMESIZES = 0xC02C564A
_SIZE = struct.Struct("=I4sI6I8x")  # index, code, type, sizes
_HAS_NODE_CAPABILITIES = 0x80000000
_CAPTURES_PLANE = 0x00000001
_CAPTURES_PLANES = 0x00001000
_PLANE, _PLANES = 1, 9
_DISCRETE = 1
_MAX_FORMATS = 32
_MAX_SIZES = 64


@dataclass(frozen=True)
class Capabilities:
    """What a camera says of itself."""

    card: str
    """Its name."""
    bus: str
    """Where it is plugged in."""
    modes: tuple[str, ...]
    """What it offers, `MJPG 640x480` each; `-` between the least and the greatest size."""

    @property
    def offers(self) -> str:
        """The modes, in words."""
        return ", ".join(self.modes) or "no mode at all"


def captures(path: Path) -> bool:
    """Whether `path` is a Video4Linux node that gives pictures (many cameras add one that none)."""
    return probe(path) is not None


def probe(path: Path) -> Capabilities | None:
    """Ask `path` what it offers; None if it is no camera, or does not answer."""
    try:
        if not stat.S_ISCHR(path.stat().st_mode):
            return None
        with opened(path) as node:
            return _probe(node)
    except OSError:
        return None


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of `path` for requests; any number of programs may have one.

    Raises:
        OSError: it cannot be opened.
    """
    node = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield node
    finally:
        os.close(node)


def _probe(node: int) -> Capabilities | None:
    answer = fcntl.ioctl(node, _QUERYCAP, bytes(_CAPABILITY.size))
    _, card, bus, device, node_only = _CAPABILITY.unpack(answer)
    can = node_only if device & _HAS_NODE_CAPABILITIES else device
    if not can & (_CAPTURES_PLANE | _CAPTURES_PLANES):
        return None
    modes = _modes(node, _PLANE if can & _CAPTURES_PLANE else _PLANES)
    return Capabilities(_text(card), _text(bus), tuple(modes))


def _modes(node: int, kind: int) -> Iterator[str]:
    for index in range(_MAX_FORMATS):
        try:
            answer = fcntl.ioctl(node, _ENUM_FMT, _FORMAT.pack(index, kind, 0, b"", b""))
        except OSError:  # EINVAL: there are no more
            return
        code = _FORMAT.unpack(answer)[4]
        sizes = list(_sizes(node, code)) or [""]
        yield from (f"{_text(code)} {size}".strip() for size in sizes)


def _sizes(node: int, code: bytes) -> Iterator[str]:
    for index in range(_MAX_SIZES):
        try:
            answer = fcntl.ioctl(node, _ENUM_FRAMESIZES, _SIZE.pack(index, code, 0, *[0] * 6))
        except OSError:  # EINVAL: there are no more
            return
        _, _, kind, *numbers = _SIZE.unpack(answer)
        if kind != _DISCRETE:
            least_x, most_x, _, least_y, most_y, _ = numbers
            yield f"{least_x}x{least_y}-{most_x}x{most_y}"
            return
        yield f"{numbers[0]}x{numbers[1]}"


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace").strip()
