"""What can be read of one service: its status and its process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ytm_device.health.files import UnreadableError, read_text
from ytm_device.health.said import read_fields

_STATES = {"T": "is stopped", "t": "is being traced", "D": "waits for a device", "Z": "has ended"}
GONE = "is gone"


def ask_service(run_dir: Path, root: Path, service: str) -> dict[str, Any]:
    """`fields` of its status, or why there are none (`unreadable`); `process`: how that is.

    All of them are None where there is no status.
    """
    try:
        fields = read_fields(run_dir / f"{service}.json")
    except UnreadableError as error:
        return {"fields": None, "unreadable": str(error), "process": None}
    process = None if fields is None else _process(root, fields.get("pid"))
    return {"fields": _sendable(fields), "unreadable": None, "process": process}


def _sendable(fields: dict[str, Any] | None) -> dict[str, Any] | None:
    """Only plain values, so that what was nested deep or is not JSON need not be sent on."""
    if fields is None:
        return None
    plain = (str, int, float, bool, type(None))
    return {name: value if isinstance(value, plain) else [] for name, value in fields.items()}


def _process(root: Path, pid: object) -> str | None:
    """What is remarkable about the process `pid`; None if nothing is."""
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return None
    line = read_text(root / "proc" / str(pid) / "stat")
    if line is None:
        return GONE
    # The name of the program, in brackets, may hold anything.
    after = line.rpartition(")")[2].split()
    return _STATES.get(after[0]) if after else None
