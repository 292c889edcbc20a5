"""`ytm-preview`: what it shows, and what it refuses."""

import json
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from small_run import BIN, ENVIRONMENT
from ytm_build.mirroring import Spread, mirror_video
from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import MediaError, UsageError

RED, GREEN = (200, 30, 30), (30, 200, 30)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """One second at 25 pictures a second: red on the left, green on the right."""
    path = tmp_path_factory.mktemp("video") / "halves.mp4"
    picture = np.empty((120, 160, 3), np.uint8)
    picture[:, :80], picture[:, 80:] = RED, GREEN
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv444p"
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _first_picture(film: Path) -> np.ndarray:
    with av.open(str(film)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)


def test_a_second_is_thirty_pictures_and_the_inset_is_flipped(video, tiny_bundle, tmp_path):
    out, sheet = tmp_path / "out.mp4", tmp_path / "sheet.png"
    figures = mirror_video(video, out, tiny_bundle, None, inset=True, sheet=sheet)
    assert figures.length_s == pytest.approx(29 / 30, abs=1.5 / 30)
    assert figures.own_s == pytest.approx(sum(figures.work_s.values()))
    assert figures.picture_deviation == pytest.approx(0, abs=1)
    assert figures.strikes == 0
    screen = _first_picture(out)
    assert screen.shape == (1920, 1080, 3)
    inset = screen[27 : 27 + 243, 1080 - 27 - 324 : 1080 - 27]
    assert np.abs(inset[120, 60] - GREEN).max() < 25
    assert np.abs(inset[120, 260] - RED).max() < 25
    with Image.open(sheet) as image:
        assert image.size == (6 * 32, 2 * 32)
        seen = np.asarray(image)[16].astype(int)
    assert np.abs(seen[4] - GREEN).max() < 25
    assert np.abs(seen[28] - RED).max() < 25


def test_without_an_inset_the_corner_is_the_answer(video, tiny_bundle, tmp_path):
    films = []
    for inset in (False, True):
        out = tmp_path / f"{inset}.mp4"
        mirror_video(video, out, tiny_bundle, 0.2, inset, None)
        films.append(_first_picture(out))
    plain, with_inset = films
    assert np.abs(plain - with_inset)[40:200, 800:1000].mean() > 20
    assert np.abs(plain - with_inset)[960:].mean() < 4


def test_a_sudden_change_in_a_video_is_a_strike(tmp_path, tiny_bundle):
    """A second of green, then a second of red."""
    path = tmp_path / "sudden.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for index in range(50):
            picture = np.full((64, 64, 3), GREEN if index < 25 else RED, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    manifest = tiny_bundle.manifest.model_copy(update={"sudden_change": 0.5})
    bundle = replace(tiny_bundle, manifest=manifest)
    figures = mirror_video(path, tmp_path / "out.mp4", bundle, None, inset=False, sheet=None)
    assert figures.strikes == 1


def test_spread_is_the_deviation_over_time():
    arrays = np.random.default_rng(0).random((9, 4, 5))
    spread = Spread()
    for array in arrays:
        spread.add(array)
    assert spread.deviation() == pytest.approx(arrays.std(0).mean())


@pytest.mark.parametrize("data", [b"", b"just text\n" * 100], ids=["empty", "text"])
def test_what_is_no_video_is_refused(tiny_bundle, tmp_path, data):
    (tmp_path / "bad.mp4").write_bytes(data)
    (tmp_path / "out.mp4").write_text("what was there before")
    with pytest.raises(MediaError, match=r"bad\.mp4"):
        mirror_video(tmp_path / "bad.mp4", tmp_path / "out.mp4", tiny_bundle, None, False, None)
    assert (tmp_path / "out.mp4").read_text() == "what was there before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", "out.mp4"]


def test_a_truncated_video_is_refused(video, tiny_bundle, tmp_path):
    (tmp_path / "cut.mp4").write_bytes(video.read_bytes()[:900])
    with pytest.raises(MediaError, match=r"cut\.mp4"):
        mirror_video(tmp_path / "cut.mp4", tmp_path / "out.mp4", tiny_bundle, None, False, None)
    assert not (tmp_path / "out.mp4").exists()


def test_a_film_that_cannot_be_written_is_refused(video, tiny_bundle, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path, tmp_path / "out.avi", tmp_path / "file" / "out.mp4"):
        with pytest.raises(UsageError, match=str(out)):
            mirror_video(video, out, tiny_bundle, None, False, None)


@pytest.mark.parametrize(
    ("flags", "words", "code"),
    [
        (["--seconds", "0"], "--seconds 0", 2),
        (["--seconds", "nan"], "--seconds nan", 2),
        (["--sheet", "sheet.txt"], "--sheet sheet.txt", 2),
        (["--bundle", "nothing"], "nothing: no such bundle", 1),
    ],
)
def test_wrong_flags_are_named_in_one_line(video, tmp_path, flags, words, code):
    command = [str(BIN / "ytm-preview"), str(video), "--out", str(tmp_path / "out.mp4"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == code
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_figures_are_printed_for_machines(video, tiny_bundle_path, tmp_path):
    command = [str(BIN / "ytm-preview"), str(video), "--out", str(tmp_path / "out.mp4")]
    more = ["--bundle", str(tiny_bundle_path), "--seconds", "0.1", "--json"]
    done = subprocess.run(
        [*command, *more], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    figures = json.loads(done.stdout)
    assert figures["length_s"] == pytest.approx(0.1)
    with open_bundle(tiny_bundle_path) as bundle:
        assert bundle.manifest.name == "tiny"
    assert figures["own_s"] > 0
