"""`python -m ytm_device.camera.usb_reset FILE`: resets the one camera that FILE asks for. For root.

The mirror's services have no rights over USB. Where nothing else brings a camera back, ytm-reflect
leaves its path in FILE, and systemd runs this once (ytm-usb-reset.path). Who writes FILE is not
trusted: what it asks for must be, letter by letter, the path of a USB device that is a camera.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from pathlib import Path

from ytm_bundle.errors import DeviceError, YtmError
from ytm_device.camera.usb import SYS, usb_cameras
from ytm_device.console import say

REQUEST = "usb-reset"
"""Name of the file, in the folder of the services."""
MAX_BYTES = 256
_RESET = 0x5514  # USBDEVFS_RESET
_USB_MAJOR = 189


def take_request(path: Path) -> str:
    """Read what is asked for, and remove the request, whatever it is.

    Raises:
        DeviceError: it is no plain, short file of text.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        _remove(path)
        raise DeviceError(f"{path}: {error.strerror}; it must be a plain file") from error
    try:
        _remove(path)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DeviceError(f"{path}: is no plain file; nothing is reset")
        content = os.read(descriptor, MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise DeviceError(f"{path}: is longer than {MAX_BYTES} bytes; nothing is reset")
    return content.decode("ascii", "replace")


def reset(wanted: str, sysfs: Path = SYS) -> None:
    """Reset the USB device at `wanted`, as if it were unplugged and plugged in again.

    Raises:
        DeviceError: it is none of the cameras in `sysfs`, or refuses.
    """
    allowed = sorted(map(str, usb_cameras(sysfs)))
    if wanted not in allowed:
        cameras = ", ".join(allowed) or "none"
        raise DeviceError(f"{wanted!r}: is no USB camera; nothing is reset (cameras: {cameras})")
    try:
        device = os.open(wanted, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise DeviceError(f"{wanted}: cannot be opened: {error.strerror}") from error
    try:
        if os.major(Path(wanted).stat().st_rdev) != _USB_MAJOR:
            raise DeviceError(f"{wanted}: is no USB device; nothing is reset")
        fcntl.ioctl(device, _RESET)
    except OSError as error:
        raise DeviceError(f"{wanted}: refuses to be reset: {error.strerror}") from error
    finally:
        os.close(device)


def _remove(path: Path) -> None:
    """Take the request away: one that stayed would be taken up again and again."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # a folder
        raise DeviceError(f"{path}: {error.strerror}; remove it") from error


def main(arguments: list[str]) -> int:
    """Do what the file says that `arguments` name; the exit code."""
    if len(arguments) != 1:
        say("error: give one file that holds the path of a USB camera")
        return 2
    try:
        wanted = take_request(Path(arguments[0]))
        reset(wanted)
    except YtmError as error:
        say(f"error: {error}")
        return 1
    say(f"{wanted}: reset")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
