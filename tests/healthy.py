"""A mirror in the best of health, as files and as answers, for tests to spoil."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ytm_device.health.said import REFLECT, SCREEN, SERVICES, SOUND

UP_S = 7200
"""How long it has been running."""
_COMMON = {
    "pid": 2_000_000_000,
    "mode": "mirror",
    "watchdog_s": 10.0,
    "problem": None,
    "bundle": "0123abcd",
    "settings_problem": None,
    "control_problem": None,
    "clock_is_set": True,
    "clock_is_needed": True,
    "memory_kib": 200_000,
    "memory_kib_at_start": 199_000,
    "recent_s": 1800.0,
    "threads": 7,
    "descriptors": 40,
}
_OWN: Mapping[str, Mapping[str, Any]] = {
    REFLECT: {
        "camera": "/dev/v4l/by-id/usb-camera",
        "backend": "TensorRT 10.3 (GPU)",
        "reflections": 200_000,
        "reflections_recent": 50_000,
        "reflections_per_s": 30.0,
        "frame_age_ms": 21.5,
        "presence": True,
        "dark_share": 0.02,
        "bright_share": 0.01,
        "camera_recoveries": 1,
        "camera_recoveries_recent": 0,
        "bad_answers": 0,
        "bad_answers_recent": 0,
    },
    SOUND: {
        "sink": "card",
        "underruns": 2,
        "underruns_recent": 0,
        "card_losses": 0,
        "card_losses_recent": 0,
        "gain_db": -3.5,
        "real_time": True,
        "memory_locked": True,
        "frame_to_sound_p95_ms": 48.0,
        "rejected_messages": 0,
        "rejected_messages_recent": 0,
        "muted": False,
    },
    SCREEN: {
        "driver": "KMSDRM",
        "frames_per_s": 60.0,
        "frame_to_screen_p95_ms": 41.0,
        "rejected_messages": 0,
        "rejected_messages_recent": 0,
    },
}


def well(service: str, now_ns: int, **changes: Any) -> dict[str, Any]:
    """What `service` says when all is well, but for `changes`."""
    times = {
        "written_ns": now_ns,
        "progress_ns": now_ns,
        "started_ns": now_ns - UP_S * 10**9,
        "memory_at_start_ns": now_ns - (UP_S - 120) * 10**9,
    }
    if service == REFLECT:
        times["presence_since_ns"] = now_ns - 5 * 10**9
    return {**_COMMON, **times, **_OWN[service], **changes}


def write_mirror(run_dir: Path, now_ns: int, **changes: Mapping[str, Any]) -> None:
    """Every service's status in `run_dir`; `changes` by service."""
    run_dir.mkdir(exist_ok=True)
    for service in SERVICES:
        fields = well(service, now_ns, **changes.get(service, {}))
        (run_dir / f"{service}.json").write_text(json.dumps(fields))


def unit_lines(service: str, now_ns: int, **changes: object) -> str:
    """As `systemctl show` prints the unit of `service`."""
    told = {
        "WatchdogUSec": "10s",
        "WatchdogTimestampMonotonic": now_ns // 1000,
        "Result": "success",
        "NRestarts": 0,
        "Id": f"ytm-{service}.service",
        "LoadState": "loaded",
        "ActiveState": "active",
        "SubState": "running",
        **changes,
    }
    return "".join(f"{name}={value}\n" for name, value in told.items())


def units(now_ns: int, **changes: Mapping[str, object]) -> str:
    """Of all services; `changes` by service."""
    return "\n".join(unit_lines(name, now_ns, **changes.get(name, {})) for name in SERVICES)


def answers(now_ns: int, **changes: Mapping[str, Any]) -> dict[str, Any]:
    """As `gather` gives them; `changes` to what services say, by service."""
    disk = {"free_percent": 60.0, "free_bytes": 1 << 30, "read_only": False}
    services = {
        name: {
            "fields": well(name, now_ns, **changes.get(name, {})),
            "unreadable": None,
            "process": None,
        }
        for name in SERVICES
    }
    return {
        **services,
        "systemd": {"booted": True, "printed": units(now_ns)},
        "board": {
            "model": "a board",
            "gpu": True,
            "memory_free_percent": 55.0,
            "watchdog": {"state": "active", "timeout_s": 30, "left_s": 28, "for_good": False},
            "replay_only": None,
            "root": {"overlay": True, "checked": True},
        },
        "heat": {"temperatures_c": {"cpu-thermal": 51.5}, "slowed": [], "overcurrents": 0},
        "run": disk,
        "data": disk,
    }


def plant(root: Path, files: Mapping[str, object]) -> None:
    """Write `files`, path below `root` -> content, as /sys and /proc have them."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")


WELL_BOARD = {
    "proc/meminfo": "MemTotal: 8000000 kB\nMemFree: 100 kB\nMemAvailable: 6000000 kB",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone0/temp": 51500,
    "sys/class/watchdog/watchdog0/state": "active",
    "sys/class/watchdog/watchdog0/timeout": 30,
    "run/systemd/system/there": "",
    "data/there": "",
}


def write_program(path: Path, text: str) -> Path:
    """A shell script that can be run."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
