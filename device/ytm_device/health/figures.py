"""The figures for whoever draws curves: Nagios' performance data, Prometheus, JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ytm_device.health import limits
from ytm_device.health.judge_board import BOARD, hottest
from ytm_device.health.judge_service import slope_kib_per_h
from ytm_device.health.said import REFLECT, SCREEN, SOUND, Said

_UNITS = {"_ms": "ms", "_s": "s", "_percent": "%", "_kib": "KB"}
_COUNTERS = ("bad_answers", "camera_recoveries", "card_losses", "underruns")
OWN: Mapping[str, Mapping[str, str]] = {
    REFLECT: {
        "frame_age_ms": f"{limits.FRAME_AGE_MS:g}",
        "reflections_per_s": f"{limits.REFLECTIONS_PER_S:g}:",
        "bad_answers": "",
        "camera_recoveries": "",
    },
    SOUND: {
        "frame_to_sound_p95_ms": f"{limits.LATENCY_MS:g}",
        "underruns": "",
        "card_losses": "",
    },
    SCREEN: {
        "frame_to_screen_p95_ms": f"{limits.LATENCY_MS:g}",
        "frames_per_s": f"{limits.FRAMES_PER_S:g}:",
    },
}
"""Of each service: name -> range that is not worth a warning, as the guidelines write it."""


@dataclass(frozen=True)
class Figure:
    """A number, with what it is a number of."""

    name: str
    """Ends in its unit."""
    subject: str
    value: float
    warning: str = ""
    """The range that is not worth a warning, as the Monitoring Plugins guidelines write it."""
    critical: str = ""

    @property
    def unit(self) -> str:
        """In the guidelines' spelling; `c` is a count that only grows."""
        if self.name in _COUNTERS:
            return "c"
        if self.name.endswith("per_s"):
            return ""
        return next((unit for end, unit in _UNITS.items() if self.name.endswith(end)), "")


def figures(
    said: Sequence[Said], answers: Mapping[str, Any], disks: Mapping[str, Path], now_ns: int
) -> list[Figure]:
    """Of services that say how they are, and of a board, as far as it answered."""
    found = [figure for each in said for figure in _of_service(each, now_ns)]
    found += _of_board(answers)
    for name, path in disks.items():
        told = answers.get(name)
        if told is not None and told["free_percent"] is not None:
            low, full = limits.DISK_FREE_PERCENT, limits.DISK_FULL_PERCENT
            found.append(
                Figure("free_percent", str(path), told["free_percent"], f"{low:g}:", f"{full:g}:")
            )
    return found


def _of_service(said: Said, now_ns: int) -> Iterator[Figure]:
    age_s = said.since_s("progress_ns", now_ns)
    if age_s is not None:
        limit = f"{limits.PROGRESS_AGE_S:g}"
        yield Figure("progress_age_s", said.service, max(0.0, age_s), "", limit)
    for name, warning in OWN[said.service].items():
        value = said.amount(name)
        if value is not None:
            yield Figure(name, said.service, value, warning)
    if (presence := said.flag("presence")) is not None:
        yield Figure("presence", said.service, float(presence))
    if (memory_kib := said.amount("memory_kib")) is not None:
        yield Figure("memory_kib", said.service, memory_kib)
    if (slope := slope_kib_per_h(said, now_ns)) is not None:
        limit = f"{limits.MEMORY_SLOPE_KIB_PER_H:g}"
        # A range without a lower bound: memory that shrinks is well.
        yield Figure("memory_slope_kib_per_h", said.service, slope, f"~:{limit}")


def _of_board(answers: Mapping[str, Any]) -> Iterator[Figure]:
    heat, board = answers.get("heat"), answers.get("board")
    if heat is not None and heat["temperatures_c"]:
        celsius = hottest(heat)[1]
        yield Figure("temperature_c", BOARD, celsius, f"{limits.HOT_C:g}", f"{limits.TOO_HOT_C:g}")
    if board is not None and board["memory_free_percent"] is not None:
        limit = f"{limits.MEMORY_FREE_PERCENT:g}:"
        yield Figure("memory_free_percent", BOARD, board["memory_free_percent"], limit)
