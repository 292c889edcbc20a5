"""The screen as bare memory, where KMSDRM cannot be had: see linux/fb.h."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ytm_bundle.errors import DeviceError
from ytm_device.screen.picture import Enlarger, Pixels, Shift
from ytm_device.screen.presenter import Happened, Presenter

GET_VARIABLE, GET_FIXED, BLANK = 0x4600, 0x4602, 0x4611
"""ioctl requests: FBIOGET_VSCREENINFO, FBIOGET_FSCREENINFO, FBIOBLANK."""
VARIABLE = struct.Struct("@40I")
"""fb_var_screeninfo."""
FIXED = struct.Struct("@16sLIIIIHHHILIIHHH0L")
"""fb_fix_screeninfo."""
AWAKE, ASLEEP = 0, 4
"""FB_BLANK_UNBLANK, FB_BLANK_POWERDOWN."""
_FIXED_LENGTH_AT, _FIXED_ROW_AT = 2, 9
_ROOM_16 = {(11, 5, 0): cv2.COLOR_RGB2BGR565, (0, 5, 11): cv2.COLOR_BGR2BGR565}
"""Where red, green and blue begin in 16 bits -> OpenCV's name for packing RGB so."""
_BYTE_STARTS = frozenset((0, 8, 16, 24))


@dataclass(frozen=True)
class Geometry:
    """How pixels lie in a framebuffer's memory."""

    width: int
    height: int
    bits: int
    """Of a pixel: 16 or 32."""
    starts: tuple[int, int, int]
    """The lowest bit of red, green and blue."""
    first: int
    """Byte where the part that is seen begins."""
    row_bytes: int
    length: int
    """Bytes of the whole memory."""


class FramebufferPresenter(Presenter):
    """A framebuffer device, drawn into directly."""

    driver = "framebuffer"

    def __init__(self, device: Path) -> None:
        """Open `device`, such as /dev/fb0.

        Raises:
            DeviceError: it cannot be opened, or its pixels are of another kind.
        """
        self._device = device
        try:
            self._descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise DeviceError(
                f"screen: {device} cannot be opened ({error.strerror}); its user needs the group"
                " video"
            ) from error
        try:
            self._geometry = self._ask()
            self._memory = _mapped(device, self._descriptor, self._geometry)
        except DeviceError:
            os.close(self._descriptor)
            raise
        self._seen: Pixels | None = _seen(self._memory, self._geometry)
        self._unpacked: Pixels = np.empty((self.size[1], self.size[0], 3), np.uint8)
        self._asleep = True
        self._wake()

    @property
    def size(self) -> tuple[int, int]:
        """See `Presenter.size`."""
        return self._geometry.width, self._geometry.height

    def show(self, image: Pixels, enlarger: Enlarger, shift: Shift) -> None:
        """See `Presenter.show`."""
        assert self._seen is not None
        if self._geometry.bits == 16:
            enlarger.render_into(image, self._unpacked, shift)
            self._seen[:] = cv2.cvtColor(self._unpacked, _ROOM_16[self._geometry.starts])
        else:
            ordered = np.zeros((*image.shape[:2], 4), np.uint8)
            ordered[..., [start // 8 for start in self._geometry.starts]] = image
            enlarger.render_into(ordered, self._seen, shift)
        self._wake()

    def darken(self) -> None:
        """See `Presenter.darken`."""
        assert self._seen is not None
        self._seen[:] = 0
        self._blank(ASLEEP)
        self._asleep = True

    def poll(self) -> Happened:
        """See `Presenter.poll`."""
        if self._ask() != self._geometry:
            raise DeviceError(f"screen: {self._device} has changed its mode; opening it again")
        return Happened()

    def close(self) -> None:
        """Leave it black."""
        assert self._seen is not None
        self._seen[:] = 0
        # The memory cannot be given back while an array lies on it.
        self._seen = None
        self._memory.close()
        os.close(self._descriptor)

    def _ask(self) -> Geometry:
        variable, fixed = bytearray(VARIABLE.size), bytearray(FIXED.size)
        try:
            fcntl.ioctl(self._descriptor, GET_VARIABLE, variable)
            fcntl.ioctl(self._descriptor, GET_FIXED, fixed)
        except OSError as error:
            raise DeviceError(
                f"screen: {self._device} does not answer as a framebuffer ({error.strerror})"
            ) from error
        return geometry(self._device, bytes(variable), bytes(fixed))

    def _wake(self) -> None:
        if self._asleep:
            self._blank(AWAKE)
            self._asleep = False

    def _blank(self, level: int) -> None:
        try:
            fcntl.ioctl(self._descriptor, BLANK, level)
        except OSError:
            # Many drivers cannot: the screen is black then, and lit.
            return


def geometry(device: Path, variable: bytes, fixed: bytes) -> Geometry:
    """How the pixels of `device` lie, by what it answered.

    Args:
        device: for the error.
        variable: a filled fb_var_screeninfo.
        fixed: a filled fb_fix_screeninfo.

    Raises:
        DeviceError: they are not of 16 or 32 bits in an order that can be drawn, or do not fit.
    """
    words = VARIABLE.unpack(variable)
    width, height, _, _, x_offset, y_offset, bits = words[:7]
    parts = FIXED.unpack(fixed)
    row_bytes, length = parts[_FIXED_ROW_AT], parts[_FIXED_LENGTH_AT]
    found = Geometry(
        width=width,
        height=height,
        bits=bits,
        starts=(words[8], words[11], words[14]),
        first=y_offset * row_bytes + x_offset * bits // 8,
        row_bytes=row_bytes,
        length=length,
    )
    if not (found.starts in _ROOM_16 if bits == 16 else bits == 32 and _in_bytes(found.starts)):
        raise DeviceError(
            f"screen: {device} has {bits} bits a pixel, red, green and blue from bits"
            f" {found.starts}; set it to 32, or to 16 as 5-6-5"
        )
    end = found.first + (height - 1) * row_bytes + width * bits // 8
    if width < 1 or height < 1 or row_bytes * 8 < width * bits or end > length:
        raise DeviceError(
            f"screen: {device} says {width}x{height} pixels of {bits} bits, {row_bytes} bytes a"
            f" row, from byte {found.first} of {length}: they do not fit; set its mode again"
        )
    return found


def _in_bytes(starts: tuple[int, int, int]) -> bool:
    return len({*starts}) == len(starts) and _BYTE_STARTS.issuperset(starts)


def _mapped(device: Path, descriptor: int, found: Geometry) -> mmap.mmap:
    try:
        return mmap.mmap(descriptor, found.length)
    except (OSError, ValueError) as error:
        raise DeviceError(f"screen: {device} cannot be mapped into memory ({error})") from error


def _seen(memory: mmap.mmap, found: Geometry) -> Pixels:
    """The pixels that are seen: uint8 (height, width, bytes a pixel), as they lie."""
    pixel_bytes = found.bits // 8
    seen: npt.NDArray[np.uint8] = np.ndarray(
        (found.height, found.width, pixel_bytes),
        np.uint8,
        buffer=memory,
        offset=found.first,
        strides=(found.row_bytes, pixel_bytes, 1),
    )
    return seen
