"""What sound and screen both say of the reflections that they follow."""

from __future__ import annotations

from ytm_device.bus.channel import Subscriber
from ytm_device.replay import On, Programme
from ytm_device.status import Value

_NS_PER_MS = 1e6


def following_fields(
    now_ns: int, on: On | None, programme: Programme, subscriber: Subscriber
) -> dict[str, Value]:
    """For the status; None for an age where there is no reflection."""
    mirror = None if on is None else on.mirror
    return {
        "mode": "replay" if on is None else on.mode,
        "reflection_age_ms": None if mirror is None else (now_ns - mirror.taken_ns) / _NS_PER_MS,
        "foreign_reflections": programme.foreign,
        "rejected_messages": subscriber.rejected,
    }
