"""ytm-reflect: the newest picture of the camera, answered and published, until told to stop."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_device.bus.channel import Publisher
from ytm_device.camera.choice import Camera
from ytm_device.camera.source import CameraSource
from ytm_device.reflecting.reflector import Reflector
from ytm_device.reflecting.statistics import ReflectStatistics
from ytm_device.status import StatusReporter, Value

SERVICE = "reflect"
NO_PICTURE_S = 10.0
"""A camera that sends nothing for so long has failed."""
_TURN_S = 0.25


def run(
    bundle: Bundle, camera: Camera, endpoint: str, run_dir: Path, stop: threading.Event
) -> None:
    """Reflect what `camera` sees, at `endpoint`, until `stop` is set.

    Raises:
        DeviceError: the camera or a graph failed, or nothing can be published.
        MediaError: the file cannot be played.
    """
    with (
        Publisher(endpoint) as publisher,
        Reflector(bundle) as reflector,
        camera.open(bundle.manifest.image) as source,
    ):
        statistics = ReflectStatistics()
        about: dict[str, Value] = {
            "bundle": bundle.id,
            "camera": source.name,
            "backend": reflector.backend,
        }
        reporter = StatusReporter(run_dir, SERVICE)
        while not stop.is_set():
            if _answer(source, reflector, publisher, statistics, stop):
                now_ns = time.monotonic_ns()
                if reporter.due(now_ns):
                    reporter.report(now_ns, about | statistics.fields())
        reporter.report(time.monotonic_ns(), about | statistics.fields())


def _answer(
    source: CameraSource,
    reflector: Reflector,
    publisher: Publisher,
    statistics: ReflectStatistics,
    stop: threading.Event,
) -> bool:
    """Answer the next picture; False if told to stop before one came."""
    deadline_s = time.monotonic() + NO_PICTURE_S
    while not stop.is_set():
        frame = source.next_frame(_TURN_S)
        if frame is not None:
            publisher.publish(reflector.reflect(frame))
            statistics.add(frame.sequence, frame.taken_ns, time.monotonic_ns())
            return True
        if time.monotonic() > deadline_s:
            raise DeviceError(
                f"{source.name}: no picture for {NO_PICTURE_S:g} s; is the camera in use or frozen?"
            )
    return False
