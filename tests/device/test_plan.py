"""What is started, given what this machine has, where it meets, and how it is summed up."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ytm_bundle.errors import UsageError
from ytm_device.camera.choice import Camera
from ytm_device.mirror import FALLBACK_FILM, film_instead
from ytm_device.options import Options
from ytm_device.recording.render import DRAWN_S
from ytm_device.run_dirs import private_run_dir, shared_run_dir
from ytm_device.sound.settings import SoundSettings
from ytm_device.sound.volume import Volume
from ytm_device.together.plan import Outputs, missing, plan
from ytm_device.together.summary import summarise
from ytm_device.wall_clock import Hours

DEMO = Camera("demo", "demo", "asked for")
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
    assert services["sound"] == COMMON
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
    assert summarise({}) == "no service has said how it went"


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


def test_where_there_is_nothing_a_film_of_the_drawn_visitor_is_made():
    made = film_instead(Options())
    assert (made.camera, made.record, made.seconds) == ("demo", FALLBACK_FILM, DRAWN_S)
    assert film_instead(Options(seconds=3)).seconds == 3
    assert film_instead(Options(window=True, sound=SoundSettings(Volume(-6)))) == made
    with pytest.raises(UsageError, match="neither a display"):
        film_instead(Options(camera="/dev/video0"))


def test_settings_of_the_sound_are_passed_on() -> None:
    settings = SoundSettings(
        Volume(-3, -20, Hours.parse("22:00-08:00")), strike=False, periods=6, ceiling_dbfs=-3
    )
    services = plan(Options(sound=settings), Outputs("card", screen=True), DEMO, BUNDLE, RUN)
    assert services["sound"] == [
        *COMMON,
        *("--pcm", "card", "--volume-db=-3", "--night=22:00-08:00", "--night-volume-db=-20"),
        *("--ceiling-dbfs=-3", "--periods=6", "--no-strike"),
    ]
    assert SoundSettings().flags() == []
