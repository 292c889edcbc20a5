"""From what `--camera` says to a camera."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ytm_bundle.errors import DeviceError, UsageError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera import demo
from ytm_device.camera.csi import PREFIX, CsiCamera, sensor_of
from ytm_device.camera.demo import DemoCamera
from ytm_device.camera.device import DeviceCamera
from ytm_device.camera.file import FileCamera
from ytm_device.camera.finding import cameras
from ytm_device.camera.source import CameraSource


@dataclass(frozen=True)
class Camera:
    """Which camera, and why."""

    kind: Literal["device", "csi", "first", "file", "demo"]
    """`first`: whichever camera is found first, once there is one."""
    name: str
    """A path, `csi:0`, `demo`, or words for the first camera."""
    why: str

    @property
    def is_live(self) -> bool:
        """It sees people, who are never recorded."""
        return self.kind not in ("file", "demo")

    def open(self, image: ImageSpec) -> CameraSource:
        """Open it, scaled to `image`.

        Raises:
            DeviceError: the camera cannot be opened.
            MediaError: the file cannot be played.
        """
        if self.kind == "demo":
            return DemoCamera(image)
        if self.kind == "file":
            return FileCamera(Path(self.name), image)
        if self.kind == "csi":
            return CsiCamera(self.name, image)
        if self.kind == "device":
            return DeviceCamera(Path(self.name), image)
        found = next(cameras(), None)
        if found is None:
            raise DeviceError("no camera is connected; plug one in")
        return DeviceCamera(found, image)


def choose_camera(wanted: str | None, *, wait: bool = False) -> Camera:
    """The camera that was asked for; without a wish the first one found, else the drawn visitor.

    Args:
        wanted: what `--camera` says.
        wait: without a wish, take the first camera that comes, and never the drawn visitor.

    Raises:
        UsageError: `wanted` is neither a device, nor a sensor, nor a file, nor `demo`.
    """
    if wanted == demo.NAME:
        return Camera("demo", demo.NAME, "asked for")
    if wanted is None and wait:
        return Camera("first", "the first camera", "none was asked for")
    if wanted is None:
        found = next(cameras(), None)
        if found is None:
            return Camera("demo", demo.NAME, "no camera is connected; showing the drawn visitor")
        return Camera("device", str(found), "the first camera found")
    if sensor_of(wanted) is not None:
        return Camera("csi", wanted, "asked for")
    path = Path(wanted)
    if path.is_file():
        return Camera("file", wanted, "asked for")
    if path.is_char_device() or path.is_relative_to("/dev"):
        return Camera("device", wanted, "asked for")
    raise UsageError(
        f"--camera {wanted}: no such device or video file; give a path, {PREFIX}0 for a CSI camera,"
        f" or {demo.NAME}"
    )
