"""`ytm-mirror` as it is typed: it runs, says what it did, and refuses bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror_process import COMMAND, error_line, type_mirror
from small_videos import moving
from waiting import HANG_S, wait_for
from ytm_device.camera.device import cameras
from ytm_device.options import SERVICES


@pytest.fixture
def mirror(
    tmp_path: Path, environment: dict[str, str], tiny_bundle_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Type `ytm-mirror ARGUMENTS` in an empty folder, with the tiny bundle unless one is given."""
    folder = tmp_path / "here"
    folder.mkdir()

    def run(*arguments: object, bundle: Path = tiny_bundle_path):
        return type_mirror([*arguments, "--bundle", bundle], environment, folder)

    return run


def test_headless_it_mirrors_a_file_and_sums_up(mirror, tmp_path):
    video = moving(tmp_path / "ball.mp4", frames=45)
    result = mirror("--headless", "--camera", video, "--seconds", 1.5, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    reflect, sound, screen = (figures[name] for name in SERVICES)
    assert figures["camera"] == str(video)
    assert reflect["reflections"] >= 20
    assert reflect["frames"] == reflect["reflections"] + reflect["dropped"]
    assert reflect["latency_p50_ms"] <= reflect["latency_p95_ms"] <= reflect["latency_p99_ms"]
    assert sound["samples"] > 20_000
    assert sound["mode"] == screen["mode"] == "mirror"
    assert screen["frames"] > 10
    for name in ("reflect", "sound", "screen"):
        assert figures[name].get("rejected_messages", 0) == 0
    assert "reflections" in result.stderr.splitlines()[-1]
    assert not list((tmp_path / "here").iterdir())
    assert not list((tmp_path / "runtime").iterdir())


@pytest.mark.parametrize("service", ["reflect", "sound", "screen"])
def test_one_service_runs_alone(mirror, tmp_path, service):
    flags = {"reflect": ("--camera", "demo"), "sound": ("--headless",), "screen": ("--headless",)}
    run_dir = tmp_path / "run"
    result = mirror(service, *flags[service], "--run-dir", run_dir, "--seconds", 1, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == json.loads((run_dir / f"{service}.json").read_text())
    assert not list(run_dir.glob(".*"))


def test_with_nothing_to_show_it_on_the_mirror_becomes_a_film(mirror, tmp_path):
    result = mirror("--seconds", 0.2, "--json")
    film = tmp_path / "here" / "mirror.mp4"
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {"film": "mirror.mp4", "pictures": 6, "seconds": 0.2}
    assert "neither a display nor a sound card is found" in result.stderr
    assert "mirror.mp4" in result.stderr.splitlines()[-1]
    assert film.stat().st_size > 1000


def test_without_a_camera_the_drawn_visitor_comes_and_the_camera_is_named(mirror):
    if found := next(cameras(), None):
        pytest.skip(f"this machine has a camera: {found}")
    result = mirror("--headless", "--seconds", 0.2, "--json")
    assert result.returncode == 0, result.stderr
    assert "camera: demo (no camera is connected; showing the drawn visitor)" in result.stderr
    assert json.loads(result.stdout)["reflect"]["camera"] == "demo"


def test_a_film_is_recorded_where_asked(mirror, tmp_path):
    film = tmp_path / "film.mp4"
    assert mirror("--record", film, "--camera", "demo", "--seconds", 0.1).returncode == 0
    assert film.stat().st_size > 1000


def test_an_interrupted_recording_leaves_nothing(tmp_path, environment, tiny_bundle_path):
    film = tmp_path / "film.mp4"
    film.write_text("the film of before")
    arguments = ["--record", film, "--camera", "demo", "--bundle", tiny_bundle_path]
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: any(path.stat().st_size for path in tmp_path.glob(".film.*")))
    process.terminate()
    _, stderr = process.communicate(timeout=HANG_S)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert film.read_text() == "the film of before"
    assert not list(tmp_path.glob(".film.*"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["dance"], 2, "dance: no such verb; give reflect, sound, screen"),
        (["--seconds", "0"], 2, "--seconds 0: give a number"),
        (["--seconds", "-3"], 2, "--seconds -3: give a number"),
        (["--seconds", "nan"], 2, "--seconds nan: give a number"),
        (["--headless", "--camera", "none.mp4"], 2, "--camera none.mp4: no such device"),
        (["--headless", "--camera", "/dev/video99"], 1, "reflect stopped: /dev/video99: is no"),
        (["--camera", "/dev/video99"], 2, "/dev/video99: neither a display nor a sound card"),
        (["--record", "."], 2, "error: .: give the name of a file that ends in .mp4"),
        (["--record", "/proc/film.mp4", "--camera", "demo"], 1, "/proc/film.mp4: "),
        (["--record", "film.mp4", "--camera", "/dev/video99"], 2, "never with a live camera"),
        (["--record", "film.mp4", "--headless"], 2, "--record: not with"),
        (["sound", "--camera", "demo"], 2, "--camera: means nothing with sound"),
        (["sound", "--volume-db", "20"], 2, "--volume-db 20: give dB from -60 to 12"),
        (["sound", "--night", "late"], 2, "'late': no hours of the day"),
        (["sound", "--periods", "1"], 2, "--periods 1: give periods from 2 to 64"),
        (["screen", "--loudness-lufs", "-30"], 2, "--loudness-lufs: means nothing with screen"),
        (["--record", "x.mp4", "--no-strike"], 2, "--record: not with --no-strike"),
        (["screen"], 1, "no display found"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(mirror, tmp_path, arguments, code, message):
    result = mirror(*arguments)
    assert result.returncode == code, result.stderr
    assert message in error_line(result.stderr)
    assert result.stdout == ""
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.parametrize("kind", ["text", "truncated", "ends at once"])
def test_a_camera_file_that_is_no_video_is_named(mirror, tmp_path, kind):
    path = tmp_path / "camera.mp4"
    if kind == "text":
        path.write_text("not a video\n" * 100)
    elif kind == "truncated":
        path.write_bytes(moving(tmp_path / "whole.mp4", frames=30).read_bytes()[:-500])
    else:
        path.touch()
    result = mirror("--headless", "--camera", path, "--json")
    assert result.returncode == 1
    assert error_line(result.stderr).startswith(f"error: reflect stopped: {path}: ")
    assert result.stdout == ""


def test_a_missing_or_damaged_bundle_is_named(mirror, tmp_path, tiny_bundle_path):
    result = mirror("--headless", bundle=tmp_path / "none")
    assert result.returncode == 1
    assert f"{tmp_path / 'none'}: no such bundle" in error_line(result.stderr)

    damaged = shutil.copytree(tiny_bundle_path, tmp_path / "damaged")
    graph = damaged / "graphs" / "image_encoder.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    result = mirror("--headless", bundle=damaged)
    assert result.returncode == 1
    assert f"{graph}: damaged" in error_line(result.stderr)
