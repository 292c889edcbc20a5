from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gallery import drawn_room, exposed, linear
from light_on_clips import CLIPS, STOPS, clip_pictures, sweep
from ytm_device.light.exposure import GAMMA, LEAST_GAIN, MOST_GAIN, Exposure, exposure
from ytm_device.light.leveller import ADAPT_S, LightLeveller, problem

SECOND_NS = 10**9
needs_clips = pytest.mark.skipif(
    not CLIPS.is_dir(), reason="needs the recordings of ../shared/data/camera"
)


def well_lit() -> np.ndarray:
    """A drawn room that needs nothing, uint8 (112, 112, 3)."""
    light = linear(drawn_room(0))
    measured = exposure(drawn_room(0)).brightness
    return exposed(light * (165 / measured) ** GAMMA, np.random.default_rng(0), 0)


def at_stops(stops: float, noise: float = 0.3) -> np.ndarray:
    return exposed(linear(well_lit()), np.random.default_rng(1), noise, stops)


def test_what_is_measured_of_a_known_picture() -> None:
    picture = np.full((10, 10, 3), 100, np.uint8)
    picture[:2], picture[8:] = 0, 255
    found = exposure(picture)
    assert found.dark_share == pytest.approx(0.2)
    assert found.bright_share == pytest.approx(0.2)
    assert found.contrast == 255
    assert found.brightness == pytest.approx(math.sqrt((0.2 * 255 + 0.6 * 100) * 255))


def test_a_well_lit_picture_passes_unchanged() -> None:
    leveller, picture = LightLeveller(), well_lit()
    assert leveller.level(picture, 0).tobytes() == picture.tobytes()
    assert leveller.report is not None
    assert leveller.report.gain == 1
    assert leveller.report.problem is None


@pytest.mark.parametrize("stops", [-3, -2, -1, 2])
def test_the_first_picture_is_levelled_at_once(stops: float) -> None:
    leveller = LightLeveller()
    picture = at_stops(stops)
    levelled = leveller.level(picture, 0)
    true = well_lit().astype(float)
    assert levelled is not picture
    assert np.abs(levelled - true).mean() < 0.5 * np.abs(picture - true).mean()
    assert leveller.report is not None
    assert math.log2(leveller.report.gain) == pytest.approx(-stops, abs=1.3)


def test_it_adapts_slowly_and_by_the_clock_alone() -> None:
    by_rate = []
    for rate_hz in (5, 60):
        leveller = LightLeveller()
        leveller.level(at_stops(0), 0)
        for n in range(1, round(ADAPT_S * rate_hz) + 1):
            leveller.level(at_stops(-2), n * SECOND_NS // rate_hz)
        assert leveller.report is not None
        by_rate.append(leveller.report.gain)
    goal = exposure(at_stops(-2)).wanted_gain
    assert by_rate[0] == pytest.approx(by_rate[1], rel=1e-3)
    assert math.log(by_rate[0]) == pytest.approx((1 - math.exp(-1)) * math.log(goal), rel=1e-3)


def test_a_picture_that_is_not_later_changes_no_gain() -> None:
    leveller = LightLeveller()
    leveller.level(at_stops(-2), 5 * SECOND_NS)
    assert leveller.report is not None
    gain = leveller.report.gain
    for taken_ns in (5 * SECOND_NS, 0):
        leveller.level(at_stops(0), taken_ns)
        assert leveller.report.gain == gain


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (3, 3, 3), (200, 20, 60)])
def test_a_covered_lens_is_reported_and_its_noise_left_alone(colour: tuple[int, int, int]) -> None:
    leveller = LightLeveller()
    picture = np.full((112, 112, 3), colour, np.uint8)
    assert leveller.level(picture, 0).tobytes() == picture.tobytes()
    assert leveller.report is not None
    assert leveller.report.gain == 1
    assert leveller.report.problem is not None
    assert leveller.report.problem.startswith("nothing to see")


def test_too_little_and_too_much_light_are_reported_with_what_to_do() -> None:
    dark, bright = exposure(at_stops(-5)), exposure(at_stops(4))
    assert "too dark" in str(problem(dark, dark.wanted_gain))
    assert "light the visitors" in str(problem(dark, dark.wanted_gain))
    assert "too bright" in str(problem(bright, bright.wanted_gain))
    assert "turn the camera" in str(problem(bright, bright.wanted_gain))


def test_a_white_wall_is_not_darkened_while_nothing_is_clipped() -> None:
    wall = Exposure(brightness=225, contrast=60, dark_share=0, bright_share=0)
    assert wall.wanted_gain == 1
    assert problem(wall, 1) is None


@given(st.floats(1, 255), st.floats(0, 1))
def test_what_is_wanted_is_bounded_and_does_not_jump(brightness: float, bright: float) -> None:
    def wanted(level: float) -> float:
        return Exposure(level, 100, 0, bright).wanted_gain

    assert LEAST_GAIN <= wanted(brightness) <= MOST_GAIN
    assert wanted(brightness * 1.001) == pytest.approx(wanted(brightness), rel=0.02)


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))),
    st.lists(st.integers(-SECOND_NS, 10 * SECOND_NS), min_size=1, max_size=5),
)
def test_any_picture_at_any_time_gives_one(picture: np.ndarray, times_ns: list[int]) -> None:
    leveller = LightLeveller()
    for taken_ns in times_ns:
        levelled = leveller.level(picture, taken_ns)
        assert levelled.shape == picture.shape
        assert levelled.dtype == np.uint8
        assert leveller.report is not None
        assert LEAST_GAIN <= leveller.report.gain <= MOST_GAIN
        assert 0 <= leveller.report.dark_share <= 1
        assert 0 <= leveller.report.bright_share <= 1


@needs_clips
def test_reconstructions_stay_recognisable_from_three_stops_under_to_two_over() -> None:
    found = sweep(clip_pictures(per_clip=1))
    assert list(found) == list(STOPS)
    for stops, row in found.items():
        if stops:
            assert row.levelled_db > row.plain_db + 5
            assert row.levelled_db > 19
        else:
            assert row.levelled_db > 40
