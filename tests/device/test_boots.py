"""Starts that come quickly one after the other are counted, and the fourth shows replay only."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ytm_device import boots
from ytm_device.boots import MOST, begun, main, settled


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    (tmp_path / "data").mkdir()
    return tmp_path / "data/boots", tmp_path / "replay-only", tmp_path / "units/none.conf"


def test_the_fourth_quick_start_shows_replay_only(places: tuple[Path, Path, Path]) -> None:
    assert [begun(*places) for _ in range(MOST + 2)] == [False] * MOST + [True, True]
    count, replay_only, no_restart = places
    assert "3 starts came quickly" in replay_only.read_text()
    assert no_restart.read_text() == "[Unit]\nStartLimitAction=none\n"
    assert count.read_text() == f"{MOST + 1}\n"


def test_a_start_that_lasted_begins_the_count_anew(places: tuple[Path, Path, Path]) -> None:
    for _ in range(5):
        for _ in range(MOST):
            assert not begun(*places)
        settled(places[0])
    assert not places[1].exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"-7", b"many", b"1\n2\n", b"9" * 4000])
def test_a_count_that_makes_no_sense_is_none_or_the_most(
    places: tuple[Path, Path, Path], content: bytes
) -> None:
    places[0].write_bytes(content)
    begun(*places)
    assert 1 <= int(places[0].read_text()) <= MOST + 1


def test_where_nothing_lasts_nothing_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(MOST + 2):
        assert not begun(tmp_path / "missing/boots", tmp_path / "flag", tmp_path / "none.conf")
    assert "starts are not counted" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_called_wrongly_it_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["boots", "ended"])
    with pytest.raises(SystemExit, match="usage"):
        main()


def test_it_counts_where_things_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(boots, "DATA", tmp_path)
    monkeypatch.setattr(sys, "argv", ["boots", "settled"])
    main()
    assert (tmp_path / "boots").read_text() == "0\n"
