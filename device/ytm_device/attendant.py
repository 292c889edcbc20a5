"""What stands beside the work of every service: it obeys, keeps hours, and says how it is.

systemd hears that a service is alive only when a turn of its real work is finished.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from ytm_device import wall_clock
from ytm_device.console import say
from ytm_device.control.server import ControlServer
from ytm_device.fading import ramp
from ytm_device.owner import Owner
from ytm_device.recent import RecentCounts
from ytm_device.settings.source import SettingsSource
from ytm_device.status import StatusReporter, Value
from ytm_device.systemd import Notifier

WARM_UP_S = 120.0
"""After so long everything that a service will need is in memory."""
_TICK_NS = 500_000_000
"""How often systemd is told that a service is alive, and the hours are looked at."""
_NS_PER_S = 1_000_000_000
_STATUS = Path("/proc/self/status")
_DESCRIPTORS = Path("/proc/self/fd")
_MEMORY = "VmRSS:"


class Attendant(Owner):
    """Stands beside one service. Made, used and closed in one thread."""

    def __init__(self, service: str, run_dir: Path, source: SettingsSource, now_ns: int) -> None:
        """Read the settings and listen to `ytm-mirror ctl`.

        Args:
            service: its name.
            run_dir: folder of its status and its socket.
            source: of its settings, read again when it is told to.
            now_ns: CLOCK_MONOTONIC.
        """
        self._source, self._started_ns = source, now_ns
        self.settings, self._settings_problem = source.read()
        self._explain(None)
        self.muted = self.replaying = False
        self._progress_ns: int | None = None
        self._tick_ns = now_ns
        self._progressed = False
        self._open, self._changed_ns = wall_clock.is_open(self.settings.hours.open), 0
        self._notifier = Notifier.from_environment()
        self._reporter = StatusReporter(run_dir, service)
        self._status: dict[str, Value] = {}
        self._recent = RecentCounts(now_ns)
        self._started_kib: int | None = None
        self._started_kib_ns: int | None = None
        self._control = ControlServer(run_dir / f"{service}.sock", self._verbs())

    def close(self) -> None:
        """Say that the service stops, and listen no more."""
        self._notifier.stopping()
        self._control.close()
        self._notifier.close()

    def turn(self, now_ns: int) -> None:
        """Do what was asked, if anything was, and look at the clock. Never waits."""
        self._control.poll(now_ns)
        if now_ns >= self._tick_ns:
            self._tick_ns = now_ns + _TICK_NS
            self._keep_hours(now_ns)
            if self._progressed:
                self._progressed = False
                self._notifier.alive()

    def finished(self, now_ns: int) -> None:
        """A turn of real work is finished."""
        if self._progress_ns is None:
            self._notifier.ready()
        self._progress_ns, self._progressed = now_ns, True

    def bundle_path(self) -> Path:
        """Where the bundle is that the settings name."""
        return self._source.bundle(self.settings)

    @property
    def last_good_bundle(self) -> Path:
        """Where a copy of the last good bundle is kept."""
        return self._source.last_good_bundle

    def openness(self, now_ns: int) -> float:
        """1 in opening hours, 0 in closed ones, and between them while the show fades."""
        done = ramp(now_ns - self._changed_ns, self.settings.hours.fade_s)
        return done if self._open else 1 - done

    def due(self, now_ns: int) -> bool:
        """Whether it is time for a `report`."""
        return self._reporter.due(now_ns)

    def report(self, now_ns: int, fields: Mapping[str, Value]) -> None:
        """Say how the service is: `fields`, and what all services say."""
        self._status = {**self._common(now_ns), **fields, **self._recent.fields(now_ns, fields)}
        if self.openness(now_ns) == 0:
            self._status["mode"] = "idle"
        self._reporter.report(now_ns, self._status)
        mode, problem = self._status.get("mode"), self._status.get("problem")
        self._notifier.status(f"{mode}: {problem}" if problem else f"{mode}")

    def _common(self, now_ns: int) -> dict[str, Value]:
        memory_kib = _memory_kib()
        return {
            "pid": os.getpid(),
            "written_ns": now_ns,
            "started_ns": self._started_ns,
            "progress_ns": self._progress_ns,
            "watchdog_s": self._notifier.watchdog_s,
            "problem": None,
            "settings_problem": self._settings_problem,
            "control_problem": self._control.problem,
            "clock_is_set": wall_clock.clock_is_set(),
            "clock_is_needed": self.settings.hours.open is not None
            or self.settings.sound.night is not None,
            "presence_always": self.settings.presence.always,
            "memory_kib": memory_kib,
            "memory_kib_at_start": self._memory_at_start(now_ns, memory_kib),
            "memory_at_start_ns": self._started_kib_ns,
            "threads": threading.active_count(),
            "descriptors": sum(1 for _ in _DESCRIPTORS.iterdir()),
        }

    def _memory_at_start(self, now_ns: int, memory_kib: int | None) -> int | None:
        """What it had once everything was loaded and had been used; None until then."""
        if self._started_kib is None and now_ns - self._started_ns > WARM_UP_S * _NS_PER_S:
            self._started_kib, self._started_kib_ns = memory_kib, now_ns
        return self._started_kib

    def _keep_hours(self, now_ns: int) -> None:
        is_open = wall_clock.is_open(self.settings.hours.open)
        if is_open != self._open:
            self._open, self._changed_ns = is_open, now_ns
            say("opening hours begin" if is_open else "opening hours are over")

    def _verbs(self) -> dict[str, Callable[[], dict[str, Value]]]:
        return {
            "status": lambda: dict(self._status),
            "mute": lambda: self._set("muted", True),
            "unmute": lambda: self._set("muted", False),
            "replay": lambda: self._set("replaying", True),
            "mirror": lambda: self._set("replaying", False),
            "reload": self._reload,
        }

    def _set(self, name: str, value: bool) -> dict[str, Value]:
        setattr(self, name, value)
        return {name: value}

    def _reload(self) -> dict[str, Value]:
        before = self._settings_problem
        self.settings, self._settings_problem = self._source.read()
        self._explain(before)
        return {"settings_problem": self._settings_problem}

    def _explain(self, before: str | None) -> None:
        if self._settings_problem not in (None, before):
            say(f"{self._settings_problem}")


def _memory_kib() -> int | None:
    """Memory of this process that is in RAM; None where the kernel does not say."""
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(_MEMORY)), None)
