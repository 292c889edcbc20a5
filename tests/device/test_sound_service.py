from __future__ import annotations

import datetime as dt
import os
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

from waiting import HANG_S, wait_for
from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_device import wall_clock
from ytm_device.bus.channel import Publisher
from ytm_device.frame import Reflection
from ytm_device.sound import service
from ytm_device.sound.player import player_for
from ytm_device.sound.settings import SoundSettings
from ytm_device.sound.sink import ClockedNullSink
from ytm_device.sound.volume import Volume
from ytm_device.status import read_status
from ytm_device.wall_clock import Hours

PLAY_A_WHILE = """
import sys, threading
from pathlib import Path
from ytm_bundle.bundle import open_bundle
from ytm_device.sound import service
stop = threading.Event()
threading.Timer(0.5, stop.set).start()
with open_bundle(Path(sys.argv[1])) as bundle:
    service.run(bundle, sys.argv[2], Path(sys.argv[3]), "recorded", stop)
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


@contextmanager
def _running(
    bundle: Bundle,
    endpoint: str,
    run_dir: Path,
    pcm: str | None = None,
    settings: SoundSettings | None = None,
) -> Iterator[None]:
    """The service in a thread, which is stopped and joined at the end."""
    stop = threading.Event()
    thread = threading.Thread(
        target=service.run, args=(bundle, endpoint, run_dir, pcm, stop, settings)
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


def test_the_newest_reflection_is_played_and_the_replay_otherwise(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    endpoint = f"ipc://{tmp_path}/reflections"
    with Publisher(endpoint) as publisher, _running(tiny_bundle, endpoint, tmp_path):
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
    endpoint = f"ipc://{tmp_path}/reflections"
    subprocess.run(
        [sys.executable, "-c", PLAY_A_WHILE, tiny_bundle_path, endpoint, tmp_path],
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
    tiny_bundle: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    endpoint = f"ipc://{tmp_path}/reflections"
    with _running(tiny_bundle, endpoint, tmp_path, "plughw:CARD=nobody"):
        status = _status_when(tmp_path, lambda status: status["samples"] > 0)
    assert status["sink"] == "none (clock)"
    assert "plughw:CARD=nobody: cannot be opened" in status["problem"]
    assert capfd.readouterr().err.count("plughw:CARD=nobody: cannot be opened") == 1


def test_an_audio_thread_that_fails_ends_the_service(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_sink: ClockedNullSink, _samples: np.ndarray) -> None:
        raise ArithmeticError("planted")

    monkeypatch.setattr(ClockedNullSink, "write", fail)
    with pytest.raises(DeviceError, match=r"the audio thread failed .*planted"):
        service.run(tiny_bundle, f"ipc://{tmp_path}/reflections", tmp_path, None, threading.Event())


def test_a_sudden_change_and_the_hour_reach_the_player(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wall_clock, "clock_is_set", lambda: True)
    monkeypatch.setattr(wall_clock, "local_time", lambda: dt.time(23, 0))
    night = Volume(master_db=-3, night_db=-20, night=Hours.parse("22:00-08:00"))
    loudness_db = player_for(tiny_bundle).gain.target_db
    endpoint = f"ipc://{tmp_path}/reflections"
    settings = SoundSettings(night)
    with (
        Publisher(endpoint) as publisher,
        _running(tiny_bundle, endpoint, tmp_path, None, settings),
    ):
        sequence = iter(range(10**6))

        def publish() -> None:
            at = next(sequence)
            reflection = _reflection(tiny_bundle, at, tiny_bundle.id)
            publisher.publish(replace(reflection, moved_ns=1 + at // 5))

        status = _status_when(tmp_path, lambda status: status["strikes"] >= 2, publish)
    assert status["gain_db"] == pytest.approx(loudness_db - 23, abs=0.06)


def test_the_least_volume_is_silence_however_soft_the_bundle_is(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    settings = SoundSettings(Volume(master_db=-60), loudness_lufs=0)
    endpoint = f"ipc://{tmp_path}/reflections"
    with _running(tiny_bundle, endpoint, tmp_path, None, settings):
        status = _status_when(tmp_path, lambda status: status["samples"] > 0)
    assert status["gain_db"] is None
