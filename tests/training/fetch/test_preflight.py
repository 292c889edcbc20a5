"""What would get in the way is said before, with what to do about it."""

from __future__ import annotations

import datetime
import shutil

import pytest

from ytm_training.collect.showing import spoken
from ytm_training.fetch import preflight
from ytm_training.fetch.connection import YTDLP_VERSION

MADE = datetime.date(*map(int, YTDLP_VERSION.split(".")[:3]))


def found(tmp_path, days: int = 0, youtube: bool = True, seconds: int = 1) -> list[str]:
    today = MADE + datetime.timedelta(days=days)
    out = tmp_path / "not" / "there"
    return list(preflight.warnings(out, seconds, youtube=youtube, today=today))


def test_a_machine_that_has_everything_is_told_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert found(tmp_path) == []


def test_youtube_needs_a_javascript_runtime_and_others_do_not(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (warning,) = found(tmp_path)
    assert "install deno" in warning
    assert found(tmp_path, youtube=False) == []


def test_an_old_yt_dlp_is_told_with_the_way_to_a_newer_one(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    (warning,) = found(tmp_path, days=100)
    assert "100 days old" in warning
    assert "pip install --upgrade 'yt-dlp[default]'" in warning


def test_a_disk_too_small_is_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    (warning,) = found(tmp_path, seconds=10**9)
    assert "make room" in warning


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min"), (3_725, "1 h 2 min"), (200_000, "2 d 7 h"), (86_400, "1 d")],
)
def test_times_are_spoken(seconds, text) -> None:
    assert spoken(seconds) == text
