"""`ytm-mirror` as it is typed: it runs, says what it did, stops cleanly, and refuses bad input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from small_videos import moving
from ytm_bundle.errors import UsageError
from ytm_device.camera.choice import Camera
from ytm_device.mirror import FALLBACK_FILM, FALLBACK_S, film_instead
from ytm_device.options import SERVICES, Options
from ytm_device.run_dirs import private_run_dir, shared_run_dir
from ytm_device.together.plan import Outputs, missing, plan
from ytm_device.together.summary import summarise

HANG_S = 120.0
COMMAND = [sys.executable, "-m", "ytm_device.mirror"]
DEMO = Camera("demo", "demo", "asked for")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Neither a display nor a sound card, and a runtime folder to look into."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "ALSA_CONFIG_PATH", "SDL_VIDEODRIVER")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {"XDG_RUNTIME_DIR": str(runtime), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def mirror(
    tmp_path: Path, environment: dict[str, str], tiny_bundle_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Type `ytm-mirror ARGUMENTS` in an empty folder, with the tiny bundle unless one is given."""
    folder = tmp_path / "here"
    folder.mkdir()

    def run(*arguments: object, bundle: Path = tiny_bundle_path):
        return subprocess.run(
            [*COMMAND, *map(str, arguments), "--bundle", str(bundle)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )

    return run


@pytest.fixture
def running(
    tmp_path: Path, environment: dict[str, str], tiny_bundle_path: Path
) -> Iterator[subprocess.Popen[str]]:
    """A headless mirror of the drawn visitor whose three services are up."""
    process = subprocess.Popen(
        [*COMMAND, "--headless", "--camera", "demo", "--json", "--bundle", tiny_bundle_path],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        runtime = Path(environment["XDG_RUNTIME_DIR"])
        wait_for(
            lambda: process.poll() is not None or len(list(runtime.glob("ytm-*/[!.]*.json"))) == 3
        )
        assert process.poll() is None, process.communicate()[1]
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + HANG_S
    while not happened():
        assert time.monotonic() < deadline, f"did not happen in {HANG_S} s"
        time.sleep(0.02)


def children(process: subprocess.Popen[str]) -> dict[str, int]:
    """Service -> process id."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    arguments = {int(pid): Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in listed}
    return {words[3]: pid for pid, words in arguments.items()}


def gone(pid: int) -> bool:
    """It has ended, whether or not somebody has taken note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert "Traceback" not in result.stderr
    return line


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_three_and_sums_up(running, number):
    services = children(running)
    assert set(services) == set(SERVICES)
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=HANG_S)
    assert running.returncode == 0, stderr
    assert set(SERVICES) < set(json.loads(stdout))
    assert all(gone(pid) for pid in services.values())


@pytest.mark.parametrize("service", SERVICES)
def test_if_one_dies_all_stop_and_it_is_named(running, service):
    services = children(running)
    os.kill(services[service], signal.SIGKILL)
    stdout, stderr = running.communicate(timeout=HANG_S)
    assert running.returncode == 1
    assert stdout == ""
    assert stderr.splitlines()[-1].startswith(f"error: {service} stopped: killed by signal 9")
    assert all(gone(pid) for pid in services.values())


def test_leaving_the_screen_leaves_the_mirror(running):
    services = children(running)
    os.kill(services["screen"], signal.SIGTERM)
    stdout, stderr = running.communicate(timeout=HANG_S)
    assert running.returncode == 0, stderr
    assert set(SERVICES) < set(json.loads(stdout))
    assert all(gone(pid) for pid in services.values())


def test_nobody_is_left_behind_when_the_parent_is_killed(running):
    services = children(running)
    running.kill()
    wait_for(lambda: all(gone(pid) for pid in services.values()))


def test_a_service_that_hangs_is_killed_and_named(running):
    services = children(running)
    os.kill(services["sound"], signal.SIGSTOP)
    running.terminate()
    _, stderr = running.communicate(timeout=HANG_S)
    assert "sound did not stop within" in stderr
    assert all(gone(pid) for pid in services.values())


def test_the_run_folder_is_private(running, environment):
    (folder,) = Path(environment["XDG_RUNTIME_DIR"]).iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "reflections",
        *(f"{name}.json" for name in SERVICES),
    }


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
        (["sound", "--pcm", "nonsense"], 1, "nonsense: cannot be opened"),
        (["screen"], 1, "no display found"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(mirror, tmp_path, arguments, code, message):
    result = mirror(*arguments)
    assert result.returncode == code, result.stderr
    assert message in one_line(result)
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
    assert one_line(result).startswith(f"error: reflect stopped: {path}: ")
    assert result.stdout == ""


def test_a_missing_or_damaged_bundle_is_named(mirror, tmp_path, tiny_bundle_path):
    result = mirror("--headless", bundle=tmp_path / "none")
    assert result.returncode == 1
    assert f"{tmp_path / 'none'}: no such bundle" in one_line(result)

    damaged = shutil.copytree(tiny_bundle_path, tmp_path / "damaged")
    graph = damaged / "graphs" / "image_encoder.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    result = mirror("--headless", bundle=damaged)
    assert result.returncode == 1
    assert f"{graph}: damaged" in one_line(result)


def test_where_there_is_nothing_a_film_of_the_drawn_visitor_is_made():
    made = film_instead(Options())
    assert (made.camera, made.record, made.seconds) == ("demo", FALLBACK_FILM, FALLBACK_S)
    assert film_instead(Options(seconds=3)).seconds == 3
    with pytest.raises(UsageError, match="neither a display"):
        film_instead(Options(camera="/dev/video0"))


BUNDLE, RUN = Path("/bundle"), Path("/run/x")
COMMON = ["--bundle", "/bundle", "--run-dir", "/run/x"]


def test_everything_there():
    outputs = Outputs("plughw:CARD=PCH", screen=True)
    assert plan(Options(window=True), outputs, DEMO, BUNDLE, RUN) == {
        "reflect": [*COMMON, "--camera", "demo"],
        "sound": [*COMMON, "--pcm", "plughw:CARD=PCH"],
        "screen": [*COMMON, "--window"],
    }
    assert missing(outputs, Options()) == []


def test_without_a_sound_card_the_sound_is_made_and_not_heard():
    outputs = Outputs(None, screen=True)
    services = plan(Options(), outputs, DEMO, BUNDLE, RUN)
    assert services["sound"] == [*COMMON, "--headless"]
    assert services["screen"] == COMMON
    (line,) = missing(outputs, Options())
    assert line.startswith("sound: no sound card")


def test_without_a_display_there_is_sound_alone():
    outputs = Outputs("default", screen=False, why_no_screen="no display found")
    assert set(plan(Options(), outputs, DEMO, BUNDLE, RUN)) == {"reflect", "sound"}
    assert missing(outputs, Options()) == ["screen: no display found; sound only"]


def test_headless_nothing_is_missed():
    outputs = Outputs(None, screen=False)
    services = plan(Options(headless=True), outputs, DEMO, BUNDLE, RUN)
    assert services["screen"] == services["sound"] == [*COMMON, "--headless"]
    assert missing(outputs, Options(headless=True)) == []


def test_what_was_not_measured_is_said_as_such():
    status = dict.fromkeys(
        ("reflections_per_s", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms")
    ) | {"reflections": 0, "dropped": 0}
    assert "0 reflections, - a second" in summarise({"reflect": status})
    assert summarise({}) == "nothing was mirrored"


def test_run_folders_are_private(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with private_run_dir() as folder:
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
    shared = shared_run_dir(tmp_path / "mine")
    assert stat.S_IMODE(shared.stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--run-dir"):
        shared_run_dir(tmp_path / "file")
