"""The film of the mirror: in step, the same each time, never half-written, never of a visitor."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_videos import moving
from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import MediaError, UsageError
from ytm_device.camera.choice import Camera, choose_camera
from ytm_device.camera.file import read_frames
from ytm_device.frame import Frame
from ytm_device.light.leveller import LightLeveller
from ytm_device.recording.film import HEIGHT, RATE_HZ, SOUND_RATE_HZ, WIDTH, writing_film
from ytm_device.recording.render import paced, record
from ytm_device.reflecting.reflector import Reflector
from ytm_device.screen.picture import Enlarger

CODER_FRAME = 1024
"""Samples in a frame of AAC, and how far its ends may be off."""


def decoded(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures, uint8 (h, w, 3), and samples, float32 (n,), of a film."""
    with av.open(str(path)) as film:
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    with av.open(str(path)) as film:
        assert film.streams.audio[0].rate == SOUND_RATE_HZ
        parts = [frame.to_ndarray()[0] for frame in film.decode(audio=0)]
    return pictures, np.concatenate(parts)


def frames_at(times_ns: list[int]) -> list[Frame]:
    blank = np.zeros((1, 1, 3), np.uint8)
    return [Frame(blank, time_ns, n, "test") for n, time_ns in enumerate(times_ns)]


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=30))
def test_each_moment_shows_the_newest_frame_whose_time_has_come(gaps_ns):
    frames = frames_at([0, *np.cumsum(gaps_ns).tolist()])
    for index, shown in enumerate(paced(frames)):
        come = [frame for frame in frames if frame.taken_ns * RATE_HZ <= index * 10**9]
        assert shown is come[-1]


def test_a_source_at_the_rate_of_the_film_passes_unchanged():
    frames = frames_at([n * 10**9 // 30 for n in range(100)])
    assert [shown.sequence for shown in paced(frames)] == list(range(100))


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Camera:
    path = moving(tmp_path_factory.mktemp("video") / "ball.mp4", frames=12)
    return choose_camera(str(path))


def test_a_film_shows_the_mirror_and_is_the_same_each_time(tiny_bundle, ball, tmp_path):
    stop = threading.Event()
    films = [tmp_path / "one.mp4", tmp_path / "two.mp4"]
    assert [record(tiny_bundle, ball, film, None, stop) for film in films] == [12, 12]
    (pictures, sound), (pictures_again, sound_again) = map(decoded, films)
    assert len(pictures) == 12
    assert pictures[0].shape == (HEIGHT, WIDTH, 3)
    assert all(np.array_equal(*pair) for pair in zip(pictures, pictures_again, strict=True))
    assert np.array_equal(sound, sound_again)
    assert sound.size == pytest.approx(12 / RATE_HZ * SOUND_RATE_HZ, abs=2 * CODER_FRAME)
    assert np.abs(sound).max() > 0.001

    enlarger = Enlarger(tiny_bundle.manifest.image, WIDTH, HEIGHT)
    with Reflector(tiny_bundle) as reflector:
        (first,) = islice(read_frames(Path(ball.name), tiny_bundle.manifest.image), 1)
        level = LightLeveller().level(first.pixels, first.taken_ns)
        expected = enlarger.render(reflector.reflect(replace(first, pixels=level)).image)
    assert np.abs(pictures[0].astype(int) - expected).mean() < 6


def test_a_film_is_as_long_as_asked_and_no_longer_than_its_source(tiny_bundle, ball, tmp_path):
    stop = threading.Event()
    assert record(tiny_bundle, ball, tmp_path / "short.mp4", 0.2, stop) == 6
    assert record(tiny_bundle, ball, tmp_path / "whole.mp4", 100, stop) == 12
    drawn = choose_camera("demo")
    assert record(tiny_bundle, drawn, tmp_path / "drawn.mp4", 0.1, stop) == 3


def test_sound_at_another_rate_stays_in_step(make_bundle, tiny_bundle, ball, tmp_path):
    sound = tiny_bundle.manifest.sound.model_copy(
        update={"playback_rate_hz": 44100, "analysis_rate_hz": 44100}
    )
    with open_bundle(make_bundle(tmp_path / "bundle", sound=sound)) as bundle:
        record(bundle, ball, tmp_path / "film.mp4", None, threading.Event())
    _, samples = decoded(tmp_path / "film.mp4")
    assert samples.size == pytest.approx(12 / RATE_HZ * SOUND_RATE_HZ, abs=2 * CODER_FRAME)


def test_samples_due_keep_in_step_for_ever(tmp_path):
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with writing_film(tmp_path / "film.mp4", 44101) as film:
        due = []
        for _ in range(2 * RATE_HZ):
            due.append(film.samples_due())
            film.add(black, np.zeros(due[-1], np.float32))
    assert sum(due) == 2 * 44101
    assert max(due) - min(due) <= 1


def test_a_tone_is_heard_as_it_was_given(tmp_path):
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with writing_film(tmp_path / "film.mp4", 24000) as film:
        given_samples = 0
        for _ in range(RATE_HZ):
            due = film.samples_due()
            at_s = (given_samples + np.arange(due)) / 24000
            film.add(black, (0.5 * np.sin(2 * np.pi * 1000 * at_s)).astype(np.float32))
            given_samples += due
    _, samples = decoded(tmp_path / "film.mp4")
    middle = samples[12000:36000]
    loudest_hz = np.argmax(np.abs(np.fft.rfft(middle * np.hanning(middle.size)))) * 2
    assert loudest_hz == pytest.approx(1000, abs=4)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_a_live_camera_is_never_recorded(tiny_bundle, tmp_path):
    camera = Camera("device", "/dev/video0", "the first camera found")
    with pytest.raises(UsageError, match="never with a live camera"):
        record(tiny_bundle, camera, tmp_path / "film.mp4", 1, threading.Event())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("folder.mp4", "folder.mp4: give the name of a file that ends in .mp4"),
        ("film.txt", "film.txt: give the name of a file that ends in .mp4"),
        ("file.mp4/film.mp4", "file.mp4 cannot be written to; give another place"),
    ],
)
def test_a_place_where_no_film_can_be_is_refused(name, complaint, tiny_bundle, tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file.mp4").write_text("here before")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError) as refused:
        record(tiny_bundle, choose_camera("demo"), tmp_path / name, 0.1, threading.Event())
    assert str(refused.value).startswith(f"{tmp_path / name}: ")
    assert str(refused.value).endswith(complaint)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file.mp4").read_text() == "here before"


def test_a_place_that_refuses_a_film_is_named(tiny_bundle):
    with pytest.raises((MediaError, UsageError), match="/proc"):
        record(tiny_bundle, choose_camera("demo"), Path("/proc/film.mp4"), 0.1, threading.Event())


def test_a_film_that_fails_leaves_what_was_there(tiny_bundle, tmp_path):
    film, text = tmp_path / "film.mp4", tmp_path / "text.mp4"
    film.write_text("the film of before")
    text.write_text("no video\n" * 100)
    with pytest.raises(MediaError, match=r"text\.mp4"):
        record(tiny_bundle, choose_camera(str(text)), film, None, threading.Event())
    assert film.read_text() == "the film of before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "text.mp4"]


def test_an_interrupted_film_leaves_nothing(tiny_bundle, tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        record(tiny_bundle, choose_camera("demo"), tmp_path / "film.mp4", 1, stop)
    assert not list(tmp_path.iterdir())
