"""What a service says of itself, checked field by field: nothing in a status is taken on trust."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ytm_device.health.files import UnreadableError, read_small

REFLECT, SOUND, SCREEN = SERVICES = ("reflect", "sound", "screen")
IDLE, MIRROR, REPLAY = MODES = ("idle", "mirror", "replay")
MAX_WORDS = 300
"""Characters of a word; longer ones are cut."""
_NS_PER_S = 1_000_000_000


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        # An integer that no float can hold.
        return False


def _is_amount(value: object) -> bool:
    return _is_number(value) and float(value) >= 0  # type: ignore[arg-type]


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_words(value: object) -> bool:
    return isinstance(value, str)


def _is_mode(value: object) -> bool:
    return value in MODES


def _or_none(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


Checks = Mapping[str, Callable[[object], bool]]
NEEDED: Checks = {
    "pid": _is_amount,
    "written_ns": _is_amount,
    "started_ns": _is_amount,
    "progress_ns": _or_none(_is_amount),
    "mode": _is_mode,
}
"""Without these nothing can be said of a service."""
_AMOUNT_OR_NONE = _or_none(_is_amount)
_WORDS_OR_NONE = _or_none(_is_words)
COMMON: Checks = {
    **NEEDED,
    "watchdog_s": _AMOUNT_OR_NONE,
    "problem": _WORDS_OR_NONE,
    "bundle": _is_words,
    "settings_problem": _WORDS_OR_NONE,
    "clock_is_set": _is_flag,
    "memory_kib": _AMOUNT_OR_NONE,
    "threads": _is_amount,
    "descriptors": _is_amount,
    "recent_s": _is_amount,
}


def _counted(*names: str) -> Checks:
    """Counts since the start, and how much of each came lately."""
    return dict.fromkeys([*names, *(f"{name}_recent" for name in names)], _is_amount)


OWN: Mapping[str, Checks] = {
    REFLECT: {
        "camera": _is_words,
        "backend": _is_words,
        "reflections_per_s": _AMOUNT_OR_NONE,
        "frame_age_ms": _AMOUNT_OR_NONE,
        "presence": _or_none(_is_flag),
        **_counted("camera_recoveries", "bad_answers", "reflections"),
    },
    SOUND: {
        "sink": _is_words,
        **_counted("underruns", "card_losses", "rejected_messages"),
        "gain_db": _or_none(_is_number),
        "real_time": _is_flag,
        "memory_locked": _is_flag,
        "frame_to_sound_p95_ms": _AMOUNT_OR_NONE,
        "muted": _is_flag,
    },
    SCREEN: {
        "driver": _WORDS_OR_NONE,
        "frames_per_s": _AMOUNT_OR_NONE,
        "frame_to_screen_p95_ms": _AMOUNT_OR_NONE,
        **_counted("rejected_messages"),
    },
}
MAY_BE: Checks = {
    "bright_share": _AMOUNT_OR_NONE,
    "bundle_problem": _WORDS_OR_NONE,
    "clock_is_needed": _is_flag,
    "control_problem": _WORDS_OR_NONE,
    "dark_share": _AMOUNT_OR_NONE,
    "engine_key": _WORDS_OR_NONE,
    "memory_at_start_ns": _AMOUNT_OR_NONE,
    "memory_kib_at_start": _AMOUNT_OR_NONE,
    "presence_always": _is_flag,
    "presence_since_ns": _AMOUNT_OR_NONE,
    "real_time_why_not": _WORDS_OR_NONE,
}
"""Judged where a service says it."""


def _holds(checks: Checks, name: str, told: Mapping[str, Any]) -> bool:
    return name in told and checks[name](told[name])


@dataclass(frozen=True)
class Said:
    """The status of one service, as far as it can be trusted."""

    service: str
    fields: Mapping[str, Any]
    """Of the right type and range; numbers are finite."""
    doubts: tuple[str, ...]
    """Fields that are missing or wrong."""

    @classmethod
    def check(cls, service: str, told: Mapping[str, Any]) -> Said:
        """Keep what can be trusted of `told`.

        Raises:
            UnreadableError: what is needed to judge at all is missing or wrong.
        """
        if lacking := [name for name in NEEDED if not _holds(NEEDED, name, told)]:
            raise UnreadableError(f"says no usable {', '.join(lacking)}")
        # Whoever is idle has let go of camera and card, and need not speak of them.
        expected = COMMON if told["mode"] == IDLE else {**COMMON, **OWN[service]}
        checks = {**COMMON, **OWN[service], **MAY_BE}
        named = [name for name in checks if name in told or name in expected]
        doubts = [name for name in named if not _holds(checks, name, told)]
        kept = {name: told[name] for name in named if name not in doubts}
        return cls(service, {name: _plain(value) for name, value in kept.items()}, tuple(doubts))

    def amount(self, name: str) -> float | None:
        """A number; None if it is not said."""
        value = self.fields.get(name)
        return None if value is None else float(value)

    def flag(self, name: str) -> bool | None:
        """Yes or no; None if it is not said."""
        value = self.fields.get(name)
        return None if value is None else bool(value)

    def words(self, name: str) -> str | None:
        """One line; None if it is not said."""
        value = self.fields.get(name)
        return None if value is None else str(value)

    @property
    def mode(self) -> str:
        """`mirror`, `replay` or `idle`."""
        return str(self.fields["mode"])

    def since_s(self, name: str, now_ns: int) -> float | None:
        """Seconds from the moment `name`, on CLOCK_MONOTONIC, to `now_ns`; None if not said."""
        at_ns = self.amount(name)
        return None if at_ns is None else (now_ns - at_ns) / _NS_PER_S

    def up_s(self, now_ns: int) -> float:
        """How long it has been running."""
        return (now_ns - float(self.fields["started_ns"])) / _NS_PER_S


def _plain(value: Any) -> Any:
    return one_line(value) if isinstance(value, str) else value


def one_line(text: str) -> str:
    """`text` without what would break a line, a terminal or a monitoring system's parser."""
    words = "".join(each if each.isprintable() and each != "|" else " " for each in text)
    return " ".join(words.split())[:MAX_WORDS]


def read_fields(path: Path) -> dict[str, Any] | None:
    """The object in the JSON file at `path`; None if there is no such file.

    Raises:
        UnreadableError: there is something else.
    """
    content = read_small(path)
    if content is None:
        return None
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("broken JSON") from error
    if not isinstance(fields, dict):
        raise UnreadableError("JSON, but no object")
    return fields
