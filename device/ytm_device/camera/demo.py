"""The drawn visitor as a camera, for machines without one and for measuring."""

from __future__ import annotations

import time
from collections.abc import Generator
from itertools import count, islice

import numpy as np
import numpy.typing as npt

from ytm_bundle.errors import MediaError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.source import CameraSource, pixels, scaling, sink
from ytm_device.camera.visitor import draw_visitor
from ytm_device.frame import Frame
from ytm_device.gstreamer import Pipeline

NAME = "demo"
RATE_HZ = 30
WIDTH = 640
HEIGHT = 480
PERIOD_NS = 1_000_000_000 // RATE_HZ
_SCALED_WITHIN_S = 10.0


class DrawnPictures:
    """Draws the visitor at the size of a webcam and scales as cameras are scaled.

    Through GStreamer, not OpenCV: the picture then means the same from every source.
    """

    def __init__(self, image: ImageSpec) -> None:
        """Make the pipeline that scales to `image`."""
        caps = f"video/x-raw,format=RGB,width={WIDTH},height={HEIGHT},framerate={RATE_HZ}/1"
        description = (
            f"appsrc name=drawn format=time caps={caps} ! {scaling(image)} !"
            f" {sink(realtime=False, newest_only=False)}"
        )
        self._pipeline = Pipeline(
            "the drawn visitor", description, {}, MediaError, "run make setup"
        )

    def close(self) -> None:
        """Stop the pipeline."""
        self._pipeline.close()

    def picture(self, sequence: int) -> npt.NDArray[np.uint8]:
        """Draw and scale picture `sequence`, `RATE_HZ` of them a second; each once, in order.

        Raises:
            MediaError: GStreamer failed.
        """
        drawn = draw_visitor(sequence / RATE_HZ, WIDTH, HEIGHT)
        self._pipeline.push("drawn", drawn.tobytes(), sequence * PERIOD_NS, PERIOD_NS, drawn.nbytes)
        sample = self._pipeline.pull(_SCALED_WITHIN_S)
        if sample is None:
            raise MediaError("the drawn visitor: GStreamer gave no picture back")
        return pixels(sample)


class DemoCamera(CameraSource):
    """A `CameraSource` that draws the visitor, `RATE_HZ` pictures a second of real time."""

    def __init__(self, image: ImageSpec) -> None:
        """Begin with the first visitor's entrance."""
        self.name = NAME
        self._pictures = DrawnPictures(image)
        self._start_ns = time.monotonic_ns()
        self._next = 0

    def close(self) -> None:
        """See `Owner.close`."""
        self._pictures.close()

    def next_frame(self, timeout_s: float) -> Frame | None:
        """See `CameraSource.next_frame`."""
        now_ns = time.monotonic_ns()
        due_ns = self._start_ns + self._next * PERIOD_NS
        if due_ns > now_ns:
            time.sleep(min(timeout_s, (due_ns - now_ns) / 1e9))
            if time.monotonic_ns() < due_ns:
                return None
        sequence = max(self._next, (now_ns - self._start_ns) // PERIOD_NS)
        self._next = sequence + 1
        taken_ns = self._start_ns + sequence * PERIOD_NS
        return Frame(self._pictures.picture(sequence), taken_ns, sequence, self.name)


def drawn_frames(image: ImageSpec, limit: int | None = None) -> Generator[Frame, None, None]:
    """Draw the visitor as fast as possible; `taken_ns` counts from the first entrance."""
    pictures = DrawnPictures(image)
    try:
        for sequence in islice(count(), limit):
            yield Frame(pictures.picture(sequence), sequence * PERIOD_NS, sequence, NAME)
    finally:
        pictures.close()
