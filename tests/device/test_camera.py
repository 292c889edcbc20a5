"""Every camera gives the encoder the same picture, in time, and says what is wrong with it."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_videos import moving, run, scaled, striped, ycbcr
from ytm_bundle.errors import DeviceError, MediaError, UsageError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera import demo
from ytm_device.camera.choice import choose_camera
from ytm_device.camera.colour import LUMA_WEIGHTS, rgb_from_ycbcr
from ytm_device.camera.demo import DemoCamera, drawn_frames
from ytm_device.camera.device import DeviceCamera
from ytm_device.camera.file import PICTURE_S, FileCamera, read_frames
from ytm_device.camera.v4l2 import captures
from ytm_device.camera.visitor import draw_visitor

RED, GREEN, BLUE = STRIPES = ((255, 0, 0), (0, 200, 30), (10, 20, 240))
SQUEEZED = ImageSpec(width=33, height=33, fit="squeeze")
CROPPED = ImageSpec(width=32, height=32, fit="crop")
ROUNDING = 2
HANG_S = 5 * PICTURE_S


def near(pixel: np.ndarray, colour: tuple[int, int, int], tolerance: int = ROUNDING) -> bool:
    return bool((np.abs(pixel.astype(int) - colour) <= tolerance).all())


@given(st.tuples(*[st.integers(0, 255)] * 3), st.sampled_from(sorted(LUMA_WEIGHTS)), st.booleans())
def test_colours_come_back_from_ycbcr(colour, matrix, full_range):
    code = ycbcr(colour, matrix, full_range)
    planes = tuple(np.full((1, 1), value, np.uint8) for value in code)
    assert near(rgb_from_ycbcr(planes, matrix, full_range)[0, 0], colour)


@pytest.mark.parametrize("height", [48, 800], ids=["SD", "HD"])
@pytest.mark.parametrize(
    ("matrix", "full_range", "stated"),
    [
        ("bt601", False, "bt601"),
        ("bt709", False, "bt709"),
        ("bt709", True, "1:3:5:1"),
        ("bt601", True, "1:4:0:0"),
        ("bt2020", False, "bt2020"),
    ],
)
def test_a_stream_has_the_colours_that_it_states(matrix, full_range, stated, height):
    picture = striped(STRIPES, matrix, full_range, 96, height)
    pixels = scaled(SQUEEZED, picture, 96, height, f",colorimetry={stated}")
    assert pixels.shape == (33, 33, 3)  # rows of 99 bytes, padded to 100 on the way
    for column, colour in zip((5, 16, 27), STRIPES, strict=True):
        assert near(pixels[16, column], colour)


@pytest.mark.parametrize(
    ("lines", "matrix"), [(48, "bt601"), (576, "bt601"), (578, "bt709"), (2160, "bt2020")]
)
@pytest.mark.parametrize(("full_range", "stated"), [(False, ""), (True, ",colorimetry=1:0:0:0")])
def test_where_no_matrix_is_stated_the_height_as_decoded_decides(lines, matrix, full_range, stated):
    picture = striped(STRIPES, matrix, full_range, 96, lines)
    pixels = scaled(SQUEEZED, picture, 96, lines, stated)
    for column, colour in zip((5, 16, 27), STRIPES, strict=True):
        assert near(pixels[16, column], colour)


@pytest.mark.parametrize(
    ("tag", "across", "down"),
    [
        ("rotate-180", (BLUE, GREEN, RED), (GREEN, GREEN, GREEN)),
        ("rotate-90", (GREEN, GREEN, GREEN), (RED, GREEN, BLUE)),
        ("rotate-270", (GREEN, GREEN, GREEN), (BLUE, GREEN, RED)),
    ],
)
def test_a_turned_stream_is_turned_back(tag, across, down):
    picture = striped(STRIPES, "bt601", False, 96, 96)
    pixels = scaled(SQUEEZED, picture, 96, 96, tags=f"image-orientation={tag}")
    for position, colour in zip((5, 16, 27), across, strict=True):
        assert near(pixels[16, position], colour)
    for position, colour in zip((5, 16, 27), down, strict=True):
        assert near(pixels[position, 16], colour)


@pytest.mark.parametrize(("width", "aspect"), [(96, "1/1"), (48, "2/1")])
def test_crop_keeps_the_middle_and_the_proportions(width, aspect):
    picture = striped(STRIPES, "bt601", False, width, 32)
    pixels = scaled(CROPPED, picture, width, 32, f",pixel-aspect-ratio={aspect}")
    for column in range(3, 29):
        assert near(pixels[16, column], GREEN)


def test_squeeze_keeps_everything():
    picture = striped(STRIPES, "bt601", False, 96, 32)
    pixels = scaled(SQUEEZED, picture, 96, 32)
    shares = [np.mean([near(pixel, colour, 20) for pixel in pixels[16]]) for colour in STRIPES]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.07)


def test_reduction_averages_instead_of_skipping():
    fine = striped(((255, 255, 255), (0, 0, 0)) * 48, "bt601", False, 96, 96)
    pixels = scaled(ImageSpec(width=16, height=16, fit="squeeze"), fine, 96, 96)
    assert abs(pixels.astype(int)[:, 2:-2] - 127).max() < 12


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return moving(tmp_path_factory.mktemp("video") / "ball.mp4", frames=9)


def test_a_file_is_read_whole_and_in_order(ball):
    frames = list(read_frames(ball, CROPPED))
    assert [frame.sequence for frame in frames] == list(range(9))
    assert [frame.taken_ns for frame in frames] == pytest.approx(
        [n * 1e9 / 30 for n in range(9)], abs=1e6
    )
    assert all(frame.pixels.shape == (32, 32, 3) for frame in frames)
    assert not np.array_equal(frames[0].pixels, frames[8].pixels)
    assert len(list(read_frames(ball, CROPPED, 4))) == 4


def test_reading_a_file_again_gives_the_same(ball):
    for one, other in zip(read_frames(ball, CROPPED), read_frames(ball, CROPPED), strict=True):
        assert np.array_equal(one.pixels, other.pixels)


def test_a_played_file_begins_again_for_ever(ball):
    whole = [frame.pixels for frame in read_frames(ball, CROPPED)]
    started_ns = time.monotonic_ns()
    frames = []
    with FileCamera(ball, CROPPED) as camera:
        deadline = time.monotonic() + HANG_S
        while len(frames) < 22 and time.monotonic() < deadline:
            frame = camera.next_frame(1.0)
            if frame is not None:
                frames.append(frame)
    assert len(frames) == 22
    assert all(any(np.array_equal(frame.pixels, each) for each in whole) for frame in frames)
    assert all(one.sequence < two.sequence for one, two in pairwise(frames))
    assert all(one.taken_ns <= two.taken_ns for one, two in pairwise(frames))
    assert started_ns <= frames[0].taken_ns
    assert frames[-1].taken_ns <= time.monotonic_ns()


def test_a_slow_reader_gets_the_newest_and_can_count_what_it_missed(tmp_path):
    video = moving(tmp_path / "long.mp4", frames=60)
    with FileCamera(video, CROPPED) as camera:
        first = camera.next_frame(1.0)
        threading.Event().wait(0.5)
        second = camera.next_frame(1.0)
        third = camera.next_frame(1.0)
    assert first is not None
    assert second is not None
    assert third is not None
    assert second.sequence - first.sequence > 3
    played_s = (second.taken_ns - first.taken_ns) / 1e9
    assert second.sequence - first.sequence == pytest.approx(played_s * 30, abs=3)


def text_file(path: Path) -> Path:
    path.write_text("not a video, however long it may be\n" * 100)
    return path


def truncated(path: Path) -> Path:
    whole = moving(path.with_suffix(".whole.mp4"), frames=30)
    path.write_bytes(whole.read_bytes()[:-500])  # the index of an MP4 is at its end
    return path


def sound_only(path: Path) -> Path:
    return run(
        path, "audiotestsrc num-buffers=20 ! avenc_aac ! aacparse ! mp4mux ! filesink name=file"
    )


def without_pictures(path: Path) -> Path:
    video = "videotestsrc num-buffers=0 ! video/x-raw,width=64,height=64"
    return run(path, f"{video} ! avenc_ffv1 ! matroskamux ! filesink name=file")


def noise(path: Path) -> Path:
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.parametrize(
    "spoil", [text_file, truncated, sound_only, without_pictures, noise, empty]
)
def test_a_file_that_is_no_video_is_named_in_bounded_time(spoil, tmp_path):
    path = spoil(tmp_path / "file.mp4")
    began = time.monotonic()
    with pytest.raises(MediaError, match=r"file\.mp4: .*; give another video$"):
        FileCamera(path, CROPPED)
    with pytest.raises(MediaError, match=r"file\.mp4: .*; give another video$"):
        next(read_frames(path, CROPPED))
    assert time.monotonic() - began < HANG_S


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MediaError, match="no such video file"):
        FileCamera(tmp_path / "none.mp4", CROPPED)


def test_a_video_of_one_picture_is_played(tmp_path):
    with FileCamera(moving(tmp_path / "one.mp4", frames=1), CROPPED) as camera:
        seen = 0
        deadline = time.monotonic() + HANG_S
        while seen < 3 and time.monotonic() < deadline:
            seen += camera.next_frame(1.0) is not None
    assert seen == 3


def test_the_drawn_visitor_is_scaled_like_a_camera():
    (frame,) = drawn_frames(SQUEEZED, 1)
    drawn = draw_visitor(0, demo.WIDTH, demo.HEIGHT)
    assert frame.pixels.shape == (33, 33, 3)
    assert frame.pixels.mean((0, 1)) == pytest.approx(drawn.mean((0, 1)), abs=1)


def test_the_drawn_visitor_moves_and_is_the_same_each_time():
    first, second = list(drawn_frames(CROPPED, 40)), list(drawn_frames(CROPPED, 40))
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
    assert not np.array_equal(first[0].pixels, first[-1].pixels)


def test_the_drawn_visitor_keeps_the_time_and_counts_what_is_missed():
    with DemoCamera(CROPPED) as camera:
        frames = []
        deadline = time.monotonic() + HANG_S
        while len(frames) < 6 and time.monotonic() < deadline:
            frame = camera.next_frame(1.0)
            if frame is not None:
                frames.append(frame)
            if len(frames) == 3:
                threading.Event().wait(0.2)
    assert all(one.sequence < two.sequence for one, two in pairwise(frames))
    assert frames[3].sequence - frames[2].sequence > 2
    for frame in frames:
        assert frame.taken_ns - frames[0].taken_ns == (frame.sequence - frames[0].sequence) * (
            demo.PERIOD_NS
        )
        assert frame.taken_ns <= time.monotonic_ns()


def test_the_drawn_visitor_does_not_wait_longer_than_told(monkeypatch):
    slept_s = []
    standing = SimpleNamespace(monotonic_ns=lambda: 1, sleep=slept_s.append)
    monkeypatch.setattr(demo, "time", standing)
    with DemoCamera(CROPPED) as camera:
        assert camera.next_frame(1.0) is not None
        assert camera.next_frame(0.01) is None
    assert slept_s == [0.01]


@pytest.mark.parametrize("path", ["/dev/video99", "/dev/null", "/dev/v4l/by-id/none"])
def test_what_is_no_camera_is_named(path):
    assert not captures(Path(path))
    with pytest.raises(DeviceError, match=rf"^{path}: is no camera"):
        DeviceCamera(Path(path), CROPPED)


def test_a_camera_is_chosen_by_what_its_name_is(ball):
    assert choose_camera("demo").kind == "demo"
    assert choose_camera(str(ball)).kind == "file"
    assert choose_camera("/dev/video99").kind == "device"
    with pytest.raises(UsageError, match="--camera nowhere: no such device or video file"):
        choose_camera("nowhere")


def test_without_a_wish_something_is_chosen_and_the_reason_given():
    camera = choose_camera(None)
    assert camera.kind in ("device", "demo")
    assert camera.why
