"""What each service last said about itself: `<run_dir>/<service>.json`, replaced whole.

Only numbers and short words: nothing that a visitor did, showed or said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

Value = str | int | float | bool | None
PERIOD_S = 1.0
"""How often a service says how it is."""
MAX_STATUS_BYTES = 64 << 10


def write_status(run_dir: Path, service: str, fields: Mapping[str, Value]) -> None:
    """Replace the status of `service` at once, so that a reader never sees half of it.

    Not made durable: `run_dir` is in memory on a board, and gone after a restart anyway.
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
