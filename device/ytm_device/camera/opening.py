"""How a camera is opened again and again: found, probed, opened, and as the last resort reset."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.choice import Camera
from ytm_device.camera.controls import Picturing
from ytm_device.camera.csi import CsiCamera
from ytm_device.camera.device import DeviceCamera
from ytm_device.camera.finding import Finder
from ytm_device.camera.source import CameraSource
from ytm_device.camera.steady import SteadyCamera
from ytm_device.camera.usb import SYS, usb_device
from ytm_device.camera.usb_reset import REQUEST
from ytm_device.console import say

_MAX_TOLD = 32


@dataclass
class DeviceOpener:
    """Opens one camera, wherever it is plugged in by then."""

    finder: Finder
    image: ImageSpec
    picturing: Picturing
    wanted: str
    """For the error when it is not there."""
    node: Path | None = None
    """Where it was last tried; None: it was not there."""
    _told: set[str] = field(default_factory=set)

    def open(self) -> CameraSource:
        """Find it and open it.

        Raises:
            DeviceError: it is not there, or cannot be opened.
        """
        found = self.finder.find()
        if found is None:
            self.node = None
            raise DeviceError(f"{self.wanted}: is not there; plug it in, and it is used at once")
        self.node = found.node
        about = found.capabilities
        self._tell(f"camera: {found.path} is {about.card} at {about.bus} ({about.offers})")
        return DeviceCamera(found.path, self.image, self.picturing, self._tell)

    def _tell(self, line: str) -> None:
        """Say each thing once, however often it is opened."""
        if line not in self._told:
            self._told = {line, *list(self._told)[:_MAX_TOLD]}
            say(line)


def keep_open(
    camera: Camera, image: ImageSpec, picturing: Picturing, reset_in: Path | None
) -> SteadyCamera:
    """Keep `camera` open, whatever happens to it.

    Args:
        camera: which.
        image: the size and fit wanted.
        picturing: what the camera may decide by itself.
        reset_in: the folder where a reset of its USB port may be asked for; None: it may not.
    """
    if camera.kind in ("demo", "file"):
        return SteadyCamera(lambda: camera.open(image), camera.name)
    if camera.kind == "csi":
        return SteadyCamera(lambda: CsiCamera(camera.name, image, picturing), camera.name)
    wanted = None if camera.kind == "first" else Path(camera.name)
    opener = DeviceOpener(Finder(wanted), image, picturing, camera.name)
    if reset_in is None:
        return SteadyCamera(opener.open, camera.name)
    run_dir = reset_in
    return SteadyCamera(opener.open, camera.name, lambda: request_reset(opener.node, run_dir))


def request_reset(node: Path | None, run_dir: Path, sysfs: Path = SYS) -> bool:
    """Ask root to reset the USB camera at `node`; False if there is none, or it cannot be asked."""
    device = None if node is None else usb_device(node.name, sysfs)
    if device is None:
        return False
    temporary = run_dir / f".{REQUEST}.partial"
    try:
        temporary.write_text(str(device), encoding="ascii")
        temporary.replace(run_dir / REQUEST)
    except OSError as error:
        say(f"{run_dir}: a reset of the camera cannot be asked for: {error.strerror}")
        return False
    say(f"camera: nothing else brings {node} back; asking for a reset of {device}")
    return True
