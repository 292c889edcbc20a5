"""A camera that sees darkness, and at times a flash, through the elements of every camera."""

from __future__ import annotations

import random
import time

import numpy as np

from ytm_bundle.errors import MediaError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.source import CameraSource, pixels, scaling, sink
from ytm_device.frame import Frame
from ytm_device.gstreamer import Pipeline

RATE_HZ = 30
WIDTH, HEIGHT = 640, 480
DARK_S, LIGHT_S = (0.45, 0.8), 0.3
"""A sound has ended before the next flash; irregular, so that nothing falls into step."""
DARK, LIGHT = 0, 255
_PERIOD_NS = 1_000_000_000 // RATE_HZ
_NS_PER_S = 1_000_000_000
_SCALED_WITHIN_S = 10.0


class FlashCamera(CameraSource):
    """A `CameraSource` that makes its pictures itself, and notes when the first light was taken."""

    name = "flashes"

    def __init__(self, image: ImageSpec) -> None:
        """Begin in the dark.

        Args:
            image: the size and fit wanted.
        """
        self.flashes_ns: list[int] = []
        """When the first light picture of each flash was taken, on CLOCK_MONOTONIC."""
        self.is_light = False
        """Whether the last picture was."""
        caps = f"video/x-raw,format=RGB,width={WIDTH},height={HEIGHT},framerate={RATE_HZ}/1"
        self._pipeline = Pipeline(
            self.name,
            f"appsrc name=made format=time caps={caps} ! {scaling(image)} !"
            f" {sink(realtime=False, newest_only=False)}",
            {},
            MediaError,
            "run make setup",
        )
        self._pictures = [
            np.full((HEIGHT, WIDTH, 3), level, np.uint8).tobytes() for level in (DARK, LIGHT)
        ]
        self._chance = random.Random(RATE_HZ)  # noqa: S311
        self._sequence = 0
        self._due_ns = time.monotonic_ns()
        self._changes_ns = self._due_ns + round(self._chance.uniform(*DARK_S) * _NS_PER_S)

    def close(self) -> None:
        """See `Owner.close`."""
        self._pipeline.close()

    def next_frame(self, timeout_s: float) -> Frame | None:
        """See `CameraSource.next_frame`."""
        wait_ns = self._due_ns - time.monotonic_ns()
        time.sleep(max(0, min(wait_ns / _NS_PER_S, timeout_s)))
        taken_ns = time.monotonic_ns()
        if taken_ns < self._due_ns:
            return None
        self._turn(taken_ns)
        data = self._pictures[self.is_light]
        self._pipeline.push("made", data, self._sequence * _PERIOD_NS, _PERIOD_NS, len(data))
        sample = self._pipeline.pull(_SCALED_WITHIN_S)
        if sample is None:
            raise MediaError(f"{self.name}: GStreamer gave no picture back; run make setup")
        self._sequence += 1
        return Frame(pixels(sample), taken_ns, self._sequence - 1, self.name)

    def _turn(self, taken_ns: int) -> None:
        """Make it light or dark when it is time."""
        self._due_ns = max(self._due_ns + _PERIOD_NS, taken_ns)
        if taken_ns < self._changes_ns:
            return
        self.is_light = not self.is_light
        if self.is_light:
            self.flashes_ns.append(taken_ns)
        lasts_s = LIGHT_S if self.is_light else self._chance.uniform(*DARK_S)
        self._changes_ns = taken_ns + round(lasts_s * _NS_PER_S)
        if not self.is_light:
            # The next flash must not always meet the screen at the same point of its turn.
            self._due_ns += round(self._chance.random() * _PERIOD_NS)
