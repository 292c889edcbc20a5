"""A camera on a Jetson's CSI connector, through NVIDIA's Argus: written to its documentation.

No board has been met. Argus exposes and balances by itself; nothing of it is in Video4Linux.

Reference: "Accelerated GStreamer" in the Jetson Linux Developer Guide, `nvarguscamerasrc`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from ytm_bundle.errors import DeviceError, UsageError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.controls import SETTLE_S, Picturing
from ytm_device.camera.device import FIRST_PICTURE_S, NO_PICTURE_S
from ytm_device.camera.source import CameraSource, pixels, scaling, sink
from ytm_device.camera.watching import PictureWatch
from ytm_device.console import say
from ytm_device.frame import Frame
from ytm_device.gstreamer import INSPECTED, Pipeline, lacking

PREFIX = "csi:"
MOST_SENSORS = 16
ELEMENTS = ("nvarguscamerasrc", "nvvidconv")
_MODE = "video/x-raw(memory:NVMM),format=NV12,width=1280,height=720,framerate=30/1"
"""What Argus makes of any sensor's own mode: as for other cameras, enough pixels, and quick."""
_FIX = "is the sensor connected, and nvargus-daemon running?"
_NAME = re.compile(rf"{PREFIX}(\d{{1,2}})")
_NS_PER_S = 1_000_000_000


def sensor_of(name: str) -> int | None:
    """The sensor that `csi:0`, `csi:1` and so on name; None for what does not begin so.

    Raises:
        UsageError: it begins so, and there can be no such sensor.
    """
    if not name.startswith(PREFIX):
        return None
    found = _NAME.fullmatch(name)
    if found is None or int(found[1]) >= MOST_SENSORS:
        raise UsageError(f"--camera {name}: give {PREFIX}0 to {PREFIX}{MOST_SENSORS - 1}")
    return int(found[1])


def description(image: ImageSpec) -> str:
    """The pipeline: from the sensor, out of the GPU's memory, to the encoder's size."""
    return (
        f'nvarguscamerasrc name=camera ! capsfilter caps="{_MODE}" ! nvvidconv !'
        f' capsfilter name={INSPECTED} caps="video/x-raw,format=NV12" !'
        f" {scaling(image)} ! {sink(realtime=False, newest_only=True)}"
    )


class CsiCamera(CameraSource):
    """A `CameraSource` on nvarguscamerasrc."""

    def __init__(
        self,
        name: str,
        image: ImageSpec,
        picturing: Picturing | None = None,
        tell: Callable[[str], None] = say,
    ) -> None:
        """Open the camera `name`, such as `csi:0`.

        Args:
            name: which sensor.
            image: the size and fit wanted.
            picturing: what it may decide by itself; None: everything.
            tell: is told what the camera lacks of what is wanted.

        Raises:
            DeviceError: this is no Jetson, or the sensor cannot be opened.
            UsageError: there can be no such sensor.
        """
        self.name, self._picturing = name, picturing or Picturing()
        if missing := lacking(ELEMENTS):
            raise DeviceError(
                f"{name}: GStreamer has no {' and no '.join(missing)} here; CSI cameras need a"
                " Jetson with NVIDIA's nvidia-l4t-gstreamer; elsewhere give a USB camera"
            )
        if self._picturing.exposure == "stepped":
            tell(f"{name}: this camera has no exposure in steps; it exposes by itself")
        self._watch = PictureWatch()
        self._settled = False
        self._opened_ns = time.monotonic_ns()
        self._last_ns: int | None = None
        settings = {"camera.sensor-id": sensor_of(name)}
        self._pipeline = Pipeline(
            name, description(image), settings, DeviceError, _FIX, self._watch.inspect
        )

    def close(self) -> None:
        """See `Owner.close`."""
        self._pipeline.close()

    @property
    def damaged(self) -> int:
        """See `CameraSource.damaged`."""
        return self._watch.damaged

    def next_frame(self, timeout_s: float) -> Frame | None:
        """See `CameraSource.next_frame`.

        Raises:
            DeviceError: the camera stopped, is frozen, or sends nothing that can be used.
        """
        sample = self._pipeline.pull(timeout_s)
        now_ns = time.monotonic_ns()
        if self._watch.trouble is not None:
            raise DeviceError(f"{self.name}: {self._watch.trouble}; {_FIX}")
        if sample is None:
            self._check_alive(now_ns)
            return None
        self._last_ns = now_ns
        self._settle(now_ns)
        return Frame(pixels(sample), min(sample.clock_ns, now_ns), sample.sequence, self.name)

    def _check_alive(self, now_ns: int) -> None:
        longest_s = FIRST_PICTURE_S if self._last_ns is None else NO_PICTURE_S
        since_ns = self._opened_ns if self._last_ns is None else self._last_ns
        if self._pipeline.ended or now_ns - since_ns > longest_s * _NS_PER_S:
            raise DeviceError(f"{self.name}: no picture for {longest_s:g} s; {_FIX}")

    def _settle(self, now_ns: int) -> None:
        """Lock what is to be locked, once the camera has found its place."""
        if self._settled or now_ns - self._opened_ns < SETTLE_S * _NS_PER_S:
            return
        self._settled = True
        self._pipeline.set("camera.aelock", self._picturing.exposure == "locked")
        self._pipeline.set("camera.awblock", self._picturing.white_balance == "locked")
