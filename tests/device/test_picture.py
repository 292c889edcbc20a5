from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec
from ytm_device.screen.picture import Enlarger, Rotation

SIDES = st.integers(16, 64)
ROTATIONS = st.sampled_from([0, 90, 180, 270])
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


def _corners() -> np.ndarray:
    """uint8 (2, 2, 3): red, green above blue, white."""
    return np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


@pytest.mark.parametrize(
    ("rotation", "rows"),
    [
        # As a mirror shows it: green, red above white, blue.
        (0, ["GR", "WB"]),
        (90, ["WG", "BR"]),
        (180, ["BW", "RG"]),
        (270, ["RB", "GW"]),
    ],
)
@pytest.mark.parametrize("fit", ["crop", "squeeze"])
def test_each_rotation_is_exact(rotation: int, rows: list[str], fit: str) -> None:
    colours = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255), "W": (255, 255, 255)}
    picture = cv2.resize(_corners(), (16, 16), interpolation=cv2.INTER_NEAREST)
    enlarger = Enlarger(ImageSpec(width=16, height=16, fit=fit), 64, 64, rotation)
    shown = enlarger.render(picture)
    found = [shown[row, column] for row in (8, 55) for column in (8, 55)]
    assert np.array_equal(found, [colours[letter] for letter in "".join(rows)])


@given(width=SIDES, height=SIDES, screen=SCREENS, fit=st.sampled_from(["crop", "squeeze"]))
def test_a_turned_screen_shows_the_upright_picture(
    width: int, height: int, screen: tuple[int, int], fit: str
) -> None:
    """A screen on its side, turned back, shows what an upright one does."""
    spec = ImageSpec(width=width, height=height, fit=fit)
    picture = _ramp(width, height)
    upright = Enlarger(spec, *screen).render(picture).astype(int)
    for rotation in (90, 180, 270):
        size = screen if rotation == 180 else screen[::-1]
        shown = Enlarger(spec, *size, rotation).render(picture)
        # What does not divide evenly may be cut off at the other end.
        steepest = np.ceil(215 / (min(width, height) - 1))
        difference = np.rot90(shown, rotation // 90).astype(int) - upright
        assert np.abs(difference).max() <= 1 + steepest


@given(
    screen=SCREENS,
    rotation=ROTATIONS,
    fit=st.sampled_from(["crop", "squeeze"]),
    reach_px=st.integers(1, 32),
    data=st.data(),
)
def test_a_moved_picture_covers_the_screen(
    screen: tuple[int, int], rotation: int, fit: str, reach_px: int, data: st.DataObject
) -> None:
    across = data.draw(st.integers(-reach_px, reach_px))
    down = data.draw(st.integers(-reach_px, reach_px))
    enlarger = Enlarger(ImageSpec(width=24, height=16, fit=fit), *screen, rotation, reach_px)
    out = np.zeros((screen[1], screen[0], 3), np.uint8)
    enlarger.render_into(np.full((16, 24, 3), 90, np.uint8), out, (across, down))
    assert np.all(out == 90)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("shift", [(3, -2), (-4, 4), (0, 1)])
@pytest.mark.parametrize("fit", ["crop", "squeeze"])
def test_a_shift_moves_the_picture_on_the_screen(
    rotation: int, shift: tuple[int, int], fit: str
) -> None:
    """To the right and downwards as the screen is scanned out, by whole pixels."""
    enlarger = Enlarger(ImageSpec(width=32, height=32, fit=fit), 120, 90, rotation, 4)
    picture = _ramp(32, 32)
    centred, moved = enlarger.render(picture), enlarger.render(picture, shift)
    across, down = shift
    assert np.array_equal(
        moved[4 + down : 86 + down, 4 + across : 116 + across], centred[4:86, 4:116]
    )


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_line_grows_from_the_left_at_the_edge_that_is_the_lower_one(
    rotation: Rotation, share: float
) -> None:
    picture = _ramp(64, 64)
    plain = Enlarger(ImageSpec(width=64, height=64, fit="squeeze"), 200, 300, rotation)
    lined = Enlarger(ImageSpec(width=64, height=64, fit="squeeze"), 200, 300, rotation)
    lined.line = share
    # As somebody sees it before a screen that is turned.
    without, seen = (np.rot90(each.render(picture), rotation // 90) for each in (plain, lined))
    done = round(seen.shape[1] * share)
    changed = np.flatnonzero((seen != without).any(axis=(1, 2)))
    assert changed.min() >= 0.98 * len(seen)
    assert changed.max() == len(seen) - 1
    assert np.all(seen[-1, :done] == 160)
    assert np.all(seen[-1, done:] == without[-1, done:] // 4)
