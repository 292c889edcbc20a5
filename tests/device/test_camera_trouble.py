"""Whatever happens to a camera, its reader goes on, says what is wrong, and sees again after it.

GStreamer's real v4l2src runs against the kernel's answers of `fake_v4l2.c`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from fake_camera import LASTING, FakeCamera, watching

FAULT_S = float(os.environ.get("YTM_FAULT_S", "0"))
"""How long each fault lasts after it was noticed."""
NEVER_LATER_S = 5.0
"""Five times what `next_frame` may take beyond its timeout."""
GREY = 200
"""Of the JPEG; what a decoder puts where a part is missing is darker."""


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    path = tmp_path / "picture.jpg"
    picture = np.full((480, 640, 3), GREY, np.uint8)
    picture[::4] += 20
    cv2.imwrite(str(path), picture)
    return path


@dataclass(frozen=True)
class Fault:
    name: str
    plant: Callable[[FakeCamera], None]
    words: str
    """In what is said to be wrong."""
    heal: Callable[[FakeCamera], None]


def _unplug_and_plug(**behaviour: object) -> Callable[[FakeCamera], None]:
    def change(camera: FakeCamera) -> None:
        camera.unplug()
        camera.plug(**behaviour)

    return change


def _behave(**behaviour: object) -> Callable[[FakeCamera], None]:
    return lambda camera: camera.behave(**behaviour)


FAULTS = [
    Fault("unplugged", FakeCamera.unplug, "is not there", FakeCamera.plug),
    Fault("another number", FakeCamera.unplug, "is not there", lambda camera: camera.plug(7)),
    Fault("frozen", _behave(frozen=1), "frozen: the same picture for 2 s", _behave()),
    Fault("silent", _behave(silent=1), "no picture for 2 s", _behave()),
    Fault("ended", _behave(ended=1), "usb-Test_Camera-video-index0: ", _behave()),
    Fault("busy", _behave(ended=1, busy=1), "is busy", _behave()),
    Fault(
        "wrong format",
        _unplug_and_plug(formats="H264"),
        "it offers H264 640x480",
        _unplug_and_plug(),
    ),
    Fault("stuck in the driver", _behave(silent=1, hang="streamoff"), "does not answer", _behave()),
    Fault("stuck in opening", _behave(ended=1, hang="open"), "does not answer", _behave()),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_named_and_the_camera_comes_back(fault: Fault, fake_camera: FakeCamera) -> None:
    fake_camera.plug()
    with watching(fake_camera.environment) as watcher:
        watcher.wait_for_picture()
        fault.plant(fake_camera)
        noticed_s = watcher.wait_for_problem(fault.words)
        threading.Event().wait(FAULT_S)
        before = watcher.seen["recoveries"]
        fault.heal(fake_camera)
        recovered_s = watcher.wait_for_picture()
        assert watcher.seen["recoveries"] == before + 1
    print(f"\n| {fault.name} | {noticed_s:.1f} s | {recovered_s:.1f} s |")
    assert all(one < other for one, other in pairwise(watcher.sequences))
    assert watcher.latest_s < NEVER_LATER_S


def test_only_cut_jpegs_are_a_fault_and_a_single_one_is_dropped(
    fake_camera: FakeCamera, jpeg: Path
) -> None:
    good = {"formats": "MJPG", "jpeg": jpeg}
    fake_camera.plug(**good, cut=5)
    with watching(fake_camera.environment) as watcher:
        watcher.wait(lambda seen: seen["damaged"] >= 10)
        assert watcher.seen["problem"] is None
        fake_camera.behave(**good, cut=1)
        noticed_s = watcher.wait_for_problem("nothing but damaged pictures for 2 s")
        fake_camera.behave(**good)
        recovered_s = watcher.wait_for_picture()
    print(f"\n| only cut JPEGs | {noticed_s:.1f} s | {recovered_s:.1f} s |")
    assert len(watcher.sequences) > 20
    assert watcher.darkest >= GREY - 5


def test_a_camera_that_is_frozen_again_and_again_is_said_once(fake_camera: FakeCamera) -> None:
    fake_camera.plug(frozen=1)
    with watching(fake_camera.environment) as watcher:
        watcher.wait_for_problem("frozen")
        first_ns = watcher.seen["probed_ns"]
        watcher.wait(lambda seen: seen["probed_ns"] > first_ns + 4e9)
        assert watcher.seen["recoveries"] == 0
    assert watcher.sequences == []
    assert sum("frozen" in line for line in watcher.said) == 1


def test_the_camera_of_a_number_is_known_again_by_its_name_and_place(
    fake_camera: FakeCamera,
) -> None:
    fake_camera.plug(0, lasting=False)
    with watching(fake_camera.environment, "/dev/video0") as watcher:
        watcher.wait_for_picture()
        fake_camera.unplug()
        watcher.wait_for_problem("is not there")
        other = FakeCamera(fake_camera.folder, fake_camera.library)
        other.plug(0, lasting=False, card="Another", bus="usb-9")
        fake_camera.plug(4, lasting=False)
        watcher.wait(lambda seen: seen["name"] == "/dev/video4")
        watcher.wait_for_picture()


def test_without_a_wish_it_waits_for_the_first_camera(fake_camera: FakeCamera) -> None:
    with watching(fake_camera.environment, None) as watcher:
        watcher.wait_for_problem("the first camera: is not there")
        first_ns = watcher.seen["probed_ns"]
        watcher.wait(lambda seen: seen["probed_ns"] > first_ns)
        fake_camera.plug(3)
        watcher.wait_for_picture()
        assert watcher.seen["name"] == str(LASTING)


def test_what_a_camera_is_and_offers_is_said_once(fake_camera: FakeCamera) -> None:
    fake_camera.plug(formats="MJPG,YUYV", width=320, height=240)
    with watching(fake_camera.environment) as watcher:
        watcher.wait_for_picture()
        fake_camera.unplug()
        watcher.wait_for_problem("is not there")
        fake_camera.plug(formats="MJPG,YUYV", width=320, height=240)
        watcher.wait_for_picture()
    about = f"camera: {LASTING} is Test Camera at usb-test-1 (MJPG 320x240, YUYV 320x240)\n"
    assert watcher.said.count(about) == 1


def test_a_driver_that_hangs_has_its_usb_port_reset(
    fake_camera: FakeCamera, tmp_path: Path
) -> None:
    fake_camera.plug()
    fake_camera.be_on_usb(3, 7)
    request = tmp_path / "usb-reset"
    with watching(fake_camera.environment, run_dir=str(tmp_path)) as watcher:
        watcher.wait_for_picture()
        fake_camera.behave(ended=1, hang="open")
        watcher.wait(lambda _seen: request.exists())
        assert "does not answer" in watcher.seen["problem"]
        assert request.read_text() == "/dev/bus/usb/003/007"
        request.unlink()
        fake_camera.behave()
        watcher.wait_for_picture()
    assert not request.exists()


def test_pictures_are_taken_when_the_driver_says(fake_camera: FakeCamera) -> None:
    fake_camera.plug()
    with watching(fake_camera.environment) as watcher:
        watcher.wait_for_picture()
        assert 0 < watcher.seen["taken_ns"] <= time.monotonic_ns()
