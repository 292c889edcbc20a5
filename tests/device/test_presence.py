from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gallery import LIGHTS, Array, Shown, drawn_room, filmed
from presence_on_clips import CLIPS, VARIANTS, measure_from_the_start, measure_visits
from ytm_device.camera.figure import Arm, Looks, Pose, draw_person
from ytm_device.presence.detector import Presence, PresenceDetector
from ytm_device.presence.parameters import PresenceParameters
from ytm_device.presence.room import ABSORB_S

RATE_HZ = 10
LOOKS = Looks(skin=(210, 160, 130), hair=(40, 30, 20), top=(30, 60, 140), trousers=(40, 50, 60))
needs_clips = pytest.mark.skipif(
    not CLIPS.is_dir(), reason="needs the recordings of ../shared/data/camera"
)


def visitor(room: Array, t_s: float, comes_s: float, leaves_s: float) -> Array:
    """The room, and somebody who walks in, stands still but for breath and sway, and walks out."""
    size = room.shape[0]
    coming, going = t_s - comes_s, t_s - leaves_s
    if coming < 0 or going > 1.5:
        return room
    place = min(coming / 1.5, 1) * 0.5 + max(going / 1.5, 0) * 0.8
    sway = 0.006 * size * np.sin(2 * np.pi * t_s / 3.7)
    breath = 0.01 * np.sin(2 * np.pi * t_s / 4)
    walking = coming < 1.5 or going > 0
    swing = 0.4 * np.sin(2 * np.pi * 1.5 * t_s) if walking else breath
    pose = Pose(
        x=float(place * size * 1.2 - 0.1 * size + sway),
        feet_y=0.97 * size,
        height=0.8 * size,
        left=Arm(0.2 + float(abs(swing)), 0.1),
        right=Arm(0.2 + float(abs(swing)), 0.1),
        stride=float(swing) * 0.5 if walking else 0.0,
    )
    picture = room.copy()
    draw_person(picture, LOOKS, pose)
    return picture


def always(room: Array, _t_s: float) -> Array:
    return room


def look(pictures: Iterable[Shown], parameters: PresenceParameters | None = None) -> list[Presence]:
    detector = PresenceDetector(parameters or PresenceParameters())
    return [detector.see(pixels, taken_ns) for pixels, taken_ns in pictures]


def with_visitor(
    seconds: float, comes_s: float, leaves_s: float, size: int = 112, **how: object
) -> Iterator[Shown]:
    room = drawn_room(1, size)

    def scene(t_s: float) -> Array:
        return visitor(room, t_s, comes_s, leaves_s)

    return filmed(scene, seconds, **{"rate_hz": RATE_HZ, **how})  # type: ignore[arg-type]


def spans(found: list[Presence], rate_hz: float = RATE_HZ) -> list[tuple[float, float]]:
    """From when to when somebody was there, in seconds."""
    there = np.array([False, *(each.somebody for each in found), False])
    edges = np.flatnonzero(there[1:] != there[:-1]) / rate_hz
    return list(zip(edges[::2], edges[1::2], strict=True))


@pytest.mark.parametrize("size", [32, 112, 192])
def test_a_visitor_comes_stands_still_and_leaves(size: int) -> None:
    ((came_s, left_s),) = spans(look(with_visitor(60, 8, 40, size)))
    assert 8 < came_s <= 9.5
    assert 41 + 5 <= left_s <= 41.5 + 5 + 4


@pytest.mark.parametrize("light", LIGHTS)
def test_so_they_do_whatever_the_light_does(light: str) -> None:
    ((came_s, left_s),) = spans(look(with_visitor(60, 8, 40, light=LIGHTS[light])))
    assert 8 < came_s <= 10
    assert 41 + 5 <= left_s <= 41.5 + 5 + 5


@pytest.mark.parametrize(("noise", "stops"), [(1, 0), (2, 0), (0.5, -3)])
@pytest.mark.parametrize("light", LIGHTS)
def test_nobody_is_seen_in_an_empty_room(light: str, noise: float, stops: float) -> None:
    for seed in range(2):
        room = drawn_room(seed)
        scene = filmed(partial(always, room), 30, LIGHTS[light], RATE_HZ, noise, stops)
        assert spans(look(scene)) == []


def test_who_stands_still_for_three_minutes_is_kept() -> None:
    ((came_s, left_s),) = spans(look(with_visitor(210, 5, 185)))
    assert came_s <= 7
    assert left_s >= 186


def test_who_was_there_from_the_start_is_found_by_moving() -> None:
    found = spans(look(with_visitor(20, 0, 100, begin_s=1)))
    assert len(found) == 1
    assert found[0][0] <= 2
    assert found[0][1] == 20


def chair(t_s: float, room: Array, came_s: float) -> Array:
    if t_s < came_s:
        return room
    moved = room.copy()
    cv2.rectangle(moved, (20, 60), (45, 100), (30, 60, 20), -1)
    return moved


def test_a_chair_is_no_visitor_and_soon_belongs_to_the_room() -> None:
    room, came_s = drawn_room(1), 5.0
    scene = filmed(lambda t_s: chair(t_s, room, came_s), came_s + 3 * ABSORB_S, rate_hz=RATE_HZ)
    found = look(scene)
    assert spans(found) == []
    shares = np.array([each.share for each in found])
    assert shares[round((came_s + 2) * RATE_HZ)] > 0.05
    assert np.all(shares[-RATE_HZ:] == 0)


def test_a_chair_that_a_visitor_moved_keeps_nobody_there() -> None:
    room = drawn_room(1)
    scene = filmed(
        lambda t_s: visitor(chair(t_s, room, 10), t_s, 5, 15), 16.5 + 3 * ABSORB_S, rate_hz=RATE_HZ
    )
    ((_, left_s),) = spans(look(scene))
    assert left_s <= 16.5 + 2 * ABSORB_S + 5


def test_how_long_it_takes_to_arrive_and_to_leave_is_chosen() -> None:
    pictures = list(with_visitor(45, 8, 15))
    ((soon_s, short_s),) = spans(look(pictures, PresenceParameters(arrive_s=0, leave_s=3)))
    ((late_s, long_s),) = spans(look(pictures, PresenceParameters(arrive_s=1, leave_s=20)))
    assert late_s - soon_s == pytest.approx(1, abs=0.25)
    assert long_s - short_s == pytest.approx(17, abs=0.25)


def test_since_is_the_picture_that_changed_it() -> None:
    pictures = list(with_visitor(30, 8, 15))
    found = look(pictures)
    changed = [n for n in range(1, len(found)) if found[n].somebody != found[n - 1].somebody]
    assert len(changed) == 2
    assert [found[n].since_ns for n in changed] == [pictures[n][1] for n in changed]
    assert found[0].since_ns == pictures[0][1]
    assert {each.since_ns for each in found[changed[0] : changed[1]]} == {pictures[changed[0]][1]}


def test_always_means_from_the_first_picture_on() -> None:
    pictures = list(with_visitor(3, 100, 100))
    found = look(pictures, PresenceParameters(always=True))
    assert all(each.somebody and each.since_ns == pictures[0][1] for each in found)


def test_a_sensitive_one_sees_smaller_visitors() -> None:
    room = drawn_room(1)

    def far(t_s: float) -> Array:
        picture = room.copy()
        if t_s > 5:
            x = 20 + 12 * ((t_s - 5) % 4)
            cv2.ellipse(picture, ((x, 40), (5, 12), 0), (20, 20, 20), -1, cv2.LINE_AA)
        return picture

    pictures = list(filmed(far, 15, rate_hz=RATE_HZ))
    assert spans(look(pictures, PresenceParameters(sensitivity=0.25))) == []
    assert spans(look(pictures, PresenceParameters(sensitivity=2))) != []


def test_a_gap_is_no_time_in_which_nobody_was_seen() -> None:
    before = list(with_visitor(20, 5, 100))
    detector = PresenceDetector(PresenceParameters())
    for pixels, taken_ns in before:
        last = detector.see(pixels, taken_ns)
    assert last.somebody
    empty = drawn_room(1)
    after_ns = before[-1][1] + 600 * 10**9
    assert detector.see(empty, after_ns).somebody
    later = [detector.see(empty, after_ns + n * 10**8) for n in range(1, 120)]
    assert not later[-1].somebody


def test_a_picture_that_is_not_later_changes_nothing() -> None:
    pictures = list(with_visitor(12, 5, 100))
    detector = PresenceDetector(PresenceParameters())
    for pixels, taken_ns in pictures:
        last = detector.see(pixels, taken_ns)
    assert detector.see(np.zeros_like(pictures[0][0]), pictures[-1][1]) is last
    assert detector.see(np.zeros_like(pictures[0][0]), 0) is last


def test_another_size_is_another_room_with_the_same_visitor() -> None:
    detector = PresenceDetector(PresenceParameters())
    for pixels, taken_ns in with_visitor(12, 5, 100):
        last = detector.see(pixels, taken_ns)
    smaller = detector.see(cv2.resize(pixels, (64, 48)), taken_ns + 10**8)
    assert last.somebody
    assert smaller == Presence(True, last.since_ns, 0.0)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 64),
    st.integers(1, 64),
    st.lists(st.tuples(st.integers(-(10**9), 10**11), st.integers(0, 255)), max_size=12),
)
def test_whatever_comes_the_answer_is_finite(
    height: int, width: int, turns: list[tuple[int, int]]
) -> None:
    detector = PresenceDetector(PresenceParameters(arrive_s=0, leave_s=0))
    random = np.random.default_rng(0)
    for taken_ns, most in turns:
        pixels = random.integers(0, most + 1, (height, width, 3), dtype=np.uint8)
        found = detector.see(pixels, taken_ns)
        assert 0 <= found.share <= 1


def test_memory_is_bounded_at_any_rate() -> None:
    detector = PresenceDetector(PresenceParameters())
    picture = drawn_room(0, 32)
    for n in range(2000):
        detector.see(picture, 1 + n * 100)
    assert detector._view is not None
    for change in (detector._view._motion._moves, detector._view._motion._stirs):
        assert len(change._past._kept) <= 6


@needs_clips
@pytest.mark.parametrize("variant", ["as filmed", "2 stops darker", "screen's glow"])
def test_people_who_enter_a_real_room_are_seen_at_once_and_kept(variant: str) -> None:
    found = measure_visits(VARIANTS[variant])
    assert found.people == 6
    assert (found.missed, found.early, found.lost) == (0, 0, 0)
    assert max(found.onset_s) <= 1
    assert max(found.left_after_s) <= 12


@needs_clips
@pytest.mark.parametrize(
    "name", ["asl_again.mkv", "webrtc_two_men_4.mp4", "face_singing_woman.mp4"]
)
def test_real_people_who_are_there_from_the_start_are_found(name: str) -> None:
    found = measure_from_the_start(name)
    assert found.onset_s is not None
    assert found.onset_s <= 1
    assert found.lost == 0
