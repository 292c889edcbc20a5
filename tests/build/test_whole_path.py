"""The whole path, as a newcomer types it: drawn scenes in, a mirror to see and hear out."""

import json
import subprocess

import av
import numpy as np
import pytest

from small_run import BIN, ENVIRONMENT, NARROW
from ytm_bundle.bundle import open_bundle
from ytm_training.scenes.videos import write_videos

SCENES = 8
HANG_S = 300


def _run(*command):
    """What a command prints for machines."""
    done = subprocess.run(
        [str(BIN / command[0]), *map(str, command[1:])],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in command else done.stdout


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A folder with scenes, dataset, run and bundle."""
    folder = tmp_path_factory.mktemp("path")
    list(write_videos(folder / "scenes", SCENES, seed=1, seconds=2.0, size=(160, 120)))
    report = _run(
        *("ytm-collect", "--videos", folder / "scenes", "--out", folder / "dataset"),
        *("--per-video", 2, "--json"),
    )
    assert report["kept_segments"] == 2 * SCENES
    _run("ytm-train", folder / "dataset", "--out", folder / "run", *NARROW, "--max-epochs", 3)
    _run("ytm-build-engine", folder / "run", "--out", folder / "mirror.ytm", "--json")
    return folder


def _decoded(film):
    """All pictures and all samples of a film."""
    with av.open(str(film)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(film)) as container:
        sound = [frame.to_ndarray() for frame in container.decode(audio=0)]
        rate_hz = container.streams.audio[0].rate
    return np.stack(pictures), np.concatenate(sound, axis=1), rate_hz


def test_the_bundle_names_its_sources_and_figures(path):
    with open_bundle(path / "mirror.ytm") as bundle:
        manifest = bundle.manifest
    assert [source.licence for source in manifest.sources] == ["MIT"]
    assert manifest.quality["picture_psnr_db"] > 0


def test_the_preview_is_the_same_each_time(path):
    video = next((path / "scenes").glob("*.mp4"))
    films = []
    for name in ("one.mp4", "two.mp4"):
        figures = _run(
            *("ytm-preview", video, "--out", path / name, "--bundle", path / "mirror.ytm"),
            *("--seconds", 0.5, "--json"),
        )
        assert figures["length_s"] == 0.5
        assert set(figures["work_s"]) == {
            *("decoding", "seeing", "reflecting", "sounding", "drawing")
        }
        films.append(_decoded(path / name))
    (pictures, sound, rate_hz), (again, sound_again, _) = films
    assert pictures.shape == (15, 1920, 1080, 3)
    assert rate_hz == 48000
    assert sound.shape[1] == pytest.approx(24000, abs=2048)  # AAC rounds up to its frames
    assert np.array_equal(pictures, again)
    assert np.array_equal(sound, sound_again)


def test_the_mirror_answers_the_drawn_visitor(path):
    figures = _run(
        *("ytm-mirror", "--camera", "demo", "--bundle", path / "mirror.ytm"),
        *("--headless", "--seconds", 2, "--json"),
    )
    with open_bundle(path / "mirror.ytm") as bundle:
        assert figures["bundle"] == bundle.id
    assert figures["reflect"]["reflections"] > 10
    assert figures["sound"]["samples"] > 48000
    assert figures["screen"]["frames"] > 10
