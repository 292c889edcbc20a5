from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from ytm_bundle.manifest import ImageSpec
from ytm_training.picture import fit_image, shrink, upright_rgb

# Weights of red and blue in luma: ITU-R BT.601, BT.709, BT.2020.
WEIGHTS = {"601": (0.299, 0.114), "709": (0.2126, 0.0722), "2020": (0.2627, 0.0593)}
LIMITED, FULL = 1, 2


def flat_frame(code, height: int, colorspace: int | None, colour_range: int | None) -> VideoFrame:
    frame = VideoFrame(64, height, "yuv420p")
    for plane, value in zip(frame.planes, code, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    if colorspace is not None:
        frame.colorspace = colorspace
    if colour_range is not None:
        frame.color_range = colour_range
    return frame


def rgb_of(code, matrix: str, full: bool):
    """The definition, in floating point."""
    red_weight, blue_weight = WEIGHTS[matrix]
    offset, luma_range, chroma_range = (0, 255, 255) if full else (16, 219, 224)
    luma = (code[0] - offset) / luma_range
    red = luma + 2 * (1 - red_weight) * (code[2] - 128) / chroma_range
    blue = luma + 2 * (1 - blue_weight) * (code[1] - 128) / chroma_range
    green = (luma - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
    return np.clip(255 * np.array([red, green, blue]), 0, 255)


@pytest.mark.parametrize("code", [(120, 90, 180), (60, 140, 110), (16, 128, 128), (200, 100, 120)])
@pytest.mark.parametrize(
    ("height", "colorspace", "colour_range", "matrix"),
    [
        (576, None, None, "601"),
        (578, None, None, "709"),
        (2158, None, None, "709"),
        (2160, None, None, "2020"),
        (480, 1, LIMITED, "709"),
        (720, 5, LIMITED, "601"),
        (720, 6, FULL, "601"),
        (480, 1, FULL, "709"),
        (480, 9, None, "2020"),
    ],
)
def test_colours_are_those_of_the_stream_else_of_gstreamers_rule(
    code, height, colorspace, colour_range, matrix
) -> None:
    shown = upright_rgb(flat_frame(code, height, colorspace, colour_range), None)
    assert shown.shape == (height, 64, 3)
    expected = rgb_of(code, matrix, colour_range == FULL)
    assert np.abs(shown.reshape(-1, 3) - expected).max() <= 1


@pytest.mark.parametrize(
    ("aspect", "width"),
    [
        (None, 64),
        (Fraction(1), 64),
        (Fraction(448, 447), 64),
        (Fraction(3, 2), 96),
        (Fraction(1, 2), 32),
    ],
)
def test_pixels_become_square_unless_they_are_nearly_or_absurdly(aspect, width) -> None:
    frame = flat_frame((120, 128, 128), 48, None, None)
    assert upright_rgb(frame, aspect).shape == (48, width, 3)
    assert upright_rgb(frame, Fraction(100)).shape == (48, 64, 3)


def gradient(width: int, height: int):
    across = np.linspace(0, 255, width)[None, :, None]
    return np.broadcast_to(across, (height, width, 3)).astype(np.uint8)


def test_crop_keeps_the_middle_of_the_longer_side() -> None:
    picture = np.zeros((40, 120, 3), np.uint8)
    picture[:, :40], picture[:, 40:80], picture[:, 80:] = 10, 100, 200
    fitted = fit_image(picture, ImageSpec(width=40, height=40, fit="crop"))
    assert (fitted == 100).all()
    upright = fit_image(picture.transpose(1, 0, 2), ImageSpec(width=20, height=20, fit="crop"))
    assert (upright == 100).all()


def test_squeeze_keeps_everything() -> None:
    fitted = fit_image(gradient(512, 64), ImageSpec(width=32, height=32, fit="squeeze"))
    expected = np.linspace(0, 255, 512).reshape(32, 16).mean(axis=1)
    assert np.abs(fitted[:, 1:-1].astype(float) - expected[None, 1:-1, None]).max() < 1.5


@pytest.mark.parametrize("fit", ["crop", "squeeze"])
def test_reducing_averages_and_does_not_alias(fit) -> None:
    checkers = np.indices((256, 256)).sum(axis=0) % 2 * 255
    picture = np.repeat(checkers[..., None], 3, axis=2).astype(np.uint8)
    fitted = fit_image(picture, ImageSpec(width=32, height=32, fit=fit))
    assert np.abs(fitted.astype(int) - 127).max() <= 3


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(16, 64),
    st.integers(16, 64),
    st.sampled_from(["crop", "squeeze"]),
    st.integers(0, 255),
)
def test_any_flat_picture_stays_flat_at_the_size_asked_for(
    width, height, to_width, to_height, fit, level
) -> None:
    spec = ImageSpec(width=to_width, height=to_height, fit=fit)
    fitted = fit_image(np.full((height, width, 3), level, np.uint8), spec)
    assert fitted.shape == (to_height, to_width, 3)
    assert (fitted == level).all()


@pytest.mark.parametrize(
    ("size", "shrunk"), [((1000, 500), (512, 256)), ((300, 200), (300, 200)), ((1, 4000), (1, 512))]
)
def test_shrinking_keeps_proportions_and_never_enlarges(size, shrunk) -> None:
    assert shrink(np.zeros((*size, 3), np.uint8), 512).shape == (*shrunk, 3)
