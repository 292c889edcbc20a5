"""A camera that may fail and comes back: a fault is a state, not an end.

Opening and closing call the driver, which may hang in the kernel; both happen in the background,
one at a time. While one hangs, `next_frame` goes on saying that there is no picture, and
`probed_ns` stays where it is: a thread that is stuck in the kernel is freed by nothing but the end
of its process, and that is for the service's watchdog.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from concurrent.futures import TimeoutError as NotDoneError
from dataclasses import dataclass, replace

from ytm_bundle.errors import DeviceError
from ytm_device.camera.background import in_background
from ytm_device.camera.source import CameraSource
from ytm_device.console import say
from ytm_device.frame import Frame

FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 2.0
"""Between the beginnings of two attempts; each time twice as long, from `FIRST_PAUSE_S` on."""
WELL_AFTER_S = 5.0
"""A camera that has given pictures for so long is well; what comes then is another incident."""
STUCK_AFTER_S = 5.0
"""An attempt that takes so long hangs in the driver."""
RESORT_AFTER_S = 20.0
"""So long, and `RESORT_ATTEMPTS`, an incident goes on before the last resort."""
RESORT_ATTEMPTS = 4
STUCK_RESORT_AFTER_S = 10.0
"""The same where the driver hangs: before the watchdog ends this process."""
CLOSE_S = 2.0
"""Longest wait for the camera at the end: a driver that hangs must not keep a service running."""


@dataclass
class _Incident:
    """From the first failure until the camera has been well for `WELL_AFTER_S`."""

    began_s: float | None = None
    attempts: int = 0
    """Attempts that failed."""
    pause_s: float = FIRST_PAUSE_S
    said: str | None = None
    """The last problem that was said."""
    resorted: bool = False
    well_since_s: float | None = None

    def fail(self, now_s: float, attempt_s: float) -> float:
        """Count a failure, now, of what began at `attempt_s`; when to try again."""
        self.began_s = now_s if self.began_s is None else self.began_s
        self.well_since_s = None
        self.attempts += 1
        due_s = max(now_s + FIRST_PAUSE_S, attempt_s + self.pause_s)
        self.pause_s = min(2 * self.pause_s, MAX_PAUSE_S)
        return due_s

    def is_over(self, now_s: float) -> bool:
        """Whether the camera, which gives pictures, has done so for long enough."""
        self.well_since_s = now_s if self.well_since_s is None else self.well_since_s
        return now_s - self.well_since_s > WELL_AFTER_S

    def is_hopeless(self, now_s: float) -> bool:
        """Whether trying again has been tried enough."""
        lasted_s = 0 if self.began_s is None else now_s - self.began_s
        return self.attempts >= RESORT_ATTEMPTS and lasted_s > RESORT_AFTER_S


class SteadyCamera(CameraSource):
    """A `CameraSource` that opens a camera in trouble again, instead of raising it."""

    def __init__(
        self,
        open_source: Callable[[], CameraSource],
        name: str,
        last_resort: Callable[[], bool] | None = None,
    ) -> None:
        """Begin with the first attempt due.

        Args:
            open_source: opens the camera; raises DeviceError while it cannot.
            name: of the camera, until one is open.
            last_resort: done once an incident, in the end; False if there was nothing to do.
        """
        self.name = name
        self.problem: str | None = None
        """What is wrong with the camera, in words; None while it gives pictures."""
        self.recoveries = 0
        """How often it has come back."""
        self.probed_ns: int | None = None
        """When an attempt last came to an end, well or not, on CLOCK_MONOTONIC."""
        self._open_source, self._last_resort = open_source, last_resort
        self._source: CameraSource | None = None
        self._work: Future[CameraSource | None] | None = None
        self._work_s = self._due_s = time.monotonic()
        self._incident = _Incident()
        self._base_sequence = self._next_sequence = self._damaged_before = 0

    def close(self) -> None:
        """See `Owner.close`. What hangs is left behind, and closed if it ever comes back."""
        source, work = self._source, self._work
        self._source, self._work = None, None
        ended = in_background(lambda: _end(source, work))
        try:
            ended.result(CLOSE_S)
        except NotDoneError:
            say(f"{self.name}: the camera's driver hangs; it is left behind")

    @property
    def damaged(self) -> int:
        """See `CameraSource.damaged`."""
        return self._damaged_before + (self._source.damaged if self._source else 0)

    def step_exposure(self, direction: int) -> None:
        """See `CameraSource.step_exposure`."""
        if self._source is not None:
            self._source.step_exposure(direction)

    def next_frame(self, timeout_s: float) -> Frame | None:
        """See `CameraSource.next_frame`; tries to open it again meanwhile.

        Raises:
            MediaError: it is a file, and cannot be played; no waiting would help.
        """
        deadline_s = time.monotonic() + timeout_s
        if self._source is None:
            self._source = self._attempt(deadline_s)
        if self._source is None:
            return None
        left_s = max(0.0, deadline_s - time.monotonic())
        try:
            frame = self._source.next_frame(left_s)
        except DeviceError as error:
            self._lose(self._source, str(error))
            return None
        return None if frame is None else self._well(frame)

    def _attempt(self, deadline_s: float) -> CameraSource | None:
        """Go on with what is under way, or begin the next attempt if it is due."""
        if self._work is None:
            time.sleep(max(0.0, min(self._due_s, deadline_s) - time.monotonic()))
            if time.monotonic() < self._due_s:
                return None
            self._begin(self._open_source)
        try:
            source = self._finish_work(deadline_s)
        except DeviceError as error:
            self._fail(str(error), self._work_s)
            return None
        if source is not None:
            self.name, self._base_sequence = source.name, self._next_sequence
        return source

    def _begin(self, call: Callable[[], CameraSource | None]) -> None:
        self._work, self._work_s = in_background(call), time.monotonic()

    def _finish_work(self, deadline_s: float) -> CameraSource | None:
        """What came of the work under way; None if it was to close, or is not done."""
        work = self._work
        if work is None or not wait([work], max(0.0, deadline_s - time.monotonic())).done:
            self._consider_stuck(time.monotonic())
            return None
        self._work, self.probed_ns = None, time.monotonic_ns()
        return work.result()

    def _well(self, frame: Frame) -> Frame:
        if self.problem is not None:
            self.problem = None
            self.recoveries += 1
        if self._incident.is_over(time.monotonic()):
            if self._incident.said is not None:
                say(f"{self.name}: gives pictures again")
            self._incident = _Incident(well_since_s=self._incident.well_since_s)
        sequence = self._base_sequence + frame.sequence
        self._next_sequence = sequence + 1
        return replace(frame, sequence=sequence)

    def _lose(self, source: CameraSource, problem: str) -> None:
        self._damaged_before += source.damaged
        self._source = None
        self._fail(problem, self._work_s)
        self._begin(lambda: _end(source, None))

    def _fail(self, problem: str, attempt_s: float) -> None:
        now_s = time.monotonic()
        self._due_s = self._incident.fail(now_s, attempt_s)
        self._have(problem)
        if self._incident.is_hopeless(now_s):
            self._resort()

    def _consider_stuck(self, now_s: float) -> None:
        if now_s - self._work_s > STUCK_AFTER_S:
            self._have(f"{self.name}: the camera's driver does not answer; unplug it")
        if now_s - self._work_s > STUCK_RESORT_AFTER_S:
            self._resort()

    def _resort(self) -> None:
        if self._last_resort is not None and not self._incident.resorted:
            self._incident.resorted = self._last_resort()

    def _have(self, problem: str) -> None:
        """A problem is said once an incident, however often the camera seems to come back."""
        self.problem = problem
        if problem != self._incident.said:
            self._incident.said = problem
            say(problem)


def _end(source: CameraSource | None, work: Future[CameraSource | None] | None) -> None:
    """Close `source`, and what `work` may still open."""
    if work is not None:
        try:
            source = work.result()
        except DeviceError:
            return
    if source is not None:
        source.close()
