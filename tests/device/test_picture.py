from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec
from ytm_device.screen.picture import Enlarger

SIDES = st.integers(16, 64)
SCREENS = st.tuples(st.integers(40, 200), st.integers(40, 200))


def _ramp(width: int, height: int) -> np.ndarray:
    """uint8 (height, width, 3): red grows to the right, green downwards."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(20, 235, width)
    picture[..., 1] = np.linspace(20, 235, height)[:, np.newaxis]
    return picture


@pytest.mark.parametrize("fit", ["crop", "squeeze"])
def test_left_and_right_change_places_once(fit: str) -> None:
    picture = np.zeros((112, 112, 3), np.uint8)
    picture[:, :56] = (255, 0, 0)
    shown = Enlarger(ImageSpec(width=112, height=112, fit=fit), 1080, 1920).render(picture)
    assert shown.shape == (1920, 1080, 3)
    assert np.all(shown[:, :500] == 0)
    assert np.all(shown[:, 580:] == (255, 0, 0))


@given(width=SIDES, height=SIDES, screen=SCREENS)
def test_squeeze_stretches_the_whole_picture(
    width: int, height: int, screen: tuple[int, int]
) -> None:
    picture = _ramp(width, height)
    shown = Enlarger(ImageSpec(width=width, height=height, fit="squeeze"), *screen).render(picture)
    assert shown.shape == (screen[1], screen[0], 3)
    mirrored = picture[:, ::-1].astype(int)
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert np.abs(shown[row, column].astype(int) - mirrored[row, column]).max() <= 16


@given(width=SIDES, height=SIDES, screen=SCREENS, data=st.data())
def test_crop_shows_the_middle_of_the_undistorted_picture(
    width: int, height: int, screen: tuple[int, int], data: st.DataObject
) -> None:
    """Cut after enlarging the whole picture with equal scales: the slow way to the same pixels."""
    picture = _ramp(width, height)
    shown = Enlarger(ImageSpec(width=width, height=height, fit="crop"), *screen).render(picture)
    scale = max(screen[0] / width, screen[1] / height)
    row = data.draw(st.integers(0, screen[1] - 1))
    column = data.draw(st.integers(0, screen[0] - 1))
    # Where the pixel's centre lies in the source, whose pixel centres are at halves.
    at_x = width / 2 + (column + 0.5 - screen[0] / 2) / scale - 0.5
    at_y = height / 2 + (row + 0.5 - screen[1] / 2) / scale - 0.5
    expected = cv2.remap(
        np.ascontiguousarray(picture[:, ::-1]),
        np.float32([[at_x]]),
        np.float32([[at_y]]),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )[0, 0]
    steepest = 215 / (min(width, height) - 1)
    assert np.abs(shown[row, column].astype(int) - expected).max() <= 3 + steepest


def test_a_circle_stays_round_when_cropped() -> None:
    circle = cv2.circle(np.zeros((112, 112, 3), np.uint8), (56, 56), 20, (255, 255, 255), -1)
    shown = Enlarger(ImageSpec(width=112, height=112, fit="crop"), 1080, 1920).render(circle)
    inside = shown[..., 0] > 127
    across, down = inside.any(axis=0).sum(), inside.any(axis=1).sum()
    assert across == pytest.approx(down, rel=0.02)
    assert across == pytest.approx(41 * 1920 / 112, rel=0.05)


@pytest.mark.parametrize("fit", ["crop", "squeeze"])
def test_no_step_of_a_single_pixel_is_left(fit: str) -> None:
    """Blocks would jump by the whole difference between neighbours."""
    picture = np.zeros((112, 112, 3), np.uint8)
    picture[::2] = 200
    picture[:, ::2] += 55
    shown = Enlarger(ImageSpec(width=112, height=112, fit=fit), 1080, 1920).render(picture)
    assert np.abs(np.diff(shown.astype(int), axis=0)).max() < 40
    assert np.abs(np.diff(shown.astype(int), axis=1)).max() < 40


def test_four_channels_go_into_memory_with_padded_rows() -> None:
    """As a screen's memory may be."""
    enlarger = Enlarger(ImageSpec(width=112, height=112, fit="crop"), 541, 960)
    picture = _ramp(112, 112)
    padded = np.full((960, 560, 4), 7, np.uint8)
    enlarger.render_into(np.dstack([picture, picture[..., :1]]), padded[:, :541])
    assert np.array_equal(padded[:, :541, :3], enlarger.render(picture))
    assert np.array_equal(padded[:, :541, 3], padded[:, :541, 0])
    assert np.all(padded[:, 541:] == 7)


def test_the_picture_given_is_not_changed() -> None:
    picture = _ramp(112, 112)
    kept = picture.copy()
    Enlarger(ImageSpec(width=112, height=112, fit="crop"), 1080, 1920).render(picture)
    assert np.array_equal(picture, kept)


@pytest.mark.parametrize("fit", ["crop", "squeeze"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 300), (300, 1)])
def test_a_screen_of_a_single_line_is_covered(width: int, height: int, fit: str) -> None:
    grey = np.full((16, 64, 3), 90, np.uint8)
    shown = Enlarger(ImageSpec(width=64, height=16, fit=fit), width, height).render(grey)
    assert np.array_equal(shown, np.full((height, width, 3), 90, np.uint8))


@pytest.mark.parametrize(("width", "height"), [(0, 100), (100, 0), (0, 0)])
def test_a_screen_without_area_is_refused(width: int, height: int) -> None:
    with pytest.raises(DeviceError, match=f"screen: {width}x{height} pixels"):
        Enlarger(ImageSpec(width=112, height=112, fit="crop"), width, height)
