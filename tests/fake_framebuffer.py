"""A framebuffer for tests: a file in the place of its memory, and the kernel's answers about it."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ytm_device.screen.framebuffer import (
    ASLEEP,
    AWAKE,
    BLANK,
    FIXED,
    GET_FIXED,
    GET_VARIABLE,
    VARIABLE,
)


@dataclass
class FakeFramebuffer:
    """The device `path` while `plugged`; its `ioctl` stands in for the kernel's."""

    path: Path
    width: int = 60
    height: int = 80
    bits: int = 32
    starts: tuple[int, int, int] = (16, 8, 0)
    offset: tuple[int, int] = (2, 3)
    row_bytes: int = 320
    length: int = 320 * 90
    broken: bool = False
    can_sleep: bool = True
    blanked: list[int] = field(default_factory=list)

    def plug(self) -> None:
        """Let it appear, with a pattern in its memory."""
        self.path.write_bytes(b"\x07" * self.length)

    def ioctl(self, _descriptor: int, request: int, argument: bytearray | int) -> int:
        """What the kernel would answer."""
        if self.broken:
            raise OSError(errno.ENODEV, "No such device")
        if request == BLANK:
            assert argument in (AWAKE, ASLEEP)
            if not self.can_sleep:
                raise OSError(errno.EINVAL, "Invalid argument")
            self.blanked.append(int(argument))  # type: ignore[arg-type]
            return 0
        assert isinstance(argument, bytearray)
        argument[:] = {GET_VARIABLE: self.variable, GET_FIXED: self.fixed}[request]()
        return 0

    def variable(self) -> bytes:
        """Its fb_var_screeninfo."""
        words = [0] * 40
        words[:7] = (
            self.width,
            self.height,
            self.width + 10,
            self.height + 10,
            *self.offset,
            self.bits,
        )
        words[8], words[11], words[14] = self.starts
        return VARIABLE.pack(*words)

    def fixed(self) -> bytes:
        """Its fb_fix_screeninfo."""
        rest = [0] * 6
        return FIXED.pack(
            b"fake", 0xE0000000, self.length, 0, 0, 2, 1, 1, 0, self.row_bytes, 0, *rest[:5]
        )

    def memory(self) -> np.ndarray:
        """All of it: uint8 (length,)."""
        return np.fromfile(self.path, np.uint8)

    def seen(self) -> np.ndarray:
        """The part on the screen, uint8 (height, width, bytes a pixel)."""
        rows = self.memory().reshape(-1, self.row_bytes)
        across, down = self.offset
        size = self.bits // 8
        part = rows[down : down + self.height, across * size : (across + self.width) * size]
        return part.reshape(self.height, self.width, size)

    def picture(self) -> np.ndarray:
        """What people see: uint8 (height, width, 3), RGB."""
        seen = self.seen()
        if self.bits == 32:
            return seen[..., [start // 8 for start in self.starts]]
        words = seen.copy().view("<u2")[..., 0].astype(int)
        lengths = (5, 6, 5)
        parts = [
            (words >> start & (1 << length) - 1) << 8 - length
            for start, length in zip(self.starts, lengths, strict=True)
        ]
        return np.stack(parts, axis=-1).astype(np.uint8)
