"""`ytm-benchmark` on a display and a sound card: flashes are found, and nobody is fought.

libasound reads its configuration once in a process, so the command runs in one of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from small_videos import moving
from sound_latency import heard_by_card, sounding, with_card
from waiting import HANG_S, wait_for
from ytm_bundle.bundle import Bundle
from ytm_device.benchmark import flash
from ytm_device.benchmark.flash_ends import Task
from ytm_device.benchmark.minds import open_mind
from ytm_device.benchmark.stages import STAGE_NAMES
from ytm_device.benchmark.writing import LOUD, SILENCE_S
from ytm_device.engines.search import Wish
from ytm_device.settings.source import SettingsSource
from ytm_device.sound.sink import PERIOD

COMMAND = [sys.executable, "-c", "from ytm_device.benchmark.command import main; main()"]
RATE_HZ = 48000
SECONDS = float(os.environ.get("YTM_FLASH_S", "3"))
"""Of flashing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the card, empty."""
    (tmp_path / "card").mkdir()
    return tmp_path / "card"


@pytest.fixture
def outside(
    folder: Path, card_library: Path, environment: dict[str, str], x_server: Any
) -> dict[str, str]:
    """The environment with a paced `card` in `folder`, and a display."""
    shown_on = {"DISPLAY": x_server.display, "SDL_FRAMEBUFFER_ACCELERATION": "0"}
    return with_card(folder, card_library, environment) | shown_on


@pytest.fixture
def generous(tmp_path: Path) -> Path:
    """Budgets that no machine breaks."""
    path = tmp_path / "budgets.toml"
    lines = [f'"{name}" = {{ p50_ms = 1e6 }}' for name in STAGE_NAMES]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _run(
    environment: Mapping[str, str], bundle: Path, *arguments: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments), "--bundle", str(bundle)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )


def test_every_stage_is_measured_on_what_the_machine_has(
    outside: dict[str, str], generous: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    film = moving(tmp_path / "film.mp4", 60)
    flags = ["--pcm", "card", "--camera", film, "--budgets", generous, "--data", tmp_path]
    done = _run(outside, tiny_bundle_path, "all", "--seconds", "0.5", "--json", *flags)
    found = json.loads(done.stdout)
    # On a machine that is too busy a flash may not be found in time.
    assert done.returncode == bool(found["failed"]), done.stderr
    assert set(found["failed"]) <= {"frame to photon", "frame to sample"}
    names = [name for name in STAGE_NAMES if name not in found["failed"]]
    assert list(found["stages"]) == names
    assert found["devices"] == {
        "camera": f"{film} (asked for)",
        "screen": "x11, 360x640",
        "card": "card",
    }
    counts = found["counts"]
    assert counts["periods"] == found["stages"]["write"]["count"] + 20
    assert counts["frames"] == found["stages"]["camera read"]["count"]
    assert counts["flashes"] >= flash.FLASHES
    assert {"frames dropped", "underruns", "flash underruns"} <= set(counts)
    assert not [name for name in found["left_out"] if name in STAGE_NAMES]


def test_a_flash_is_heard_when_the_card_says_and_seen_as_often_as_it_was_shown(
    outside: dict[str, str],
    folder: Path,
    tiny_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ALSA_CONFIG_PATH", "DISPLAY", "SDL_FRAMEBUFFER_ACCELERATION"):
        monkeypatch.setenv(name, outside[name])
    # However busy the machine is: what is asked is whether the two agree.
    monkeypatch.setattr(flash, "SEARCH_S", 1.2)
    settings = SettingsSource(flags={"sound.pcm": "card"}).load()
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    mind, _ = open_mind(tiny_bundle, Wish(), tmp_path, run_dir)
    with closing(mind):
        task = Task(tiny_bundle.folder, run_dir, settings)
        found = flash.measure(tiny_bundle, mind, task, SECONDS)
    assert len(found.taken_ns) >= flash.FLASHES
    assert found.taken_ns == sorted(found.taken_ns)
    onsets_ns = _onsets_ns(folder)
    off_ns = [
        min(abs(at_ns - onset_ns) for onset_ns in onsets_ns)
        for at_ns in found.heard_ns
        if at_ns is not None
    ]
    seen = [at_ns for at_ns in found.seen_ns if at_ns is not None]
    assert len(seen) >= 1
    assert len(off_ns) >= 1
    # What the command says of the card's buffer is what the card noted of itself.
    assert median(off_ns) < PERIOD / RATE_HZ * 1e9


def _onsets_ns(folder: Path) -> list[int]:
    """When sounds began after a silence, as the card noted."""
    heard = heard_by_card(folder)
    loud = np.flatnonzero(np.abs(heard.samples.astype(int)) > LOUD * 32767)
    first = np.diff(loud, prepend=-RATE_HZ) >= SILENCE_S * RATE_HZ
    return [heard.at_ns(int(sample), RATE_HZ) for sample in loud[first]]


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Somebody else plays on the card that writes to `path`."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def test_a_card_that_is_held_is_not_waited_for(
    outside: dict[str, str], folder: Path, tiny_bundle_path: Path
) -> None:
    with _held(folder / "card.raw"):
        done = _run(outside, tiny_bundle_path, "sound", "--seconds", "0.1", "--pcm", "card")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "error: card: cannot be opened" in done.stderr
    assert "`systemctl stop ytm.target`" in done.stderr
    assert "--no-devices" in done.stderr


@pytest.mark.parametrize(
    ("part", "flags", "display", "words"),
    [
        ("reflect", ["--camera", "/dev/video987"], ":0", "/dev/video987: is no camera"),
        ("screen", [], ":987", "DISPLAY=:987 cannot be reached"),
    ],
)
def test_a_device_that_cannot_be_opened_is_named_with_what_to_stop(
    part: str,
    flags: list[str],
    display: str,
    words: str,
    environment: dict[str, str],
    tiny_bundle_path: Path,
) -> None:
    done = _run(environment | {"DISPLAY": display}, tiny_bundle_path, part, *flags)
    assert done.returncode == 1
    assert done.stdout == ""
    assert words in done.stderr
    assert "`systemctl stop ytm.target`" in done.stderr


def test_a_mirror_that_runs_is_named_and_left_alone(
    outside: dict[str, str], folder: Path, tiny_bundle_path: Path
) -> None:
    with sounding(tiny_bundle_path, outside, folder):
        flags = ["--seconds", "0.1", "--run-dir", folder, "--pcm", "card"]
        done = _run(outside, tiny_bundle_path, "screen", *flags)
    assert done.returncode == 1
    assert "the installation runs (ytm-sound" in done.stderr


def test_without_a_card_the_clock_paces_and_that_is_said(
    environment: dict[str, str], generous: Path, tiny_bundle_path: Path
) -> None:
    flags = ["--seconds", "0.3", "--budgets", generous, "--json"]
    done = _run(environment, tiny_bundle_path, "sound", *flags)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["devices"] == {"card": "none (clock)"}
    assert found["stages"]["write"]["count"] >= 1


def test_interrupted_it_reports_nothing_and_releases_everything(
    outside: dict[str, str], folder: Path, tiny_bundle_path: Path
) -> None:
    flags = ["all", "--seconds", "0.4", "--pcm", "card", "--json"]
    process = subprocess.Popen(
        [*COMMAND, *flags, "--bundle", str(tiny_bundle_path)],
        env=outside,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As at a terminal, Ctrl-C reaches the command and the processes that it has started.
        start_new_session=True,
    )
    try:
        wait_for(lambda: process.poll() is not None or len(_children(process.pid)) >= 3)
        assert process.poll() is None, process.communicate()
        started = _children(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=HANG_S)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out == ""
    assert "interrupted: nothing is reported; camera, card and display are released" in err
    assert "Traceback" not in err
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
    with _held(folder / "card.raw"):
        pass


def _children(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
