from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import MakeBundle
from waiting import HANG_S, wait_for
from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_bundle.files import replacing_folder
from ytm_device import wall_clock
from ytm_device.bus.channel import Publisher
from ytm_device.frame import Reflection
from ytm_device.run_dirs import endpoint
from ytm_device.settings.source import SettingsSource
from ytm_device.sound import service
from ytm_device.sound.player import player_for
from ytm_device.sound.sink import ClockedNullSink
from ytm_device.status import read_status

PLAY_A_WHILE = """
import sys, threading, time
from pathlib import Path
from ytm_device.settings.source import SettingsSource
from ytm_device.sound import service
from ytm_device.status import read_status

def stop_when_heard():
    # A bundle is judged first, for as long as that takes.
    while read_status(run_dir, "sound").get("samples", 0) < 48000:
        time.sleep(0.1)
    stop.set()

stop = threading.Event()
run_dir = Path(sys.argv[2])
threading.Thread(target=stop_when_heard, daemon=True).start()
flags = {"sound.pcm": "recorded", "bundle": sys.argv[1]}
service.run(SettingsSource(run_dir / "none.toml", run_dir, flags), run_dir, stop)
"""


def _reflection(bundle: Bundle, sequence: int, bundle_id: str) -> Reflection:
    image = bundle.manifest.image
    return Reflection(
        image=np.zeros((image.height, image.width, 3), np.uint8),
        mel=np.full(bundle.manifest.sound.mel_shape, 0.6, np.float32),
        presence=True,
        presence_since_ns=0,
        taken_ns=time.monotonic_ns(),
        sequence=sequence,
        bundle_id=bundle_id,
    )


def _source(bundle: Path, folder: Path, **sound: Any) -> SettingsSource:
    """Settings of the sound as they are typed; `folder` may hold a file of others."""
    flags = {f"sound.{name}": value for name, value in sound.items()}
    return SettingsSource(folder / "none.toml", folder, {"bundle": str(bundle), **flags})


@contextmanager
def _running(bundle_path: Path, run_dir: Path, **sound: Any) -> Iterator[None]:
    """The service in a thread, which is stopped and joined at the end."""
    stop = threading.Event()
    thread = threading.Thread(
        target=service.run,
        args=(_source(bundle_path, run_dir, **sound), run_dir, stop),
        kwargs={"headless": True},
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(HANG_S)
        assert not thread.is_alive()


def _status_when(run_dir: Path, condition: Callable[[dict], Any], meanwhile=bool) -> dict:
    def find() -> dict | None:
        status = read_status(run_dir, "sound")
        return status if status and condition(status) else None

    return wait_for(find, meanwhile)


def test_turns_leave_a_slow_processor_to_the_audio_thread() -> None:
    for took_s in (0.0, 0.0003, 0.0025):
        assert service.wait_after(took_s) == service.WAIT_S
    assert service.wait_after(0.01) == pytest.approx(0.04)
    assert service.wait_after(5.0) == service.LONGEST_WAIT_S


def test_the_newest_reflection_is_played_and_the_replay_otherwise(
    tiny_bundle: Bundle, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    with Publisher(endpoint(tmp_path)) as publisher, _running(tiny_bundle_path, tmp_path):
        sequence = iter(range(10**6))

        def publish(bundle_id: str = tiny_bundle.id) -> None:
            publisher.publish(_reflection(tiny_bundle, next(sequence), bundle_id))

        replay = _status_when(tmp_path, lambda status: status["samples"] > 0)
        assert (replay["mode"], replay["reflection_age_ms"]) == ("replay", None)
        assert replay["sink"] == "none (clock)"
        assert replay["rate_hz"] == tiny_bundle.manifest.sound.playback_rate_hz
        foreign = _status_when(
            tmp_path, lambda status: status["foreign_reflections"] > 0, lambda: publish("0" * 64)
        )
        assert foreign["mode"] == "replay"
        mirror = _status_when(tmp_path, lambda status: status["mode"] == "mirror", publish)
        assert mirror["samples"] > replay["samples"]
        assert mirror["reflection_age_ms"] >= 0
        heard = _status_when(tmp_path, lambda status: status["frame_to_sound_p50_ms"], publish)
        assert 0 < heard["frame_to_sound_p50_ms"] <= heard["frame_to_sound_p95_ms"]
        _status_when(tmp_path, lambda status: status["mode"] == "replay")


def test_what_the_card_hears_begins_and_ends_in_silence(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    recorded = tmp_path / "recorded.raw"
    configuration = tmp_path / "asound.conf"
    configuration.write_text(
        "pcm.nothing { type null }\n"
        f'pcm.recorded {{ type file slave.pcm nothing file "{recorded}" format raw }}\n'
    )
    subprocess.run(
        [sys.executable, "-c", PLAY_A_WHILE, tiny_bundle_path, tmp_path],
        env=os.environ | {"ALSA_CONFIG_PATH": str(configuration)},
        check=True,
        timeout=HANG_S,
    )
    status = read_status(tmp_path, "sound")
    assert (status["sink"], status["channels"]) == ("recorded", 2)
    heard = np.fromfile(recorded, "<i2").reshape(-1, 2)[:, 0]
    assert heard.size == status["samples"]
    assert np.abs(heard).max() > 100
    assert np.abs(heard[:8]).max() <= 2
    assert np.abs(heard[-2:]).max() <= 2


def test_a_pcm_that_does_not_exist_is_named_and_the_sound_keeps_time(
    tiny_bundle_path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with _running(tiny_bundle_path, tmp_path, pcm="plughw:CARD=nobody"):
        status = _status_when(tmp_path, lambda status: status["samples"] > 0)
    assert status["sink"] == "none (clock)"
    assert "plughw:CARD=nobody: cannot be opened" in status["problem"]
    assert capfd.readouterr().err.count("plughw:CARD=nobody: cannot be opened") == 1


def test_an_audio_thread_that_fails_ends_the_service(
    tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_sink: ClockedNullSink, _samples: np.ndarray) -> None:
        raise ArithmeticError("planted")

    monkeypatch.setattr(ClockedNullSink, "write", fail)
    with pytest.raises(DeviceError, match=r"the audio thread failed .*planted"):
        service.run(_source(tiny_bundle_path, tmp_path), tmp_path, threading.Event(), headless=True)


def test_a_sudden_change_and_the_hour_reach_the_player(
    tiny_bundle: Bundle,
    tiny_bundle_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wall_clock, "clock_is_set", lambda: True)
    monkeypatch.setattr(wall_clock, "local_time", lambda: dt.time(23, 0))
    night = {"volume_db": -3.0, "night_volume_db": -20.0, "night": "22:00-08:00"}
    loudness_db = player_for(tiny_bundle).gain.target_db
    with (
        Publisher(endpoint(tmp_path)) as publisher,
        _running(tiny_bundle_path, tmp_path, **night),
    ):
        sequence = iter(range(10**6))

        def publish() -> None:
            at = next(sequence)
            reflection = _reflection(tiny_bundle, at, tiny_bundle.id)
            publisher.publish(replace(reflection, moved_ns=1 + at // 5))

        status = _status_when(tmp_path, lambda status: status["strikes"] >= 2, publish)
    assert status["gain_db"] == pytest.approx(loudness_db - 23, abs=0.06)


def test_the_least_volume_is_silence_however_soft_the_bundle_is(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    with _running(tiny_bundle_path, tmp_path, volume_db=-60.0, loudness_lufs=0.0):
        status = _status_when(tmp_path, lambda status: status["samples"] > 0)
    assert status["gain_db"] is None


def _ask(run_dir: Path, verb: str) -> dict:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(HANG_S)
        asking.connect(str(run_dir / "sound.sock"))
        asking.sendall(json.dumps({"verb": verb}).encode() + b"\n")
        return json.loads(asking.makefile().readline())


def test_who_is_told_to_be_silent_is_and_sounds_again(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    with _running(tiny_bundle_path, tmp_path):
        _status_when(tmp_path, lambda status: status["gain_db"] is not None)
        assert _ask(tmp_path, "mute")["ok"]
        silent = _status_when(tmp_path, lambda status: status["gain_db"] is None)
        assert silent["muted"]
        assert _ask(tmp_path, "unmute")["ok"]
        _status_when(tmp_path, lambda status: status["gain_db"] is not None)


def test_a_volume_that_is_set_is_taken_up_without_beginning_anew(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    with _running(tiny_bundle_path, tmp_path):
        before = _status_when(tmp_path, lambda status: status["gain_db"] is not None)
        (tmp_path / "mirror.toml").write_text("[sound]\nvolume_db = -6.0\n")
        assert _ask(tmp_path, "reload") == {"ok": True, "settings_problem": None}
        softer = before["gain_db"] - 6
        after = _status_when(tmp_path, lambda status: status["gain_db"] == pytest.approx(softer))
        assert after["samples"] > before["samples"]
        (tmp_path / "mirror.toml").write_text("[sound]\nvolume_db = 99\n")
        assert "sound.volume_db" in _ask(tmp_path, "reload")["settings_problem"]
        _status_when(tmp_path, lambda status: status["settings_problem"])


def test_another_bundle_is_played_from_the_next_still_on(
    tiny_bundle_path: Path, tmp_path: Path, make_bundle: MakeBundle
) -> None:
    installed = tmp_path / "bundle"
    shutil.copytree(tiny_bundle_path, installed)
    with _running(installed, tmp_path):
        before = _status_when(tmp_path, lambda status: status["samples"] > 0)
        other = make_bundle(tmp_path / "other", seed=5)
        with replacing_folder(installed) as folder:
            shutil.copytree(other, folder, dirs_exist_ok=True)
        after = _status_when(tmp_path, lambda status: status["bundle"] != before["bundle"])
        assert after["bundle_problem"] is None
        assert after["samples"] > 0
