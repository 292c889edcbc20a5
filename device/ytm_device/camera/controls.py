"""Exposure and white balance of a camera, through its Video4Linux controls.

Left to itself a camera answers the screen's own glow, and the mirror's picture drifts. Most USB
cameras have these controls, others lack some or all: what is missing is said, and is no failure.

Reference: `linux/v4l2-controls.h`, camera and user classes.
"""

from __future__ import annotations

import errno
import fcntl
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ytm_device.camera.v4l2 import opened

Exposure = Literal["auto", "locked", "stepped"]
WhiteBalance = Literal["auto", "locked"]

SETTLE_S = 3.0
"""What is to be locked is left to the camera for so long, to find its place."""
MAX_EXPOSURE = 333
"""In units of 100 us: with a longer one, a camera gives less than 30 pictures a second."""
STEP = 2**0.5
"""A step of exposure: half a stop."""

_QUERYCTRL, _G_CTRL, _S_CTRL = 0xC0445624, 0xC008561B, 0xC008561C
_QUERY = struct.Struct("=I36x4iI8x")  # id, minimum, maximum, step, default, flags
_CONTROL = struct.Struct("=Ii")
_DISABLED = 0x0001
_EXPOSURE_AUTO, _EXPOSURE = 0x009A0901, 0x009A0902
_GAIN_AUTO = 0x00980912
_WHITE_AUTO = 0x0098090C
_MANUAL_EXPOSURE = 1
_OFF = 0
_NO_SUCH = (errno.EINVAL, errno.ENOTTY)
_REFUSED = (errno.EINVAL, errno.ERANGE, errno.EBUSY, errno.EACCES)


@dataclass(frozen=True)
class Picturing:
    """What a camera may decide by itself."""

    exposure: Exposure = "auto"
    """`locked`: as it was after `SETTLE_S`; `stepped`: by `step_exposure` alone."""
    white_balance: WhiteBalance = "auto"


@dataclass(frozen=True)
class Limits:
    """What values a control takes."""

    minimum: int
    maximum: int
    default: int


class CameraControls:
    """The controls of the camera at a node."""

    def __init__(self, node: Path, picturing: Picturing) -> None:
        """Change nothing yet."""
        self._node, self._picturing = node, picturing

    def begin(self) -> list[str]:
        """What holds from the first picture on; names of what is wanted and missing.

        Raises:
            OSError: the camera does not answer.
        """
        missing: list[str] = []
        with opened(self._node) as node:
            if self._picturing.exposure == "auto":
                _release(node, _EXPOSURE_AUTO, _MANUAL_EXPOSURE)
                _release(node, _GAIN_AUTO, _OFF)
            elif self._picturing.exposure == "stepped":
                missing += _hold_exposure(node)
                if _query(node, _EXPOSURE) is None:
                    missing.append("exposure time")
            if self._picturing.white_balance == "auto":
                _release(node, _WHITE_AUTO, _OFF)
        return missing

    def settle(self) -> list[str]:
        """Lock what is to be locked, at its present value; names of what is missing.

        Raises:
            OSError: the camera does not answer.
        """
        missing: list[str] = []
        with opened(self._node) as node:
            if self._picturing.exposure == "locked":
                missing += _hold_exposure(node)
            if self._picturing.white_balance == "locked" and not _set(node, _WHITE_AUTO, _OFF):
                missing.append("automatic white balance")
        return missing

    def step_exposure(self, direction: int) -> bool:
        """Expose longer (1) or shorter (-1) by `STEP`; False where there is no room, or no control.

        Raises:
            OSError: the camera does not answer.
        """
        if self._picturing.exposure != "stepped":
            return False
        with opened(self._node) as node:
            limits = _query(node, _EXPOSURE)
            if limits is None:
                return False
            present = _get(node, _EXPOSURE)
            wanted = stepped(present, direction, limits)
            return wanted != present and _set(node, _EXPOSURE, wanted)


def stepped(present: int, direction: int, limits: Limits) -> int:
    """The exposure a `STEP` from `present`, within `limits` and `MAX_EXPOSURE`."""
    wanted = round(present * STEP**direction)
    if wanted == present:
        wanted += direction
    return max(limits.minimum, min(wanted, limits.maximum, MAX_EXPOSURE))


def _hold_exposure(node: int) -> list[str]:
    """Take exposure and gain from the camera; most cameras have no automatic gain of their own."""
    _set(node, _GAIN_AUTO, _OFF)
    held = _set(node, _EXPOSURE_AUTO, _MANUAL_EXPOSURE)
    return [] if held else ["automatic exposure"]


def _release(node: int, control: int, held: int) -> None:
    """Give what was held, perhaps by this program before, back to the camera."""
    limits = _query(node, control)
    if limits is not None and limits.default != held and _get(node, control) == held:
        _set(node, control, limits.default)


def _query(node: int, control: int) -> Limits | None:
    """The limits of a control; None if the camera has none such, or has it switched off."""
    try:
        answer = fcntl.ioctl(node, _QUERYCTRL, _QUERY.pack(control, 0, 0, 0, 0, 0))
    except OSError as error:
        if error.errno in _NO_SUCH:
            return None
        raise
    _, minimum, maximum, _, default, flags = _QUERY.unpack(answer)
    return None if flags & _DISABLED else Limits(minimum, maximum, default)


def _get(node: int, control: int) -> int:
    _, value = _CONTROL.unpack(fcntl.ioctl(node, _G_CTRL, _CONTROL.pack(control, 0)))
    return int(value)


def _set(node: int, control: int, value: int) -> bool:
    """Whether the camera has the control and took the value."""
    if _query(node, control) is None:
        return False
    try:
        fcntl.ioctl(node, _S_CTRL, _CONTROL.pack(control, value))
    except OSError as error:
        if error.errno in _REFUSED:
            return False
        raise
    return True
