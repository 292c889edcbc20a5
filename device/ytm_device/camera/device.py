"""A camera that Video4Linux knows, watched for what cameras do when they fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.background import in_background
from ytm_device.camera.controls import SETTLE_S, CameraControls, Picturing
from ytm_device.camera.finding import cameras
from ytm_device.camera.source import CameraSource, pixels, scaling, sink
from ytm_device.camera.v4l2 import probe
from ytm_device.camera.watching import PictureWatch
from ytm_device.console import say
from ytm_device.frame import Frame
from ytm_device.gstreamer import INSPECTED, Pipeline

MODES = (
    "video/x-raw,width=[320,1280],height=[240,720],framerate=[24/1,60/1];"
    "image/jpeg,width=[320,1280],height=[240,720],framerate=[24/1,60/1];"
    "video/x-raw;image/jpeg"
)
"""What to ask a camera for, best first: enough pixels for any encoder, and quick; else anything."""
FIRST_PICTURE_S = 4.0
"""A camera that has given nothing for so long after it was opened has failed."""
NO_PICTURE_S = 2.0
"""The same for one that has given pictures before."""

_FIX = "is it unplugged, or in use by another program?"
_NS_PER_S = 1_000_000_000


class DeviceCamera(CameraSource):
    """A `CameraSource` on v4l2src, whether the camera sends MJPEG or raw pictures."""

    def __init__(
        self,
        path: Path,
        image: ImageSpec,
        picturing: Picturing | None = None,
        tell: Callable[[str], None] = say,
    ) -> None:
        """Open the camera at `path`.

        Args:
            path: a Video4Linux node, or a link to one.
            image: the size and fit wanted.
            picturing: what it may decide by itself; None: everything.
            tell: is told what the camera lacks of what is wanted.

        Raises:
            DeviceError: it is not there, is no camera, or cannot be opened.
        """
        self.name, self._path = str(path), path
        capabilities = probe(path)
        if capabilities is None:
            raise DeviceError(f"{path}: is no camera that can be read; {_others()}")
        self._offers = capabilities.offers
        self._controls = CameraControls(path, picturing or Picturing())
        self._watch = PictureWatch()
        self._opened_ns = time.monotonic_ns()
        self._last_ns: int | None = None
        self._settled = False
        self._tell = tell
        self._controlling: Future[object] | None = None
        self._control(self._controls.begin)
        self._pipeline = self._open(path, image)

    def _open(self, path: Path, image: ImageSpec) -> Pipeline:
        description = (
            f'v4l2src name=camera ! capsfilter name={INSPECTED} caps="{MODES}" ! decodebin !'
            f" {scaling(image)} ! {sink(realtime=False, newest_only=True)}"
        )
        settings = {"camera.device": str(path)}
        try:
            return Pipeline(
                self.name, description, settings, DeviceError, _FIX, self._watch.inspect
            )
        except DeviceError as error:
            raise self._with_offers(error) from error

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
            DeviceError: the camera has gone, is frozen, or sends nothing that can be used.
        """
        try:
            sample = self._pipeline.pull(timeout_s)
        except DeviceError as error:
            if not self._path.exists():
                raise DeviceError(f"{self.name}: was unplugged; plug it in again") from error
            raise self._with_offers(error) from error
        now_ns = time.monotonic_ns()
        if self._watch.trouble is not None:
            raise DeviceError(f"{self.name}: {self._watch.trouble}; unplug it and plug it in again")
        if sample is None:
            self._check_alive(now_ns)
            return None
        self._last_ns = now_ns
        self._settle(now_ns)
        taken_ns = min(sample.clock_ns, now_ns)
        return Frame(pixels(sample), taken_ns, sample.sequence, self.name)

    def step_exposure(self, direction: int) -> None:
        """See `CameraSource.step_exposure`."""
        self._in_background(lambda: self._controls.step_exposure(direction))

    def _check_alive(self, now_ns: int) -> None:
        if self._pipeline.ended:
            raise DeviceError(f"{self.name}: the camera stopped; is it unplugged?")
        first = self._last_ns is None
        longest_s = FIRST_PICTURE_S if first else NO_PICTURE_S
        if now_ns - (self._last_ns or self._opened_ns) > longest_s * _NS_PER_S:
            error = DeviceError(f"{self.name}: no picture for {longest_s:g} s; {_FIX}")
            raise self._with_offers(error)

    def _with_offers(self, error: DeviceError) -> DeviceError:
        """What went wrong before the first picture may lie in the formats that there are."""
        if self._last_ns is not None:
            return error
        return DeviceError(f"{error} (it offers {self._offers})")

    def _settle(self, now_ns: int) -> None:
        if not self._settled and now_ns - self._opened_ns > SETTLE_S * _NS_PER_S:
            self._settled = True
            self._in_background(lambda: self._control(self._controls.settle))

    def _in_background(self, call: Callable[[], object]) -> None:
        if self._controlling is None or self._controlling.done():
            self._controlling = in_background(call)

    def _control(self, change: Callable[[], list[str]]) -> None:
        try:
            missing = change()
        except OSError as error:
            missing = [f"answer to a control ({error.strerror})"]
        if missing:
            self._tell(f"{self.name}: this camera has no {' and no '.join(missing)}")


def _others() -> str:
    found = [str(path) for path in cameras()]
    return f"there are: {', '.join(found)}" if found else "none is found on this machine"
