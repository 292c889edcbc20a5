"""What each service last said about itself: `<run_dir>/<service>.json`, replaced whole.

Only numbers and short words: nothing that a visitor did, showed or said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ytm_device.console import say

Value = str | int | float | bool | None
PERIOD_S = 1.0
"""How often a service says how it is."""
MAX_STATUS_BYTES = 64 << 10
_NS_PER_S = 1_000_000_000


class StatusReporter:
    """Keeps the status of one service up to date.

    A status that cannot be written, because the folder has gone or memory is full, is said once and
    tried again each time: the show does not depend on it.
    """

    def __init__(self, run_dir: Path, service: str) -> None:
        """Report on `service` in `run_dir`; due at once."""
        self._run_dir, self._service = run_dir, service
        self._due_ns = 0
        self._failing = False

    def due(self, now_ns: int) -> bool:
        """Whether `PERIOD_S` have passed since the last report; on CLOCK_MONOTONIC."""
        return now_ns >= self._due_ns

    def report(self, now_ns: int, fields: Mapping[str, Value]) -> None:
        """Replace the status."""
        self._due_ns = now_ns + round(PERIOD_S * _NS_PER_S)
        try:
            write_status(self._run_dir, self._service, fields)
        except OSError as error:
            if not self._failing:
                say(
                    f"{self._run_dir}: the status cannot be written ({error.strerror}); going on"
                    " without it until the folder is there and has room"
                )
            self._failing = True
        else:
            self._failing = False


def write_status(run_dir: Path, service: str, fields: Mapping[str, Value]) -> None:
    """Replace the status of `service` at once, so that a reader never sees half of it.

    Not made durable: `run_dir` is in memory on a board, and gone after a restart anyway.

    Raises:
        OSError: it cannot be written.
    """
    path = run_dir / f"{service}.json"
    temporary = run_dir / f".{service}.json.partial"
    temporary.write_text(json.dumps(dict(fields), allow_nan=False), encoding="utf-8")
    temporary.replace(path)


def read_status(run_dir: Path, service: str) -> dict[str, Value]:
    """Read what `service` last said; empty when it has said nothing that can be read."""
    path = run_dir / f"{service}.json"
    try:
        if path.stat().st_size > MAX_STATUS_BYTES:
            return {}
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}
