"""What systemd says of the units, read back from it rather than from their files."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ytm_device.health.said import SERVICES

_BOOTED = Path("run/systemd/system")
"""There if systemd runs this machine; see sd_booted(3)."""
_PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "WatchdogUSec",
    "WatchdogTimestampMonotonic",
)
_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_NS_PER_US = 1000
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|min|h|d)")


@dataclass(frozen=True)
class Unit:
    """The unit of a service."""

    active: str
    """`active`, `activating`, `inactive`, `failed`, ..."""
    result: str
    """`success`, or how it ended last: `watchdog`, `signal`, `exit-code`, ..."""
    restarts: int
    watchdog_s: float | None
    """None: not armed."""
    petted_ns: int
    """When the service last said that it is alive, on CLOCK_MONOTONIC; 0 if never."""


def ask_systemd(root: Path) -> dict[str, Any]:
    """`booted`: systemd runs this machine; `printed`: what it says of the units, None if nothing.

    Waits for `systemctl` as long as that takes: whoever calls this must be able to let it go.
    """
    if not (root / _BOOTED).is_dir():
        return {"booted": False, "printed": None}
    units = [f"ytm-{name}.service" for name in SERVICES]
    command = ["systemctl", "show", "--no-pager", "-p", ",".join(_PROPERTIES), *units]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except (OSError, ValueError):
        return {"booted": True, "printed": None}
    return {"booted": True, "printed": result.stdout if result.returncode == 0 else None}


def read_units(printed: str) -> dict[str, Unit]:
    """By service, the units that systemd has loaded, from what `systemctl show` printed."""
    units = {}
    for block in printed.split("\n\n"):
        told = dict(line.partition("=")[::2] for line in block.splitlines())
        service = told.get("Id", "").removeprefix("ytm-").removesuffix(".service")
        if service in SERVICES and told.get("LoadState") == "loaded":
            units[service] = _unit(told)
    return units


def _unit(told: Mapping[str, str]) -> Unit:
    return Unit(
        active=told.get("ActiveState", ""),
        result=told.get("Result", ""),
        restarts=_count(told.get("NRestarts", "")),
        watchdog_s=_span_s(told.get("WatchdogUSec", "")),
        petted_ns=_count(told.get("WatchdogTimestampMonotonic", "")) * _NS_PER_US,
    )


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def _span_s(text: str) -> float | None:
    """Seconds of a time span as systemd prints it, `1min 30s`; None if it is none or for ever."""
    total_s = sum(float(number) * _UNIT_S[unit] for number, unit in _SPAN.findall(text))
    return total_s or None
