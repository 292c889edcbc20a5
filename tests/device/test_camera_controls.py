"""Exposure and white balance are held where the camera has controls for them, else that is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_camera import FakeCamera, watching
from waiting import wait_for
from ytm_device.camera.controls import MAX_EXPOSURE, Limits, stepped

AUTO, EXPOSURE, GAIN_AUTO = 0x009A0901, 0x009A0902, 0x00980912
WHITE_AUTO = 0x0098090C
APERTURE_PRIORITY, MANUAL = 3, 1


def value(control: Path) -> int:
    return int((control.read_text() or "-1").split()[0])


@pytest.fixture
def controls(fake_camera: FakeCamera) -> dict[int, Path]:
    fake_camera.plug()
    return {
        AUTO: fake_camera.give_control(AUTO, APERTURE_PRIORITY, 0, 3, APERTURE_PRIORITY),
        EXPOSURE: fake_camera.give_control(EXPOSURE, 100, 3, 2047, 250),
        GAIN_AUTO: fake_camera.give_control(GAIN_AUTO, 1, 0, 1, 1),
        WHITE_AUTO: fake_camera.give_control(WHITE_AUTO, 1, 0, 1, 1),
    }


def test_locked_holds_what_the_camera_found(fake_camera, controls):
    wishes = {"exposure": "locked", "white_balance": "locked"}
    with watching(fake_camera.environment, **wishes):
        wait_for(lambda: value(controls[WHITE_AUTO]) == 0)
    assert value(controls[AUTO]) == MANUAL
    assert value(controls[GAIN_AUTO]) == 0
    assert value(controls[EXPOSURE]) == 100


def test_auto_gives_back_what_was_held(fake_camera, controls):
    controls[AUTO].write_text(f"{MANUAL} 0 3 1 {APERTURE_PRIORITY}\n")
    controls[WHITE_AUTO].write_text("0 0 1 1 1\n")
    with watching(fake_camera.environment):
        wait_for(lambda: value(controls[WHITE_AUTO]) == 1)
    assert value(controls[AUTO]) == APERTURE_PRIORITY


@pytest.mark.parametrize(("direction", "exposure"), [(1, 141), (-1, 71)])
def test_stepped_is_left_to_the_mirror(fake_camera, controls, direction, exposure):
    with watching(fake_camera.environment, exposure="stepped", step=direction):
        wait_for(lambda: value(controls[EXPOSURE]) == exposure)
    assert value(controls[AUTO]) == MANUAL
    assert value(controls[WHITE_AUTO]) == 1


def test_what_a_camera_lacks_is_said_and_is_no_failure(fake_camera):
    fake_camera.plug()
    with watching(fake_camera.environment, exposure="stepped", white_balance="locked") as watcher:
        watcher.wait(
            lambda seen: any("no automatic white balance" in line for line in watcher.said)
        )
        watcher.wait_for_picture()
    assert any("no automatic exposure and no exposure time" in line for line in watcher.said)


@given(st.integers(1, 5000), st.sampled_from([-1, 1]), st.integers(1, 50), st.integers(50, 5000))
def test_a_step_stays_within_the_limits_and_moves_where_there_is_room(
    present, direction, minimum, maximum
):
    new = stepped(present, direction, Limits(minimum, maximum, minimum))
    most = min(maximum, MAX_EXPOSURE)
    assert minimum <= new <= most
    if minimum < present < most:
        assert (new - present) * direction > 0
