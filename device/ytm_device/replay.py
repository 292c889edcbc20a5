"""What to show and play: the newest reflection, or a still of the replay when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ytm_bundle.bundle import Bundle
from ytm_device.frame import Reflection

STALE_AFTER_S = 2.0
"""So long after the last reflection arrived, the replay takes over."""

_NS_PER_S = 1_000_000_000


def still_at(now_ns: int, order: Sequence[int], dwell_s: float) -> int:
    """Which still of the replay is on at a time, the same in every process.

    Args:
        now_ns: CLOCK_MONOTONIC, in nanoseconds.
        order: the manifest's order of the stills, at least one.
        dwell_s: seconds that each still stays, > 0.

    Returns:
        An entry of `order`.
    """
    return order[now_ns // round(dwell_s * _NS_PER_S) % len(order)]


@dataclass(frozen=True)
class Still:
    """A still of the replay."""

    index: int
    """Into the arrays of `Bundle.replay`."""


class Programme:
    """Chooses between mirror and replay as reflections arrive or fail to."""

    def __init__(self, bundle: Bundle) -> None:
        self.foreign = 0
        """Reflections ignored because another bundle made them."""
        self._id, self._replay = bundle.id, bundle.manifest.replay
        self._newest: Reflection | None = None
        self._arrived_ns = 0

    def at(self, now_ns: int, arrived: Reflection | None) -> Reflection | Still:
        """Choose what is on.

        Args:
            now_ns: CLOCK_MONOTONIC, in nanoseconds, never before an earlier call's.
            arrived: the reflection that came in since the last call, if any did.
        """
        if arrived is not None and arrived.bundle_id != self._id:
            self.foreign += 1
        elif arrived is not None:
            self._newest, self._arrived_ns = arrived, now_ns
        if self._newest is None or now_ns - self._arrived_ns > STALE_AFTER_S * _NS_PER_S:
            self._newest = None
            return Still(still_at(now_ns, self._replay.order, self._replay.dwell_s))
        return self._newest
