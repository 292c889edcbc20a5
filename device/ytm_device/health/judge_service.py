"""Whether a service does its work: judged by what it has finished lately, not by being there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ytm_device.health import limits
from ytm_device.health.ask_systemd import Unit
from ytm_device.health.files import UnreadableError
from ytm_device.health.findings import Finding
from ytm_device.health.said import IDLE, MIRROR, REFLECT, SCREEN, SOUND, Said

_AHEAD_S = 1.0
"""A status may be written while this is read, but not later."""
_S_PER_H = 3600.0
_NS_PER_S = 1_000_000_000
_NOTHING = "none"
"""How the name begins of a sink that nobody hears, and of a screen that nobody sees."""


def judge_status(
    service: str, answer: Mapping[str, Any] | None, unit: Unit | None, now_ns: int
) -> tuple[Said | None, list[Finding]]:
    """What a service says, if it says it now, and what is wrong if it does not.

    Args:
        service: its name.
        answer: of `ask_service`; None if that hung.
        unit: its unit; None if it has none.
        now_ns: CLOCK_MONOTONIC, later than the answer.
    """
    if answer is None:
        return None, [Finding("service.unreadable", service, "its status cannot be read in time")]
    if answer["unreadable"] is not None:
        what = f"its status cannot be read: {answer['unreadable']}"
        return None, [Finding("service.unreadable", service, what)]
    if answer["fields"] is None:
        return None, [_missing(service, unit)]
    try:
        said = Said.check(service, answer["fields"])
    except UnreadableError as error:
        return None, [Finding("service.unreadable", service, f"its status {error}")]
    age_s = said.since_s("written_ns", now_ns) or 0.0
    if age_s < -_AHEAD_S:
        what = f"its status is of a time that comes in {-age_s:.0f} s"
        return None, [Finding("service.unreadable", service, what)]
    if age_s > limits.STATUS_AGE_S:
        return None, [_silent(service, unit, age_s, answer["process"])]
    return said, []


def _missing(service: str, unit: Unit | None) -> Finding:
    if unit is not None and unit.active == "activating":
        return Finding("service.starting", service, "is being started")
    if unit is not None and unit.active == "failed":
        return _failed(service, unit)
    state = "" if unit is None else f" (its unit is {unit.active})"
    return Finding("service.missing", service, f"has said nothing yet{state}")


def _silent(service: str, unit: Unit | None, age_s: float, process: str | None) -> Finding:
    if unit is not None and unit.active == "failed":
        return _failed(service, unit)
    words = "" if process is None else f"; its process {process}"
    return Finding("service.silent", service, f"has said nothing for {age_s:.0f} s{words}")


def _failed(service: str, unit: Unit) -> Finding:
    return Finding("service.failed", service, f"systemd has given it up ({unit.result})")


def judge_work(said: Said, unit: Unit | None, now_ns: int) -> Iterator[Finding]:
    """What is wrong with a service that says how it is."""
    own = {REFLECT: _judge_reflect, SOUND: _judge_sound, SCREEN: _judge_screen}
    yield from _judge_progress(said, now_ns)
    yield from _judge_any(said)
    yield from _judge_memory(said, now_ns)
    yield from own[said.service](said, now_ns)
    if unit is not None:
        yield from _judge_unit(said, unit, now_ns)


def _judge_progress(said: Said, now_ns: int) -> Iterator[Finding]:
    age_s = said.since_s("progress_ns", now_ns)
    up_s = said.up_s(now_ns)
    if age_s is None and up_s > limits.STARTING_S:
        what = f"has finished nothing since it was started {up_s:.0f} s ago"
        yield Finding("service.stuck", said.service, what)
    elif age_s is None:
        yield Finding("service.starting", said.service, f"was started {max(0, up_s):.0f} s ago")
    elif age_s > limits.PROGRESS_AGE_S:
        yield Finding("service.stuck", said.service, f"has finished nothing for {age_s:.0f} s")
    elif age_s < -_AHEAD_S:
        what = f"claims to have finished something in {-age_s:.0f} s from now"
        yield Finding("service.stuck", said.service, what)


def _judge_any(said: Said) -> Iterator[Finding]:
    if said.doubts:
        what = f"does not say, or says wrongly: {', '.join(said.doubts)}"
        yield Finding("service.incomplete", said.service, what)
    problem = _told(said, "problem")
    if problem is not None and not _nobody_served(said):
        yield Finding("service.problem", said.service, problem)
    for name in ("bundle", "settings", "control"):
        if (problem := _told(said, f"{name}_problem")) is not None:
            yield Finding(f"{name}.problem", said.service, problem)
    descriptors = said.amount("descriptors") or 0
    if descriptors > limits.DESCRIPTORS:
        what = f"has {descriptors:.0f} files and sockets open"
        yield Finding("service.descriptors", said.service, what)
    rejected_per_h = _rate_per_h(said, "rejected_messages")
    if rejected_per_h > limits.REJECTED_PER_H:
        what = f"rejects {rejected_per_h:.0f} messages an hour of the others"
        yield Finding("bus.rejected", said.service, what)


def _told(said: Said, name: str) -> str | None:
    """A problem, in words, without the name of the service that has it; None if it has none."""
    words = said.words(name)
    return None if words is None else words.removeprefix(f"{said.service}: ")


def _rate_per_h(said: Said, name: str) -> float:
    """Of what has happened lately, per hour; 0 if it happened too seldom to say."""
    count = said.amount(f"{name}_recent") or 0.0
    hours = max(said.amount("recent_s") or 0.0, limits.STARTING_S) / _S_PER_H
    return count / hours if count >= limits.RATE_MIN_COUNT else 0.0


def slope_kib_per_h(said: Said, now_ns: int) -> float | None:
    """How fast its memory grows; None as long as that cannot be said."""
    first, last = said.amount("memory_kib_at_start"), said.amount("memory_kib")
    since_s = said.since_s("memory_at_start_ns", now_ns)
    if first is None or last is None or since_s is None or since_s < limits.MEMORY_SLOPE_AFTER_S:
        return None
    return (last - first) / (since_s / _S_PER_H)


def _judge_memory(said: Said, now_ns: int) -> Iterator[Finding]:
    slope = slope_kib_per_h(said, now_ns)
    if slope is not None and slope > limits.MEMORY_SLOPE_KIB_PER_H:
        what = f"grows by {slope / 1024:.0f} MiB an hour"
        yield Finding("memory.growing", said.service, what)


def _judge_unit(said: Said, unit: Unit, now_ns: int) -> Iterator[Finding]:
    up_s = said.up_s(now_ns)
    if unit.restarts and up_s < limits.RESTARTED_S:
        what = f"was restarted {max(0, up_s):.0f} s ago, {unit.restarts} times in all"
        yield Finding("service.restarted", said.service, what)
    if unit.active != "active":
        return
    if unit.watchdog_s is None:
        yield Finding("watchdog.unarmed", said.service, "systemd does not watch it")
    elif "watchdog_s" in said.fields and said.amount("watchdog_s") is None:
        yield Finding("watchdog.unarmed", said.service, "it does not know that it is watched")
    elif (now_ns - unit.petted_ns) / _NS_PER_S > unit.watchdog_s + _AHEAD_S:
        what = f"it was last heard more than {unit.watchdog_s:g} s ago, and nothing was done"
        yield Finding("watchdog.unarmed", said.service, what)


def _judge_reflect(said: Said, now_ns: int) -> Iterator[Finding]:
    bad = said.amount("bad_answers_recent") or 0
    bad_percent = 100 * bad / max(bad + (said.amount("reflections_recent") or 0), 1)
    if bad_percent > limits.BAD_ANSWERS_PERCENT:
        what = f"{bad_percent:.1f} % of the answers are no numbers"
        yield Finding("reflect.bad_answers", said.service, what)
    recoveries_per_h = _rate_per_h(said, "camera_recoveries")
    if recoveries_per_h > limits.RATE_PER_H:
        what = f"the camera fails {recoveries_per_h:.0f} times an hour"
        yield Finding("camera.unsteady", said.service, what)
    if said.mode == IDLE:
        return
    yield from _judge_seeing(said, now_ns)
    rate = said.amount("reflections_per_s")
    steady = said.mode == MIRROR and said.up_s(now_ns) > limits.STARTING_S
    if steady and rate is not None and rate < limits.REFLECTIONS_PER_S:
        yield Finding("reflect.slow", said.service, f"only {rate:.1f} reflections a second")


def _judge_seeing(said: Said, now_ns: int) -> Iterator[Finding]:
    age_ms = said.amount("frame_age_ms")
    told_none = "frame_age_ms" in said.fields and age_ms is None
    if told_none and said.up_s(now_ns) > limits.STARTING_S:
        yield Finding("frame.none", said.service, "no picture comes from the camera")
    if age_ms is not None and age_ms > limits.FRAME_AGE_MS:
        what = f"the newest picture of the camera is {age_ms / 1000:.1f} s old"
        yield Finding("frame.old", said.service, what)
    dark_percent = 100 * (said.amount("dark_share") or 0)
    if dark_percent > limits.DARK_PERCENT:
        what = f"{dark_percent:.0f} % of the camera's picture is black"
        yield Finding("light.dark", said.service, what)
    bright_percent = 100 * (said.amount("bright_share") or 0)
    if bright_percent > limits.BRIGHT_PERCENT:
        what = f"{bright_percent:.0f} % of the camera's picture is white"
        yield Finding("light.bright", said.service, what)
    since_s = said.since_s("presence_since_ns", now_ns) or 0.0
    held = said.flag("presence_always")
    if said.flag("presence") and not held and since_s > limits.PRESENCE_S:
        what = f"somebody has been there for {since_s / _S_PER_H:.0f} h"
        yield Finding("presence.stuck", said.service, what)


def _nobody_served(said: Said) -> bool:
    """Neither a card nor a display, where there should be one: said by findings of its own."""
    name = {SOUND: "sink", SCREEN: "driver"}.get(said.service, "")
    if name not in said.fields or said.words("problem") is None:
        return False
    return (said.words(name) or _NOTHING).startswith(_NOTHING)


def _judge_sound(said: Said, _now_ns: int) -> Iterator[Finding]:
    for code, name, what in (
        ("sound.underruns", "underruns", "the sound has gaps"),
        ("card.unsteady", "card_losses", "the sound card is lost"),
    ):
        per_h = _rate_per_h(said, name)
        if per_h > limits.RATE_PER_H:
            yield Finding(code, said.service, f"{what} {per_h:.0f} times an hour")
    if _nobody_served(said):
        yield from _served_nobody(said, "sound.no_card")
    elif not (said.words("sink") or _NOTHING).startswith(_NOTHING):
        if said.flag("real_time") is False:
            why = said.words("real_time_why_not")
            without = "plays without real-time priority"
            what = f"{without}: {why}" if why else without
            yield Finding("sound.not_urgent", said.service, what)
        if said.flag("memory_locked") is False:
            yield Finding("sound.not_locked", said.service, "may be swapped out")
    if said.mode == IDLE:
        return
    if said.flag("muted"):
        yield Finding("sound.muted", said.service, "is muted by hand")
    elif "gain_db" in said.fields and said.fields["gain_db"] is None:
        yield Finding("sound.turned_down", said.service, "the volume is at its end")
    yield from _judge_latency(said, "frame_to_sound_p95_ms", "heard")


def _judge_screen(said: Said, now_ns: int) -> Iterator[Finding]:
    if _nobody_served(said):
        yield from _served_nobody(said, "screen.no_display")
    if said.mode == IDLE:
        return
    rate = said.amount("frames_per_s")
    steady = said.mode == MIRROR and said.up_s(now_ns) > limits.STARTING_S
    if steady and rate is not None and rate < limits.FRAMES_PER_S:
        yield Finding("screen.slow", said.service, f"only {rate:.1f} pictures a second")
    yield from _judge_latency(said, "frame_to_screen_p95_ms", "seen")


def _served_nobody(said: Said, code: str) -> Iterator[Finding]:
    # In closed hours a screen that is off, and a card that is, are as they should be.
    if said.mode != IDLE:
        yield Finding(code, said.service, _told(said, "problem") or "")


def _judge_latency(said: Said, name: str, sense: str) -> Iterator[Finding]:
    late_ms = said.amount(name)
    if late_ms is not None and late_ms > limits.LATENCY_MS:
        what = f"one answer in twenty is {sense} {late_ms:.0f} ms or more after its picture"
        yield Finding("latency.high", said.service, what)
