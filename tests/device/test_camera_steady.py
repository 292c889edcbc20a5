"""What a steady camera does over time: how often it tries, what it says, what it leaves alone."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from waiting import HANG_S, wait_for
from ytm_bundle.errors import DeviceError, MediaError
from ytm_device.camera import steady
from ytm_device.camera.source import CameraSource
from ytm_device.camera.steady import (
    FIRST_PAUSE_S,
    MAX_PAUSE_S,
    RESORT_AFTER_S,
    RESORT_ATTEMPTS,
    WELL_AFTER_S,
    SteadyCamera,
    _Incident,
)
from ytm_device.frame import Frame

PIXELS = np.zeros((2, 2, 3), np.uint8)
TURN_S = 0.01


class Scripted(CameraSource):
    """Gives so many pictures, then fails."""

    def __init__(self, pictures: int, error: Exception | None = None) -> None:
        self.name = "scripted"
        self.closed = threading.Event()
        self._left, self._given = pictures, 0
        self._error = error or DeviceError("scripted: broken")

    def close(self) -> None:
        self.closed.set()

    def next_frame(self, timeout_s: float) -> Frame | None:
        if self._given == self._left:
            raise self._error
        self._given += 1
        return Frame(PIXELS, time.monotonic_ns(), self._given, self.name)


def test_it_goes_on_counting_when_it_is_opened_again():
    opened: list[Scripted] = []

    def open_source() -> CameraSource:
        opened.append(Scripted(3))
        return opened[-1]

    seen: list[int] = []
    with SteadyCamera(open_source, "scripted") as camera:

        def look() -> None:
            frame = camera.next_frame(TURN_S)
            if frame is not None:
                seen.append(frame.sequence)

        wait_for(lambda: len(seen) >= 7, look)
        assert camera.recoveries == 2
        assert camera.problem is None
    assert seen == [1, 2, 3, 5, 6, 7, 9]
    assert all(source.closed.wait(HANG_S) for source in opened)


def test_pauses_double_to_their_limit_and_count_from_the_beginning_of_an_attempt():
    incident = _Incident()
    pauses = [incident.fail(10.0, 10.0) - 10 for _ in range(6)]
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 2.0, 2.0])
    assert incident.fail(14.0, 10.0) == 14.0 + FIRST_PAUSE_S
    assert pauses[-1] == pytest.approx(MAX_PAUSE_S)


def test_an_incident_is_over_when_the_camera_has_been_well_for_a_while():
    incident = _Incident()
    incident.fail(0.0, 0.0)
    assert not incident.is_over(1.0)
    assert not incident.is_over(1.0 + WELL_AFTER_S)
    assert incident.is_over(1.1 + WELL_AFTER_S)
    incident.fail(10.0, 10.0)
    assert not incident.is_over(30.0)


def test_an_incident_is_hopeless_after_attempts_and_time():
    incident = _Incident()
    for now_s in range(RESORT_ATTEMPTS):
        incident.fail(now_s, now_s)
        assert not incident.is_hopeless(RESORT_AFTER_S - 1)
    assert incident.is_hopeless(RESORT_AFTER_S + 1)


def test_the_last_resort_is_tried_once_it_can_be(monkeypatch):
    monkeypatch.setattr(steady, "RESORT_AFTER_S", 0.0)
    monkeypatch.setattr(steady, "MAX_PAUSE_S", FIRST_PAUSE_S)
    answers = iter([False, True])
    asked: list[bool] = []
    attempts: list[float] = []

    def open_source() -> CameraSource:
        attempts.append(time.monotonic())
        raise DeviceError("scripted: broken")

    def resort() -> bool:
        asked.append(next(answers))
        return asked[-1]

    with SteadyCamera(open_source, "scripted", resort) as camera:
        wait_for(lambda: len(attempts) > RESORT_ATTEMPTS + 4, lambda: camera.next_frame(TURN_S))
    assert asked == [False, True]


def test_a_problem_is_said_once(capsys):
    def open_source() -> CameraSource:
        return Scripted(1)

    with SteadyCamera(open_source, "scripted") as camera:
        wait_for(lambda: camera.recoveries >= 3, lambda: camera.next_frame(TURN_S))
    assert capsys.readouterr().err == "scripted: broken\n"


def test_a_driver_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(steady, "STUCK_AFTER_S", 0.05)
    monkeypatch.setattr(steady, "STUCK_RESORT_AFTER_S", 0.1)
    monkeypatch.setattr(steady, "CLOSE_S", 0.05)
    freed, resorted = threading.Event(), threading.Event()
    source = Scripted(1)

    def open_source() -> CameraSource:
        freed.wait(HANG_S)
        return source

    def resort() -> bool:
        resorted.set()
        return True

    with SteadyCamera(open_source, "scripted", resort) as camera:
        wait_for(resorted.is_set, lambda: camera.next_frame(TURN_S))
        assert camera.problem == "scripted: the camera's driver does not answer; unplug it"
        assert camera.probed_ns is None
    freed.set()
    assert source.closed.wait(HANG_S)


def test_a_file_that_cannot_be_played_is_not_tried_again():
    error = MediaError("film.mp4: broken; give another video")
    with (
        SteadyCamera(lambda: Scripted(0, error), "film.mp4") as camera,
        pytest.raises(MediaError, match="broken"),
    ):
        wait_for(lambda: False, lambda: camera.next_frame(TURN_S))
