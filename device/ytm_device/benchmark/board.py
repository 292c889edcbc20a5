"""Heat, clocks and power mode, as the kernel and NVIDIA's tools say, and whether it throttled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ytm_device.benchmark.report import BoardState
from ytm_device.health.ask_board import ask_heat
from ytm_device.health.files import read_number, read_text

MAX_CLOCKS = 512
_CPUS = "sys/devices/system/cpu"
_POWER_MODE = re.compile(r"pmode:(\d{1,6})")
_KHZ_PER_MHZ, _HZ_PER_MHZ = 1e3, 1e6


def board_state(root: Path) -> BoardState:
    """How it is at this moment; what the kernel does not say is left out."""
    heat = ask_heat(root)
    return BoardState(
        temperatures_c=heat["temperatures_c"],
        clocks_mhz=dict(_mhz(root, "scaling_cur_freq", "cur_freq")),
        limits_mhz=dict(_mhz(root, "scaling_max_freq", "max_freq")),
        power_mode=power_mode(root),
        slowed=heat["slowed"],
        throttles=heat["overcurrents"] + _core_throttles(root),
    )


def throttling(looks: list[BoardState]) -> list[str]:
    """What was noticed of throttling, from the first look to the last, at least one."""
    first, last = looks[0], looks[-1]
    found = [f"{name} throttled" for name in sorted({n for look in looks for n in look.slowed})]
    if last.throttles > first.throttles:
        found.append(f"throttled or too high a current {last.throttles - first.throttles} times")
    for name, before_mhz in first.limits_mhz.items():
        lowest_mhz = min(look.limits_mhz.get(name, before_mhz) for look in looks)
        if lowest_mhz < before_mhz:
            found.append(f"{name} was limited to {lowest_mhz:.0f} of {before_mhz:.0f} MHz")
    return found


def power_mode(root: Path) -> str | None:
    """A Jetson's power mode, by its name where that is known; None elsewhere."""
    said = _POWER_MODE.search(read_text(root / "var/lib/nvpmodel/status") or "")
    if said is None:
        return None
    number = int(said[1])
    modes = read_text(root / "etc/nvpmodel.conf") or ""
    named = re.search(rf"POWER_MODEL\s+ID={number}\s+NAME=(\S+?)\s*>", modes)
    return named[1] if named else str(number)


def _mhz(root: Path, of_core: str, of_device: str) -> Iterator[tuple[str, float]]:
    for path in _some(root / _CPUS, f"cpu[0-9]*/cpufreq/{of_core}"):
        if (khz := read_number(path)) is not None:
            yield path.parent.parent.name, khz / _KHZ_PER_MHZ
    for path in _some(root / "sys/class/devfreq", f"*/{of_device}"):
        if (hz := read_number(path)) is not None:
            yield path.parent.name, hz / _HZ_PER_MHZ


def _core_throttles(root: Path) -> int:
    pattern = "cpu[0-9]*/thermal_throttle/core_throttle_count"
    return sum(read_number(path) or 0 for path in _some(root / _CPUS, pattern))


def _some(folder: Path, pattern: str) -> list[Path]:
    return sorted(islice(folder.glob(pattern), MAX_CLOCKS))
