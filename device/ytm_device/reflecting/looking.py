"""The camera that the settings name, kept open, and when it should expose otherwise."""

from __future__ import annotations

from pathlib import Path

from ytm_bundle.errors import DeviceError, UsageError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.choice import choose_camera
from ytm_device.camera.controls import Picturing
from ytm_device.camera.opening import keep_open
from ytm_device.camera.source import CameraSource
from ytm_device.camera.steady import SteadyCamera
from ytm_device.console import say
from ytm_device.light.leveller import Light
from ytm_device.settings.model import CameraSettings

STEP_S = 3.0
"""Between two steps of the exposure: a camera takes a while to follow."""
DARK_GAIN = 1.5
"""A picture that must be made so much lighter should have been exposed longer."""
BRIGHT_SHARE = 0.1
"""One of which so much is white should have been exposed shorter."""
_NS_PER_S = 1_000_000_000


def camera_for(settings: CameraSettings, image: ImageSpec, run_dir: Path) -> SteadyCamera:
    """Keep the camera of `settings` open; one that cannot be is a problem, not an end.

    Args:
        settings: which camera, and how it is held.
        image: the size and fit wanted.
        run_dir: where a reset of its USB port is asked for.
    """
    try:
        camera = choose_camera(settings.device, wait=True)
    except UsageError as error:
        return _none(str(settings.device), str(error))
    say(f"camera: {camera.name} ({camera.why})")
    picturing = Picturing(settings.exposure, settings.white_balance)
    return keep_open(camera, image, picturing, run_dir if settings.usb_reset else None)


def _none(name: str, why: str) -> SteadyCamera:
    def cannot() -> CameraSource:
        raise DeviceError(why)

    return SteadyCamera(cannot, name)


class ExposureSteps:
    """When the camera should expose longer or shorter, from how light its pictures are."""

    def __init__(self) -> None:
        self._due_ns = 0

    def direction(self, light: Light, taken_ns: int) -> int:
        """1 for longer, -1 for shorter, 0 to leave it.

        Args:
            light: of the newest picture.
            taken_ns: when that was taken.
        """
        wanted = int(light.gain > DARK_GAIN) - int(light.bright_share > BRIGHT_SHARE)
        if wanted == 0 or taken_ns < self._due_ns:
            return 0
        self._due_ns = taken_ns + round(STEP_S * _NS_PER_S)
        return wanted
