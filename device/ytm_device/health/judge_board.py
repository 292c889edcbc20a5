"""Whether the board itself is well: heat, memory, disks, watchdog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ytm_device.health import limits
from ytm_device.health.findings import Finding

BOARD = "board"


def judge_heat(answer: Mapping[str, Any] | None) -> Iterator[Finding]:
    """What `ask_heat` found; None if it hung."""
    if answer is None:
        yield Finding("board.unreadable", BOARD, "its sensors do not answer")
        return
    name, celsius = hottest(answer)
    if name is not None and celsius >= limits.HOT_C:
        code = "board.too_hot" if celsius >= limits.TOO_HOT_C else "board.hot"
        yield Finding(code, BOARD, f"{name} is at {celsius:.0f} °C")
    if answer["slowed"]:
        what = f"is slowed down, to cool ({', '.join(answer['slowed'])})"
        yield Finding("board.throttled", BOARD, what)
    if answer["overcurrents"]:
        what = f"was slowed down {answer['overcurrents']} times since it booted, to draw less"
        yield Finding("board.overcurrent", BOARD, what)


def hottest(answer: Mapping[str, Any]) -> tuple[str | None, float]:
    """Name and degrees Celsius of the hottest sensor; without one, None and 0."""
    temperatures_c = answer["temperatures_c"]
    if not temperatures_c:
        return None, 0.0
    name = max(temperatures_c, key=temperatures_c.__getitem__)
    return name, temperatures_c[name]


def judge_board(answer: Mapping[str, Any] | None, *, appliance: bool) -> Iterator[Finding]:
    """What `ask_board` found, None if it hung; on an `appliance`, the units are installed."""
    if answer is None:
        yield Finding("board.unreadable", BOARD, "/proc and /sys do not answer")
        return
    free_percent = answer["memory_free_percent"]
    if free_percent is not None and free_percent < limits.MEMORY_FREE_PERCENT:
        yield Finding("memory.short", BOARD, f"only {free_percent:.0f} % of the memory is free")
    if answer["replay_only"] is not None:
        yield Finding("board.replay_only", BOARD, f"shows replay only: {answer['replay_only']}")
    flashed = answer["root"]
    if flashed is not None and not all(flashed.values()):
        yield Finding("root.unchecked", BOARD, f"its root is not as it was flashed: {flashed}")
    watchdog = answer["watchdog"]
    if not appliance or (watchdog is not None and watchdog["state"] == "active"):
        return
    state = "missing" if watchdog is None else watchdog["state"] or "in an unknown state"
    yield Finding("watchdog.board", BOARD, f"its hardware watchdog is {state}")


def judge_disk(
    path: Path, answers: Mapping[str, Any], name: str, *, appliance: bool
) -> Iterator[Finding]:
    """What `ask_disk` found of `path`, which is among `answers` as `name` unless it hung."""
    subject = str(path)
    if name not in answers:
        yield Finding("disk.hangs", subject, "does not answer")
        return
    told = answers[name]
    if told is None:
        if appliance:
            yield Finding("disk.missing", subject, "is not there")
        return
    if told["read_only"]:
        yield Finding("disk.read_only", subject, "cannot be written")
    free_percent = told["free_percent"]
    if free_percent is not None and free_percent < limits.DISK_FREE_PERCENT:
        code = "disk.full" if free_percent < limits.DISK_FULL_PERCENT else "disk.low"
        yield Finding(code, subject, f"only {free_percent:.1f} % is free")
