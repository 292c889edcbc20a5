from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytm_device.camera.figure import Arm, Looks, Pose, arm_points, draw_person
from ytm_device.camera.visitor import VISIT_S, VISITORS, draw_visitor

LOOKS = Looks(skin=(210, 160, 130), hair=(40, 30, 20), top=(0, 0, 255), trousers=(0, 120, 0))
NEAR_S = 10.0


def standing(**changes: object) -> Pose:
    return Pose(**{"x": 100, "feet_y": 190, "height": 180, **changes})  # type: ignore[arg-type]


def test_the_room_is_empty_between_visits_and_then_somebody_stands_in_the_middle() -> None:
    empty = draw_visitor(0, 320, 240).astype(int)
    present = draw_visitor(NEAR_S, 320, 240).astype(int)
    changed = np.abs(present - empty).max(axis=2) > 40
    assert changed[:, 110:210].mean() > 0.5
    assert changed[:, :30].mean() < 0.02


def test_a_picture_depends_on_time_alone() -> None:
    first = draw_visitor(7.3, 160, 120)
    draw_visitor(1.0, 160, 120)
    assert (draw_visitor(7.3, 160, 120) == first).all()
    assert (draw_visitor(7.3 + VISIT_S * len(VISITORS), 160, 120) == first).all()


def test_every_visitor_looks_different() -> None:
    pictures = [
        draw_visitor(NEAR_S + VISIT_S * n, 96, 96).astype(int) for n in range(len(VISITORS))
    ]
    for n, picture in enumerate(pictures):
        assert all(np.abs(picture - other).mean() > 5 for other in pictures[:n])


def test_nothing_jumps_from_one_frame_to_the_next() -> None:
    pictures = [draw_visitor(frame / 30, 96, 72).astype(int) for frame in range(int(VISIT_S * 30))]
    steps = [np.abs(b - a).mean() for a, b in itertools.pairwise(pictures)]
    assert max(steps) < 8
    assert np.abs(pictures[-1] - draw_visitor(VISIT_S, 96, 72)).mean() < 1


@settings(max_examples=20, deadline=None)
@given(
    st.floats(-1e6, 1e6, allow_nan=False),
    st.integers(1, 200),
    st.integers(1, 200),
)
def test_any_time_and_size_gives_a_picture(t_s: float, width: int, height: int) -> None:
    picture = draw_visitor(t_s, width, height)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("side", [-1, 1])
def test_a_raised_hand_is_above_the_head_and_a_hanging_one_below_the_hips(side: int) -> None:
    pose = standing(left=Arm(math.pi, 0), right=Arm(math.pi, 0))
    crown = pose.feet_y - pose.height
    assert arm_points(pose, side)[2].imag == pytest.approx(  # type: ignore[arg-type]
        pose.feet_y - (0.805 + 0.165 + 0.150) * pose.height
    )
    assert arm_points(pose, side)[2].imag < crown  # type: ignore[arg-type]
    hanging = standing(left=Arm(0, 0), right=Arm(0, 0))
    hand = arm_points(hanging, side)[2]  # type: ignore[arg-type]
    assert hand.imag == pytest.approx(hanging.feet_y - 0.49 * hanging.height)
    assert math.copysign(1, hand.real - hanging.x) == side


def test_clothes_and_skin_have_their_colours_where_they_belong() -> None:
    canvas = np.zeros((200, 200, 3), np.uint8)
    draw_person(canvas, LOOKS, standing())
    chest, knee = canvas[190 - 110, 97], canvas[190 - 52, 91]
    assert tuple(chest) == LOOKS.top
    assert knee[1] > 80
    assert knee[0] == knee[2] == 0
    nose_bridge = canvas[190 - 164, 100].astype(int)
    assert np.abs(nose_bridge - LOOKS.skin).max() < 40


def test_a_person_moves_by_less_than_a_pixel_smoothly() -> None:
    canvases = []
    for x in (100.0, 100.25, 100.5):
        canvas = np.zeros((200, 200, 3), np.uint8)
        draw_person(canvas, LOOKS, standing(x=x))
        canvases.append(canvas.astype(int))
    assert 0 < np.abs(canvases[1] - canvases[0]).sum() < np.abs(canvases[2] - canvases[0]).sum()
