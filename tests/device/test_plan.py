"""What is started, given what this machine has, where it meets, and how it is summed up."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ytm_bundle.errors import UsageError
from ytm_device.mirror import FALLBACK_FILM, film_instead
from ytm_device.options import SERVICES, Options
from ytm_device.recording.render import DRAWN_S
from ytm_device.run_dirs import private_run_dir, shared_run_dir
from ytm_device.settings.model import CameraSettings, MirrorSettings
from ytm_device.settings.source import SettingsSource, Value
from ytm_device.together.plan import Outputs, missing, plan
from ytm_device.together.summary import summarise

RUN = Path("/run/x")
COMMON = ["--run-dir", "/run/x"]


def _options(headless: bool = False, **flags: Value) -> Options:
    typed = {key.replace("__", "."): value for key, value in flags.items()}
    return Options(headless=headless, source=SettingsSource(flags=typed))


def test_what_was_not_typed_each_service_finds_for_itself():
    outputs = Outputs("plughw:CARD=PCH", screen=True)
    assert plan(_options(), outputs, RUN) == dict.fromkeys(SERVICES, COMMON)
    assert missing(outputs, _options()) == []


def test_what_was_typed_is_passed_on_to_whom_it_concerns():
    options = _options(
        bundle="b.ytm",
        camera__device="demo",
        sound__pcm="card",
        sound__volume_db=-3.0,
        sound__night="22:00-08:00",
        sound__strike=False,
        sound__periods=6,
        screen__window=True,
        screen__rotation=90,
    )
    common = [*COMMON, "--bundle=b.ytm"]
    assert plan(options, Outputs("card", screen=True), RUN) == {
        "reflect": [*common, "--camera=demo"],
        "sound": [
            *(*common, "--pcm=card", "--volume-db=-3.0", "--night=22:00-08:00"),
            *("--no-strike", "--periods=6"),
        ],
        "screen": [*common, "--window", "--rotation=90"],
    }


def test_all_read_the_same_files(tmp_path):
    base = tmp_path / "mirror.toml"
    base.touch()
    options = Options(source=SettingsSource(base, tmp_path))
    where = [*COMMON, f"--settings={base}", f"--data={tmp_path}"]
    assert plan(options, Outputs(None, screen=True), RUN) == dict.fromkeys(SERVICES, where)
    with pytest.raises(UsageError, match=f"^--settings {tmp_path}/none: no such file$"):
        Options(source=SettingsSource(tmp_path / "none"))


def test_without_a_sound_card_the_sound_is_made_and_not_heard():
    outputs = Outputs(None, screen=True)
    assert plan(_options(), outputs, RUN)["sound"] == COMMON
    (line,) = missing(outputs, _options())
    assert line.startswith("sound: no sound card")


def test_without_a_display_there_is_sound_alone():
    outputs = Outputs("default", screen=False, why_no_screen="no display found")
    assert set(plan(_options(), outputs, RUN)) == {"reflect", "sound"}
    assert missing(outputs, _options()) == ["screen: no display found; sound only"]


def test_headless_nothing_is_missed():
    outputs = Outputs(None, screen=False)
    services = plan(_options(headless=True), outputs, RUN)
    assert services["screen"] == services["sound"] == [*COMMON, "--headless"]
    assert missing(outputs, _options(headless=True)) == []
    named = plan(_options(headless=True, sound__pcm="card"), Outputs("card", screen=False), RUN)
    assert named["sound"] == [*COMMON, "--pcm=card"]


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
    made = film_instead(Options(), MirrorSettings())
    assert (made.source.flags, made.record) == ({"camera.device": "demo"}, FALLBACK_FILM)
    assert made.seconds == DRAWN_S
    assert film_instead(Options(seconds=3), MirrorSettings()).seconds == 3
    typed = _options(screen__window=True, sound__volume_db=-6)
    assert film_instead(typed, typed.source.load()) == made
    with pytest.raises(UsageError, match="neither a display"):
        film_instead(Options(), MirrorSettings(camera=CameraSettings(device="/dev/video0")))
