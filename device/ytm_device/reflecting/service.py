"""ytm-reflect: the newest picture of the camera, answered and published, until told to stop."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from ytm_bundle.errors import AnswerError, DeviceError
from ytm_device.attendant import Attendant
from ytm_device.bundles import BundleKeeper
from ytm_device.bus.channel import Publisher
from ytm_device.camera.steady import SteadyCamera
from ytm_device.frame import Frame
from ytm_device.reflecting.looking import ExposureSteps, camera_for
from ytm_device.reflecting.seeing import Seeing
from ytm_device.reflecting.statistics import ReflectStatistics
from ytm_device.reflecting.working import Working, wish_of
from ytm_device.run_dirs import endpoint
from ytm_device.settings.source import SettingsSource
from ytm_device.status import Value

SERVICE = "reflect"
ONLY_BAD_S = 10.0
"""A mind that gives nothing but bad answers for so long is started anew."""
MAX_WHY = 200
"""Characters of why it is this backend."""
_TURN_S = 0.25
_NS_PER_S = 1_000_000_000


def run(
    source: SettingsSource,
    run_dir: Path,
    stop: threading.Event,
) -> None:
    """Reflect what the camera sees until `stop` is set.

    Args:
        source: of the settings, which name the bundle; another one that takes its place, or is
            named instead, takes over with the next still.
        run_dir: folder of the bus, of the socket, and of the status, replaced once a second.
        stop: looked at between two frames.

    Raises:
        BundleError: no bundle can be used.
        DeviceError: a graph failed, or nothing can be published.
        MediaError: the file that plays the camera cannot be decoded.
    """
    with (
        Attendant(SERVICE, run_dir, source, time.monotonic_ns()) as attendant,
        BundleKeeper(
            attendant.bundle_path,
            lambda bundle: Working(bundle, wish_of(attendant.settings), source.data, run_dir),
            attendant.last_good_bundle,
        ) as keeper,
        Publisher(endpoint(run_dir)) as publisher,
    ):
        service = _Service(attendant, keeper, publisher, stop, Seeing(attendant.settings))
        while not stop.is_set():
            if attendant.openness(time.monotonic_ns()) == 0:
                service.rest()
                continue
            image = keeper.bundle.manifest.image
            with camera_for(attendant.settings.camera, image, run_dir) as camera:
                service.look_out(keeper.loaded, camera)


@dataclass
class _Service:
    """Everything that lasts as long as the service."""

    attendant: Attendant
    keeper: BundleKeeper[Working]
    publisher: Publisher
    stop: threading.Event
    seeing: Seeing
    steps: ExposureSteps = field(default_factory=ExposureSteps)
    statistics: ReflectStatistics = field(default_factory=ReflectStatistics)
    bad_answers: int = 0
    """Frames whose answer was not finite."""

    def look_out(self, working: Working, camera: SteadyCamera) -> None:
        """Answer what `camera` sees until it or the mind must be another, or until closed."""
        opened_for = self.attendant.settings.camera
        good_ns = time.monotonic_ns()
        problem: str | None = None
        while not self.stop.is_set():
            frame = camera.next_frame(_TURN_S)
            now_ns = time.monotonic_ns()
            problem = None if frame is None else self._answer(frame, working, camera)
            if problem is None:
                good_ns = now_ns
            elif now_ns - good_ns > ONLY_BAD_S * _NS_PER_S:
                raise DeviceError(f"{problem}; nothing else for {ONLY_BAD_S:g} s")
            if frame is None and _probed(camera, now_ns):
                self.attendant.finished(now_ns)
            self.attendant.turn(now_ns)
            self.seeing.apply(self.attendant.settings)
            working.mind.look(now_ns, wish_of(self.attendant.settings))
            if self.attendant.due(now_ns):
                self._report(now_ns, camera, problem)
            if self.attendant.settings.camera != opened_for or self._is_over(now_ns):
                break
        self._report(time.monotonic_ns(), camera, problem)

    def rest(self) -> None:
        """Wait, with the camera closed, while the installation is."""
        self.stop.wait(_TURN_S)
        now_ns = time.monotonic_ns()
        self.attendant.finished(now_ns)
        self.attendant.turn(now_ns)
        if self.attendant.due(now_ns):
            self.attendant.report(now_ns, self._fields(now_ns))
        self._is_over(now_ns)

    def _answer(self, frame: Frame, working: Working, camera: SteadyCamera) -> str | None:
        """Answer one frame; what is wrong with the answer, if anything is."""
        seen = self.seeing.see(frame, replaying=self.attendant.replaying)
        if direction := self.steps.direction(seen.light, frame.taken_ns):
            camera.step_exposure(direction)
        if working.mind.silent is not None:
            # Said in the status; the replay is on.
            self.attendant.finished(time.monotonic_ns())
            return None
        try:
            reflection = working.reflector.reflect(seen.frame, seen.presence, seen.since_ns)
        except AnswerError as error:
            self.bad_answers += 1
            return str(error)
        self.publisher.publish(reflection)
        self.seeing.answered(frame.taken_ns)
        now_ns = time.monotonic_ns()
        self.statistics.add(frame.sequence, frame.taken_ns, now_ns)
        self.attendant.finished(now_ns)
        return None

    def _is_over(self, now_ns: int) -> bool:
        """Whether another bundle takes over, or it closes."""
        changes = self.keeper.look(now_ns)
        if changes:
            self.keeper.change()
        return changes or self.attendant.openness(now_ns) == 0

    def _report(self, now_ns: int, camera: SteadyCamera, problem: str | None) -> None:
        mind = self.keeper.loaded.mind
        about: dict[str, Value] = {
            "problem": camera.problem
            or problem
            or mind.silent
            or mind.problem
            or self.seeing.light_problem,
            "camera": camera.name,
            "camera_recoveries": camera.recoveries,
            "camera_damaged": camera.damaged,
            "backend": mind.backend,
            "backend_why": mind.why[:MAX_WHY],
            "engine_key": mind.engine_key,
        }
        self.attendant.report(now_ns, self._fields(now_ns) | about)

    def _fields(self, now_ns: int) -> dict[str, Value]:
        return {
            **self.keeper.fields,
            "bad_answers": self.bad_answers,
            **self.seeing.fields(now_ns),
            **self.statistics.fields(),
        }


def _probed(camera: SteadyCamera, now_ns: int) -> bool:
    """Whether an attempt to open a camera in trouble has just come to an end, well or not."""
    probed_ns = camera.probed_ns
    return probed_ns is not None and now_ns - probed_ns < 2 * _TURN_S * _NS_PER_S
