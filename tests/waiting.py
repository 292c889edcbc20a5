"""Waiting for what other threads and processes do, with a bound that only a hang reaches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

HANG_S = 120.0
_TURN_S = 0.02
_Found = TypeVar("_Found")


def wait_for(condition: Callable[[], _Found], meanwhile: Callable[[], object] = bool) -> _Found:
    """Ask `condition` until it says something true, and give that; do `meanwhile` in between."""
    deadline_s = time.monotonic() + HANG_S
    while not (found := condition()):
        assert time.monotonic() < deadline_s, f"did not happen in {HANG_S:g} s"
        meanwhile()
        time.sleep(_TURN_S)
    return found
