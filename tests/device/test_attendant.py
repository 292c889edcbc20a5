"""What stands beside every service: it obeys, keeps hours, and says how it is."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from waiting import HANG_S
from ytm_device import wall_clock
from ytm_device.attendant import WARM_UP_S, Attendant
from ytm_device.recent import NOTE_S, RECENT_S, RecentCounts
from ytm_device.settings.source import SettingsSource
from ytm_device.status import read_status

S = 1_000_000_000
START_NS = 5000 * S


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where systemd would listen."""
    path = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.setenv("WATCHDOG_USEC", "8000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.setblocking(False)
        yield listening


def _heard(listener: socket.socket) -> list[str]:
    said = []
    while True:
        try:
            said.append(listener.recv(1000).decode())
        except BlockingIOError:
            return said


def _attendant(folder: Path) -> Attendant:
    source = SettingsSource(folder / "none.toml", folder)
    return Attendant("sound", folder, source, START_NS)


def test_systemd_hears_of_finished_work_and_of_nothing_else(
    tmp_path: Path, listener: socket.socket
) -> None:
    with _attendant(tmp_path) as attendant:
        for tenth in range(50):
            attendant.turn(START_NS + tenth * S // 10)
        assert _heard(listener) == []
        attendant.finished(START_NS + 5 * S)
        attendant.turn(START_NS + 5 * S)
        assert _heard(listener) == ["READY=1", "WATCHDOG=1"]
        for tenth in range(50):
            attendant.turn(START_NS + 6 * S + tenth * S // 10)
        assert _heard(listener) == []
        for tenth in range(50):
            attendant.finished(START_NS + 12 * S + tenth * S // 10)
            attendant.turn(START_NS + 12 * S + tenth * S // 10)
        assert _heard(listener) == ["WATCHDOG=1"] * 10
    assert _heard(listener) == ["STOPPING=1"]


def test_a_report_says_what_all_services_say(tmp_path: Path, listener: socket.socket) -> None:
    with _attendant(tmp_path) as attendant:
        attendant.finished(START_NS + S)
        attendant.report(START_NS + 2 * S, {"mode": "mirror", "problem": "no card", "samples": 7})
        status = read_status(tmp_path, "sound")
        assert (status["started_ns"], status["progress_ns"]) == (START_NS, START_NS + S)
        assert status["written_ns"] == START_NS + 2 * S
        assert status["watchdog_s"] == 8
        assert (status["mode"], status["problem"], status["samples"]) == ("mirror", "no card", 7)
        assert status["settings_problem"] is None
        assert not status["clock_is_needed"]
        assert status["memory_kib"] > 1000
        assert status["memory_kib_at_start"] is None
        assert not attendant.due(START_NS + 2 * S)
        assert "STATUS=mirror: no card" in _heard(listener)
        later_ns = START_NS + round((WARM_UP_S + 1) * S)
        attendant.report(later_ns, {"mode": "replay"})
        warm = read_status(tmp_path, "sound")["memory_kib_at_start"]
        assert warm > 1000
        attendant.report(later_ns + 3600 * S, {"mode": "replay"})
        assert read_status(tmp_path, "sound")["memory_kib_at_start"] == warm


def test_picture_and_sound_fade_when_it_closes_and_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mirror.toml").write_text('[hours]\nopen = "10:00-18:00"\nfade_s = 4.0\n')
    is_open = [True]
    monkeypatch.setattr(wall_clock, "is_open", lambda _hours: is_open[-1])
    with _attendant(tmp_path) as attendant:
        assert attendant.openness(START_NS) == 1
        is_open.append(False)
        closed_ns = START_NS + 10 * S
        attendant.turn(closed_ns)
        assert [attendant.openness(closed_ns + s * S) for s in (0, 1, 2, 4, 99)] == [
            1,
            0.75,
            0.5,
            0,
            0,
        ]
        attendant.report(closed_ns + 5 * S, {"mode": "mirror"})
        status = read_status(tmp_path, "sound")
        assert (status["mode"], status["clock_is_needed"]) == ("idle", True)
        is_open.append(True)
        attendant.turn(closed_ns + 20 * S)
        assert attendant.openness(closed_ns + 21 * S) == 0.25


def _ask(attendant: Attendant, folder: Path, verb: str) -> dict:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(HANG_S)
        asking.connect(str(folder / "sound.sock"))
        asking.sendall(json.dumps({"verb": verb}).encode() + b"\n")
        attendant.turn(START_NS + S)
        attendant.turn(START_NS + S)
        return json.loads(asking.makefile().readline())


def test_it_does_what_it_is_told(tmp_path: Path) -> None:
    with _attendant(tmp_path) as attendant:
        assert _ask(attendant, tmp_path, "mute") == {"ok": True, "muted": True}
        assert attendant.muted
        assert _ask(attendant, tmp_path, "replay") == {"ok": True, "replaying": True}
        assert attendant.replaying
        _ask(attendant, tmp_path, "unmute")
        _ask(attendant, tmp_path, "mirror")
        assert (attendant.muted, attendant.replaying) == (False, False)
        attendant.report(START_NS + S, {"mode": "mirror", "samples": 9})
        assert _ask(attendant, tmp_path, "status")["samples"] == 9


def test_a_reload_takes_what_is_right_and_keeps_the_show_for_what_is_wrong(tmp_path: Path) -> None:
    overlay = tmp_path / "mirror.toml"
    with _attendant(tmp_path) as attendant:
        overlay.write_text("[replay]\nfade_s = 7.0\n")
        assert _ask(attendant, tmp_path, "reload") == {"ok": True, "settings_problem": None}
        assert attendant.settings.replay.fade_s == 7
        overlay.write_text("[replay]\nfade_s = -7.0\n")
        assert "replay.fade_s" in _ask(attendant, tmp_path, "reload")["settings_problem"]
        assert attendant.settings.replay.fade_s == 1.5
        attendant.report(START_NS + S, {"mode": "mirror"})
        assert "replay.fade_s" in str(read_status(tmp_path, "sound")["settings_problem"])


def test_counts_of_the_last_half_hour_are_told_beside_those_since_the_start() -> None:
    recent = RecentCounts(START_NS)
    told = [
        recent.fields(START_NS + second * S, {"underruns": 5 + second // 600})
        for second in range(0, 3 * 3600, 10)
    ]
    assert told[0] == {"recent_s": 0.0, "underruns_recent": 5}
    assert told[60]["underruns_recent"] == 6
    later = told[-1]
    assert RECENT_S <= later["recent_s"] < RECENT_S + NOTE_S
    assert later["underruns_recent"] == 3
    assert recent.fields(START_NS + 3 * 3600 * S, {"underruns": 2})["underruns_recent"] == 2


def test_what_is_not_counted_is_not_told(tmp_path: Path) -> None:
    with _attendant(tmp_path) as attendant:
        attendant.report(START_NS + S, {"mode": "replay", "underruns": 4})
        status = read_status(tmp_path, "sound")
    assert status["underruns_recent"] == 4
    assert status["recent_s"] == 1
    assert "card_losses_recent" not in status
