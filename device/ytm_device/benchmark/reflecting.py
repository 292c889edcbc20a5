"""From the camera to a reflection, stage by stage, at the camera's pace."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import monotonic_ns, thread_time_ns

import numpy as np

from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_device.benchmark.stages import Times
from ytm_device.bus.channel import Publisher
from ytm_device.camera.source import CameraSource
from ytm_device.engines.mind import Graphs
from ytm_device.frame import Frame
from ytm_device.light.leveller import LightLeveller
from ytm_device.presence.detector import PresenceDetector
from ytm_device.presence.parameters import PresenceParameters
from ytm_device.reflecting.reflector import Reflector, encoder_input, picture

WARM_UP_FRAMES = 5
NO_FRAME_S = 30.0
"""A source that gives nothing for so long gives nothing."""
_TURN_S = 0.25
_NS_PER_MS, _NS_PER_S = 1_000_000, 1_000_000_000


@dataclass
class _Frames:
    """How many came, and how many were overwritten before they were looked at."""

    looked_at: int = 0
    dropped: int = 0
    last: int | None = None

    def add(self, sequence: int) -> None:
        self.looked_at += 1
        if self.last is not None:
            self.dropped += max(0, sequence - self.last - 1)
        self.last = sequence


class Reflecting:
    """Answers frames, by turns as the mirror does and graph by graph."""

    def __init__(self, bundle: Bundle, mind: Graphs, publisher: Publisher, times: Times) -> None:
        """Prepare.

        Args:
            bundle: what is answered.
            mind: by what; stays the caller's.
            publisher: gets the reflections.
            times: gets the durations.
        """
        self._mind, self._publisher, self._times = mind, publisher, times
        self._reflector = Reflector(bundle, mind)
        associator = bundle.manifest.graphs["image_to_sound"]
        self._taken = [tensor.name for tensor in associator.inputs]
        self._noise = np.zeros((1, bundle.manifest.latent_size), np.float32)
        self._detector = PresenceDetector(PresenceParameters())
        self._leveller = LightLeveller()
        self._cpu_ns: list[int] = []
        """Of this thread, for each frame that was answered as the mirror does."""

    def measure(self, camera: CameraSource, seconds: float) -> dict[str, float]:
        """Answer what `camera` sees for so long; what was counted.

        Raises:
            DeviceError: the camera or a graph failed, or no picture came.
            MediaError: the file that plays the camera cannot be decoded.
        """
        for _ in range(WARM_UP_FRAMES):
            self._answer(_next(camera), Times(), graph_by_graph=True)
            self._answer(_next(camera), Times(), graph_by_graph=False)
        self._cpu_ns.clear()
        frames, begun_ns = _Frames(), monotonic_ns()
        while monotonic_ns() - begun_ns < seconds * _NS_PER_S:
            frame = _next(camera)
            self._times.add("camera read", monotonic_ns() - frame.taken_ns)
            frames.add(frame.sequence)
            self._answer(frame, self._times, graph_by_graph=frames.looked_at % 2 == 0)
        elapsed_s = (monotonic_ns() - begun_ns) / _NS_PER_S
        return {
            "frames": frames.looked_at,
            "frames dropped": frames.dropped,
            "reflections per s": round(frames.looked_at / elapsed_s, 2),
            "CPU ms a reflection": round(median(self._cpu_ns or [0]) / _NS_PER_MS, 3),
        }

    def _answer(self, frame: Frame, times: Times, *, graph_by_graph: bool) -> None:
        begun_ns = thread_time_ns()
        with times.of("presence"):
            somebody = self._detector.see(frame.pixels, frame.taken_ns).somebody
        with times.of("exposure"):
            pixels = self._leveller.level(frame.pixels, frame.taken_ns)
        levelled = Frame(pixels, frame.taken_ns, frame.sequence, frame.source)
        if graph_by_graph:
            self._through_graphs(levelled, times)
            return
        self._publisher.publish(self._reflector.reflect(levelled, somebody))
        times.add("frame to reflection", monotonic_ns() - frame.taken_ns)
        self._cpu_ns.append(thread_time_ns() - begun_ns)

    def _through_graphs(self, frame: Frame, times: Times) -> None:
        run = self._mind.run
        with times.of("encode"):
            image = encoder_input(frame.pixels)
            latent = run("image_encoder", image=image)
        offered = {"latent": latent, "image": image, "noise": self._noise}
        with times.of("associate"):
            heard = run("image_to_sound", **{name: offered[name] for name in self._taken})
        with times.of("decode sound"):
            np.clip(run("sound_decoder", latent=heard)[0], 0, 1)
        with times.of("decode picture"):
            picture(run("image_decoder", latent=latent))


def _next(camera: CameraSource) -> Frame:
    """The next frame, waited for.

    Raises:
        DeviceError: none comes.
    """
    begun_ns = monotonic_ns()
    while monotonic_ns() - begun_ns < NO_FRAME_S * _NS_PER_S:
        frame = camera.next_frame(_TURN_S)
        if frame is not None:
            return frame
    raise DeviceError(f"{camera.name}: no picture in {NO_FRAME_S:g} s; give another --camera")
