"""How often something has happened lately, for whoever asks once and remembers nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from ytm_device.status import Value

RECENT_S = 1800.0
"""How far back a service remembers."""
NOTE_S = 60.0
"""How often it notes where its counts are."""
COUNTS = (
    "bad_answers",
    "camera_recoveries",
    "card_losses",
    "reflections",
    "rejected_messages",
    "underruns",
)
"""Fields of a status that count from the start on."""
_NS_PER_S = 1_000_000_000


class RecentCounts:
    """Remembers the counts of one service, a note a minute."""

    def __init__(self, now_ns: int) -> None:
        """Begin with nothing counted."""
        self._notes: deque[tuple[int, dict[str, int]]] = deque([(now_ns, {})])

    def fields(self, now_ns: int, status: Mapping[str, Value]) -> dict[str, Value]:
        """`NAME_recent` for each count in `status`, and `recent_s`: since when, in seconds.

        Args:
            now_ns: CLOCK_MONOTONIC.
            status: as it is now. A count that has fallen has begun anew.
        """
        counts = {name: int(status[name] or 0) for name in COUNTS if name in status}
        if now_ns - self._notes[-1][0] >= NOTE_S * _NS_PER_S:
            self._notes.append((now_ns, counts))
        while len(self._notes) > 1 and now_ns - self._notes[1][0] >= RECENT_S * _NS_PER_S:
            self._notes.popleft()
        since_ns, before = self._notes[0]
        told: dict[str, Value] = {"recent_s": round((now_ns - since_ns) / _NS_PER_S, 1)}
        for name, count in counts.items():
            then = before.get(name, 0)
            told[f"{name}_recent"] = count - then if count >= then else count
        return told
