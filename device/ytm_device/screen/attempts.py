"""A mark in the run folder while a bare screen is opened: a crash in a driver leaves it there.

A driver that ends the process takes the supervisor's next start down with it, and the next; another
way to the screen, which might be there, would never be tried.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

MOST = 2
"""Starts that may end while they open a screen, before another way is tried."""
RETRIED_AFTER_S = 600.0
"""Then this way is tried again: a display that was plugged in otherwise may be another matter."""
_MAX_CHARACTERS = 64
_NS_PER_S = 1_000_000_000


class Attempts:
    """How often a process ended before the screen it opened had shown a picture."""

    def __init__(self, run_dir: Path | None) -> None:
        """Of the folder that is empty when the machine starts; None: nothing is remembered."""
        self._path = None if run_dir is None else run_dir / "screen.opening"
        self._is_open = False

    def why_not(self, now_ns: int) -> str | None:
        """Why this way should not be tried now; None if it may.

        Args:
            now_ns: CLOCK_MONOTONIC, which all processes of a start have in common.
        """
        count, begun_ns = self._read()
        if count < MOST or not 0 <= now_ns - begun_ns < RETRIED_AFTER_S * _NS_PER_S:
            return None
        return (
            f"{count} processes ended while they opened it ({self._path}); it is tried again after"
            f" {RETRIED_AFTER_S / 60:.0f} minutes"
        )

    def begin(self, now_ns: int) -> None:
        """Leave the mark, where the run folder can be written."""
        if self._path is None:
            return
        self._is_open = True
        with suppress(OSError):
            self._path.write_text(f"{self._read()[0] + 1} {now_ns}", encoding="ascii")

    def end(self) -> None:
        """Take it away: a picture was shown, or the process goes on without."""
        if self._path is None or not self._is_open:
            return
        self._is_open = False
        with suppress(OSError):
            self._path.unlink()

    def _read(self) -> tuple[int, int]:
        """How often, and when the last time was."""
        if self._path is None:
            return 0, 0
        try:
            count, begun_ns = self._path.read_text(encoding="ascii")[:_MAX_CHARACTERS].split()
            return int(count), int(begun_ns)
        except (OSError, ValueError):
            return 0, 0
