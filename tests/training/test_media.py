from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ytm_training.media import UnusableVideoError, iterate_frames, open_video

RATE_HZ = 48000
FLASH_S = 2.4


def flash(t_s: float):
    """Black, white for 0.2 s from FLASH_S, black."""
    lit = FLASH_S - 1e-6 <= t_s < FLASH_S + 0.2 - 1e-6
    return np.full((48, 64, 3), 235 if lit else 16, np.uint8)


def beep(seconds: float, rate_hz: int = RATE_HZ):
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    on = (time_s >= FLASH_S) & (time_s < FLASH_S + 0.2)
    return (0.8 * np.sin(2 * np.pi * 2000 * time_s) * on).astype(np.float32)


FORMATS = {
    "h264-aac.mp4": {},
    "h264-mp3.mov": {"sound_codec": "libmp3lame", "rate_hz": 44100},
    "h264-flac.mkv": {"sound_codec": "flac"},
    "vp8-opus.webm": {"codec": "libvpx", "sound_codec": "libopus"},
    "mpeg1-mp2.mpg": {"codec": "mpeg1video", "sound_codec": "mp2", "gop": 12},
    "mjpeg-pcm.avi": {"codec": "mjpeg", "sound_codec": "pcm_s16le", "pixel_format": "yuvj420p"},
    "h264-aac.ts": {"gop": 25},
}


@pytest.mark.parametrize("name", FORMATS)
def test_flash_and_beep_are_found_together(name, tmp_path, video_maker) -> None:
    options = FORMATS[name]
    sound = beep(4, options.get("rate_hz", RATE_HZ))
    path = video_maker(tmp_path / name, 4.0, flash, sound, **options)
    with open_video(path) as video:
        heard = video.sound(2.0, 1.0, RATE_HZ)
        onset_s = 2.0 + np.flatnonzero(np.abs(heard) > 0.2)[0] / RATE_HZ
        dark = video.picture_at(onset_s - 0.01 - 1e-3).mean()
        lit = video.picture_at(onset_s + 0.01).mean()
        after = video.picture_at(onset_s + 0.2 + 0.01).mean()
    assert dark < 60
    assert lit > 180
    assert after < 60


@pytest.mark.parametrize("delays", [(0.0, 0.48), (0.48, 0.0)])
def test_streams_that_start_at_different_times_stay_in_step(delays, tmp_path, video_maker) -> None:
    video_delay_s, sound_delay_s = delays
    path = video_maker(
        tmp_path / "late.mkv",
        4.0,
        flash,
        beep(4),
        sound_codec="flac",
        video_delay_s=video_delay_s,
        sound_delay_s=sound_delay_s,
    )
    with open_video(path) as video:
        heard = video.sound(2.0, 1.0, RATE_HZ)
        onset_s = 2.0 + np.flatnonzero(np.abs(heard) > 0.2)[0] / RATE_HZ
        assert onset_s == pytest.approx(FLASH_S + sound_delay_s, abs=1e-3)
        assert video.picture_at(FLASH_S + video_delay_s - 0.002).mean() < 60
        assert video.picture_at(FLASH_S + video_delay_s + 0.002).mean() > 180
        extent = video.extent()
    assert extent.start_s == pytest.approx(0.48, abs=0.03)


def test_time_begins_where_the_container_does(tmp_path, video_maker) -> None:
    path = video_maker(
        tmp_path / "offset.ts", 4.0, flash, beep(4), video_delay_s=60, sound_delay_s=60, gop=25
    )
    with open_video(path) as video:
        extent = video.extent()
        heard = video.sound(2.0, 1.0, RATE_HZ)
    assert extent.start_s < 0.1
    assert extent.end_s == pytest.approx(4.0, abs=0.1)
    onset_s = 2.0 + np.flatnonzero(np.abs(heard) > 0.2)[0] / RATE_HZ
    assert onset_s == pytest.approx(FLASH_S, abs=0.03)


@pytest.fixture(scope="module")
def noise_path(tmp_path_factory, video_maker) -> Path:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 6 * RATE_HZ).astype(np.float32)
    np.save(folder := tmp_path_factory.mktemp("noise") / "noise.npy", noise)
    return video_maker(folder.with_name("noise.mov"), 6.0, None, noise, sound_codec="pcm_s16le")


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 5000))
def test_any_second_of_sound_is_exact_to_the_sample(noise_path, start_ms) -> None:
    expected = np.load(noise_path.with_name("noise.npy"))
    begin = start_ms * RATE_HZ // 1000
    with open_video(noise_path) as video:
        heard = video.sound(start_ms / 1000, 1.0, RATE_HZ)
    np.testing.assert_allclose(heard, expected[begin : begin + RATE_HZ], atol=1.1 / 32768)


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_sound_of_another_rate_keeps_its_phase(rate_hz, tmp_path, video_maker) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 997 * np.arange(4 * rate_hz) / rate_hz).astype(np.float32)
    path = video_maker(tmp_path / "a.mov", 4, None, tone, sound_codec="pcm_s16le", rate_hz=rate_hz)
    with open_video(path) as video:
        heard = video.sound(1.25, 1.0, RATE_HZ)
    expected = 0.5 * np.sin(2 * np.pi * 997 * (1.25 + np.arange(RATE_HZ) / RATE_HZ))
    half_a_sample = 0.5 * 2 * np.pi * 997 * 0.5 / RATE_HZ
    assert np.abs(heard - expected).max() < half_a_sample + 0.001


@pytest.mark.parametrize("gop", [1, 10, 250])
def test_every_picture_is_found_by_its_time(gop, tmp_path, video_maker) -> None:
    path = video_maker(
        tmp_path / "steps.mp4",
        4.0,
        lambda t: np.full((48, 64, 3), 20 + 2 * round(t * 25), np.uint8),
        gop=gop,
    )
    frames = dict(iterate_frames(path))
    assert len(frames) == 100
    with open_video(path) as video:
        for number in (99, 0, 57, 30, 31):
            middle_s = (number + 0.5) / 25
            shown = video.picture_at(middle_s)
            assert shown.mean() == pytest.approx(20 + 2 * number, abs=2.5)
            np.testing.assert_array_equal(shown, frames[number / 25])


def test_a_picture_stays_until_the_next_one_when_the_rate_varies(tmp_path, video_maker) -> None:
    stamps = [0, 1, 30, 70, 99]
    path = video_maker(
        tmp_path / "slides.mkv",
        4.0,
        lambda t_s: np.full((48, 64, 3), 30 + 2 * round(t_s * 25), np.uint8),
        stamps=stamps,
    )
    with open_video(path) as video:
        for moment, shown in ((0.5, 1), (1.19, 1), (1.21, 30), (2.7, 30), (2.81, 70)):
            assert video.picture_at(moment).mean() == pytest.approx(30 + 2 * shown, abs=3)


def corner(t_s: float):
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:24, :48] = 220
    return picture


@pytest.mark.parametrize(("degrees", "lit"), [(90, (1, 0)), (180, (1, 1)), (-90, (0, 1))])
def test_rotation_is_honoured(degrees, lit, tmp_path, video_maker) -> None:
    path = video_maker(tmp_path / "turned.mp4", 1.0, corner, rotation=degrees)
    with open_video(path) as video:
        shown = video.picture_at(0.5)
    height, width = shown.shape[:2]
    assert (height > width) == (abs(degrees) == 90)
    quarters = shown.reshape(2, height // 2, 2, width // 2, 3).mean(axis=(1, 3, 4))
    assert np.unravel_index(quarters.argmax(), (2, 2)) == lit
    assert sorted(quarters.ravel())[2] < 30


def test_pixels_become_square(tmp_path, video_maker) -> None:
    path = video_maker(tmp_path / "wide.mp4", 1.0, corner, aspect=Fraction(4, 3))
    with open_video(path) as video:
        assert video.picture_at(0.5).shape == (48, 128, 3)


def look_through(path: Path) -> None:
    with open_video(path) as video:
        video.extent()
        video.picture_at(0.5)


def check_reason(path: Path, reason: str) -> None:
    with pytest.raises(UnusableVideoError) as caught:
        look_through(path)
    assert caught.value.reason == reason
    assert path.name in str(caught.value)


def test_what_is_no_video_says_so(tmp_path, video_maker) -> None:
    (tmp_path / "notes.txt").write_text("no video\n" * 100)
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://example.invalid/a.ts\n")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile /etc/hostname\n")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name in ("notes.txt", "text.mp4", "list.m3u8", "list.mp4", "empty.mp4"):
        check_reason(tmp_path / name, "not a video")
    os.mkfifo(tmp_path / "pipe.mp4")
    check_reason(tmp_path / "pipe.mp4", "not a video")
    check_reason(tmp_path / "absent.mp4", "unreadable")


def test_missing_streams_and_damage_say_so(tmp_path, video_maker) -> None:
    check_reason(video_maker(tmp_path / "mute.mp4", 1.0, silent=True), "no sound")
    whole = video_maker(tmp_path / "whole.mp4", 3.0).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    check_reason(tmp_path / "cut.mp4", "broken")


def test_an_audio_file_has_no_picture(tmp_path) -> None:
    import soundfile

    soundfile.write(tmp_path / "tone.wav", np.zeros(48000), 48000)
    check_reason(tmp_path / "tone.wav", "no picture")


def test_a_picture_too_large_is_refused_before_it_is_decoded(tmp_path, video_maker) -> None:
    path = video_maker(
        tmp_path / "wide.mkv",
        0.2,
        lambda t_s: np.zeros((16, 8224, 3), np.uint8),
        codec="ffv1",
    )
    check_reason(path, "too large")


def test_a_video_cut_short_gives_what_is_left(tmp_path, video_maker) -> None:
    noise = np.random.default_rng(1)
    path = video_maker(
        tmp_path / "whole.mkv", 8.0, lambda t: noise.integers(0, 255, (48, 64, 3), np.uint8)
    )
    data = path.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    with open_video(tmp_path / "cut.mkv") as video:
        extent = video.extent()
        assert 2 < extent.length_s < 6
        assert video.sound(extent.end_s - 1.1, 1.0, RATE_HZ).std() > 0.1
        assert video.picture_at(extent.end_s - 0.2).shape == (48, 64, 3)
