"""`ytm-mirror` as it is typed: it runs, says what it did, and refuses bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirror_process import COMMAND, error_line, type_mirror
from small_videos import moving
from waiting import HANG_S, wait_for
from ytm_device.camera.device import cameras
from ytm_device.options import SERVICES
from ytm_device.status import read_status


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


@pytest.fixture
def alone(
    tmp_path: Path, environment: dict[str, str], tiny_bundle_path: Path
) -> Callable[..., tuple[dict[str, Any], subprocess.CompletedProcess[str]]]:
    """Run one service until it has said how it is: what it said, and how it ended when asked to."""

    def run(service: str, *arguments: object):
        folder = tmp_path / "run"
        more = [*arguments, "--bundle", tiny_bundle_path, "--run-dir", folder, "--json"]
        process = subprocess.Popen(
            [*COMMAND, service, *map(str, more)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            told = wait_for(lambda: process.poll() is not None or read_status(folder, service))
            process.terminate()
            stdout, stderr = process.communicate(timeout=HANG_S)
        finally:
            process.kill()
            process.communicate()
        assert isinstance(told, dict), stderr
        return told, subprocess.CompletedProcess(more, process.returncode, stdout, stderr)

    return run


def test_headless_it_mirrors_a_file_and_sums_up(mirror, tmp_path):
    video = moving(tmp_path / "ball.mp4", frames=45)
    result = mirror("--headless", "--camera", video, "--seconds", 3, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    reflect, sound, screen = (figures[name] for name in SERVICES)
    assert figures["camera"] == str(video)
    assert reflect["reflections"] >= 5
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
def test_one_service_runs_alone(alone, tmp_path, service):
    flags = {"reflect": ("--camera", "demo"), "sound": ("--headless",), "screen": ("--headless",)}
    told, result = alone(service, *flags[service])
    assert result.returncode == 0, result.stderr
    last = json.loads((tmp_path / "run" / f"{service}.json").read_text())
    assert json.loads(result.stdout) == last
    assert told["pid"] == last["pid"]
    assert not list((tmp_path / "run").glob(".*"))


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
        (["dance"], 2, "dance: no such verb; give reflect, sound, screen, ctl"),
        (["--seconds", "0"], 2, "--seconds 0: give a number"),
        (["--seconds", "-3"], 2, "--seconds -3: give a number"),
        (["--seconds", "nan"], 2, "--seconds nan: give a number"),
        (["--headless", "--camera", "none.mp4"], 2, "--camera none.mp4: no such device"),
        (["--camera", "/dev/video99"], 2, "/dev/video99: neither a display nor a sound card"),
        (["--record", "."], 2, "error: .: give the name of a file that ends in .mp4"),
        (["--record", "/proc/film.mp4", "--camera", "demo"], 1, "/proc/film.mp4: "),
        (["--record", "film.mp4", "--camera", "/dev/video99"], 2, "never with a live camera"),
        (["--record", "film.mp4", "--headless"], 2, "--record: not with"),
        (["sound", "--camera", "demo"], 2, "--camera: means nothing with sound"),
        (["sound", "--volume-db", "20"], 2, "--volume-db 20: give dB from -60 to 12"),
        (["sound", "--night", "late"], 2, "--night late: give two different times, 00:00 to 23:59"),
        (["sound", "--periods", "1"], 2, "--periods 1: give whole periods from 2 to 64"),
        (["screen", "--loudness-lufs", "-30"], 2, "--loudness-lufs: means nothing with screen"),
        (["--record", "x.mp4", "--no-strike"], 2, "--record: not with --no-strike"),
        (["--rotation", "45"], 2, "--rotation 45: give 0, 90, 180 or 270"),
        (["reflect", "--rotation", "90"], 2, "--rotation: means nothing with reflect"),
        (["sound", "--engines", "auto"], 2, "--engines: means nothing with sound"),
        (["--record", "x.mp4", "--engines", "tensorrt"], 2, "--record: not with --engines"),
        (["--engines", "cuda"], 2, '--engines cuda: give "auto", "tensorrt" or "onnxruntime"'),
        (["--headless", "--window"], 2, "--window: not with --headless"),
        (["--settings", "none.toml"], 2, "--settings none.toml: no such file"),
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


def test_settings_that_are_wrong_stop_who_sits_before_them_and_no_service(mirror, alone, tmp_path):
    (tmp_path / "mirror.toml").write_text("[sound]\nvolume_db = 99\n")
    wrong = f"{tmp_path}/mirror.toml: sound.volume_db = 99: give dB from -60 to 12"
    result = mirror("--headless", "--data", tmp_path)
    assert result.returncode == 2
    assert error_line(result.stderr) == f"error: {wrong}"
    told, result = alone("sound", "--headless", "--data", tmp_path)
    assert result.returncode == 0, result.stderr
    assert told["settings_problem"] == json.loads(result.stdout)["settings_problem"] == wrong


def test_all_services_read_the_settings_and_flags_are_over_them(mirror, tmp_path):
    (tmp_path / "mirror.toml").write_text("[sound]\nperiods = 8\n[camera]\ndevice = 'demo'\n")
    flags = ("--headless", "--data", tmp_path, "--seconds", 0.5, "--json")
    figures = json.loads(mirror(*flags).stdout)
    assert figures["camera"] == "demo"
    assert figures["sound"]["buffer_samples"] == 8 * figures["sound"]["period_samples"]
    figures = json.loads(mirror(*flags, "--periods", 6).stdout)
    assert figures["sound"]["buffer_samples"] == 6 * figures["sound"]["period_samples"]
