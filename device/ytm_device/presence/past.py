"""What the picture was a little while ago."""

from __future__ import annotations

from collections import deque

from ytm_device.presence.structure import Array

_NS_PER_S = 1_000_000_000
_KEPT_OF_A_LAG = 4
"""Pictures kept for each lag: what comes in between is passed over, so memory is bounded."""
_TOO_OLD = 4
"""Lags after which a picture is no longer a little while ago."""


class Past:
    """Keeps pictures for `lag_s` seconds."""

    def __init__(self, lag_s: float, first: Array, taken_ns: int) -> None:
        """Begin with the first picture."""
        self._lag_ns = round(lag_s * _NS_PER_S)
        self._kept = deque([(taken_ns, first)], maxlen=_KEPT_OF_A_LAG + 2)

    def recall(self, picture: Array, taken_ns: int) -> Array:
        """Keep `picture`, and give that of a lag ago, or somewhat older if none was taken then.

        A younger one at the beginning. After a longer gap `picture` itself: what changed in it is
        not known.
        """
        kept = self._kept
        if taken_ns - kept[-1][0] >= self._lag_ns // _KEPT_OF_A_LAG:
            kept.append((taken_ns, picture))
        while len(kept) > 1 and taken_ns - kept[1][0] >= self._lag_ns:
            kept.popleft()
        if taken_ns - kept[0][0] > _TOO_OLD * self._lag_ns:
            kept.clear()
            kept.append((taken_ns, picture))
        return kept[0][1]
