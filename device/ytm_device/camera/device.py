"""A camera that Video4Linux knows, named by its path: /dev/v4l/by-id/... outlives replugging."""

from __future__ import annotations

import fcntl
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.source import CameraSource, pixels, scaling, sink
from ytm_device.frame import Frame
from ytm_device.gstreamer import Pipeline

MODES = (
    "video/x-raw,width=[320,1280],height=[240,720],framerate=[24/1,60/1];"
    "image/jpeg,width=[320,1280],height=[240,720],framerate=[24/1,60/1];"
    "video/x-raw;image/jpeg"
)
"""What to ask a camera for, best first: enough pixels for any encoder, and quick; else anything."""

_FIX = "is it unplugged, or in use by another program?"
_QUERYCAP = 0x80685600
_CAPABILITIES = struct.Struct(
    "=84xII12x"
)  # struct v4l2_capability: what it can, what this node can
_HAS_NODE_CAPABILITIES = 0x80000000
_CAPTURES = 0x00000001 | 0x00001000  # one plane or several


class DeviceCamera(CameraSource):
    """A `CameraSource` on v4l2src, whether the camera sends MJPEG or raw pictures."""

    def __init__(self, path: Path, image: ImageSpec) -> None:
        """Open the camera at `path`.

        Raises:
            DeviceError: it is not there, is no camera, or cannot be opened.
        """
        self.name = str(path)
        if not captures(path):
            raise DeviceError(f"{path}: is no camera that can be read; {_others()}")
        last = sink(realtime=False, newest_only=True)
        description = (
            f'v4l2src name=camera ! capsfilter caps="{MODES}" ! decodebin !'
            f" {scaling(image)} ! {last}"
        )
        self._pipeline = Pipeline(
            self.name, description, {"camera.device": str(path)}, DeviceError, _FIX
        )

    def close(self) -> None:
        """See `Owner.close`."""
        self._pipeline.close()

    def next_frame(self, timeout_s: float) -> Frame | None:
        """See `CameraSource.next_frame`."""
        sample = self._pipeline.pull(timeout_s)
        if sample is None:
            if self._pipeline.ended:
                raise DeviceError(f"{self.name}: the camera stopped; is it unplugged?")
            return None
        taken_ns = min(sample.clock_ns, time.monotonic_ns())
        return Frame(pixels(sample), taken_ns, sample.sequence, self.name)


def cameras() -> Iterator[Path]:
    """Cameras that can be read, those with a lasting name first."""
    for folder, pattern in ((Path("/dev/v4l/by-id"), "*"), (Path("/dev"), "video*")):
        yield from (path for path in sorted(folder.glob(pattern)) if captures(path))


def captures(path: Path) -> bool:
    """Whether `path` is a Video4Linux node that gives pictures (many cameras add one that none)."""
    try:
        if not stat.S_ISCHR(path.stat().st_mode):
            return False
        with path.open("rb", buffering=0) as node:
            answer = fcntl.ioctl(node, _QUERYCAP, bytes(_CAPABILITIES.size))
    except OSError:
        return False
    device, node_only = _CAPABILITIES.unpack(answer)
    return bool((node_only if device & _HAS_NODE_CAPABILITIES else device) & _CAPTURES)


def _others() -> str:
    found = [str(path) for path in cameras()]
    return f"there are: {', '.join(found)}" if found else "none is found on this machine"
