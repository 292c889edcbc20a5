"""Which USB device a camera is, as the kernel tells in sysfs."""

from __future__ import annotations

from pathlib import Path

SYS = Path("/sys")
_USB = Path("/dev/bus/usb")
_CLASS = "class/video4linux"


def usb_device(node: str, sysfs: Path = SYS) -> Path | None:
    """The USB device behind a Video4Linux node; None if it is no USB camera.

    Args:
        node: the node's name, `video0`.
        sysfs: where the kernel tells.

    Returns:
        `/dev/bus/usb/BUS/DEVICE`, three digits each.
    """
    interface = (sysfs / _CLASS / node / "device").resolve()
    for folder in (interface, *interface.parents):
        if not folder.is_relative_to(sysfs.resolve()):
            return None
        numbers = [_number(folder / name) for name in ("busnum", "devnum")]
        if None not in numbers:
            bus, device = numbers
            return _USB / f"{bus:03d}" / f"{device:03d}"
    return None


def usb_cameras(sysfs: Path = SYS) -> set[Path]:
    """Every USB device that is a camera."""
    devices = (usb_device(node.name, sysfs) for node in (sysfs / _CLASS).glob("video*"))
    return {device for device in devices if device is not None}


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
