"""What the kernel says of the board: heat, throttling, memory, watchdog, disks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ytm_device.health.files import read_number, read_text

DATA = Path("data")
"""Where what lasts is, under the root."""
_MAX_SENSORS = 64
_PLAUSIBLE_C = (-40.0, 150.0)
_FIXED = "PMIC-Die"
"""A Jetson's zone that always says 100."""
_SLOWING = ("cpu", "gpu", "processor", "devfreq")
"""In the name of what cools by slowing down, other than a fan."""
_WATCHDOG = Path("sys/class/watchdog/watchdog0")
_DIGEST = "ytm.digest="
"""On the kernel's command line where an image was flashed; see `ytm-image`."""
_LOWER, _CHECKED = "/run/ytm-root/lower", "/dev/mapper/ytm-root"
"""Where the root lies beneath the overlay, and the device that checks each block of it."""
_GPUS = ("nvhost-gpu", "nvgpu", "nvidia0")
"""In /dev, with NVIDIA's driver, on Jetsons and elsewhere."""


def ask_board(root: Path) -> dict[str, Any]:
    """Everything but heat, which may be slow to read."""
    return {
        "model": read_text(root / "proc/device-tree/model"),
        "gpu": any((root / "dev" / name).exists() for name in _GPUS),
        "memory_free_percent": _memory_free_percent(root),
        "watchdog": _watchdog(root),
        "replay_only": read_text(root / "run/ytm/replay-only"),
        "root": _root(root),
    }


def ask_heat(root: Path) -> dict[str, Any]:
    """`temperatures_c` by sensor; `slowed`: names of what throttles; `overcurrents`: since boot."""
    return {
        "temperatures_c": dict(_temperatures_c(root)),
        "slowed": sorted(set(_slowed(root))),
        "overcurrents": sum(
            read_number(path) or 0 for path in _some(root, "hwmon", "hwmon*/oc*_event_cnt")
        ),
    }


def ask_disk(path: Path) -> dict[str, Any] | None:
    """How full the file system of `path` is, and whether it can be written; None if there is none.

    `free_percent` is the smaller of space and inodes; None where neither is limited.
    """
    try:
        told = os.statvfs(path)
    except OSError:
        return None
    shares = []
    if told.f_blocks:
        shares.append(100 * told.f_bavail / told.f_blocks)
    if told.f_files:
        shares.append(100 * told.f_favail / told.f_files)
    return {
        "free_percent": min(shares, default=None),
        "free_bytes": told.f_bavail * told.f_frsize,
        "read_only": bool(told.f_flag & os.ST_RDONLY),
    }


def ask_data(root: Path) -> dict[str, Any] | None:
    """`ask_disk` of what lasts; None, too, where nothing is mounted there on a flashed board."""
    if _flashed(root) and f"/{DATA}" not in _mounted(root):
        return None
    return ask_disk(root / DATA)


def _flashed(root: Path) -> bool:
    return _DIGEST in (read_text(root / "proc/cmdline") or "")


def _mounted(root: Path) -> dict[str, str]:
    """Where -> what, of all that is mounted."""
    lines = [line.split() for line in (read_text(root / "proc/mounts") or "").splitlines()]
    return {words[1]: words[0] for words in lines if len(words) > 1}


def _root(root: Path) -> dict[str, bool] | None:
    """Whether the root is an overlay in memory over one that is checked; None: no such image."""
    if not _flashed(root):
        return None
    mounted = _mounted(root)
    return {
        "overlay": mounted.get("/") == "overlay",
        "checked": mounted.get(_LOWER) == _CHECKED,
    }


def _some(root: Path, kind: str, pattern: str) -> list[Path]:
    return sorted(islice((root / "sys/class" / kind).glob(pattern), _MAX_SENSORS))


def _temperatures_c(root: Path) -> Iterator[tuple[str, float]]:
    for zone in _some(root, "thermal", "thermal_zone*"):
        name = read_text(zone / "type") or zone.name
        yield from _temperature_c(name, zone / "temp")
    for sensor in _some(root, "hwmon", "hwmon*/temp*_input"):
        label = read_text(sensor.with_name(sensor.name.replace("_input", "_label")))
        name = f"{read_text(sensor.with_name('name')) or sensor.parent.name} {label or sensor.name}"
        yield from _temperature_c(name, sensor)


def _temperature_c(name: str, path: Path) -> Iterator[tuple[str, float]]:
    # A Jetson's zone of what is switched off cannot be read, or says -256.
    milli_c = read_number(path)
    if milli_c is None or name == _FIXED:
        return
    celsius = milli_c / 1000
    if _PLAUSIBLE_C[0] <= celsius <= _PLAUSIBLE_C[1]:
        yield name, celsius


def _slowed(root: Path) -> Iterator[str]:
    for device in _some(root, "thermal", "cooling_device*"):
        name = read_text(device / "type") or ""
        slows = any(part in name.lower() for part in _SLOWING)
        if slows and (read_number(device / "cur_state") or 0) > 0:
            yield name


def _memory_free_percent(root: Path) -> float | None:
    lines = (read_text(root / "proc/meminfo") or "").splitlines()
    kib = {}
    for line in lines:
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal() and len(words[0]) < 20:
            kib[name] = int(words[0])
    total, free = kib.get("MemTotal", 0), kib.get("MemAvailable")
    return None if free is None or not total else 100 * free / total


def _watchdog(root: Path) -> dict[str, Any] | None:
    folder = root / _WATCHDOG
    if not folder.is_dir():
        return None
    return {
        "state": read_text(folder / "state"),
        "timeout_s": read_number(folder / "timeout"),
        "left_s": read_number(folder / "timeleft"),
        "for_good": read_number(folder / "nowayout") == 1,
    }
