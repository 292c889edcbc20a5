"""What can be chosen about noticing visitors."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_ARRIVE_S = 10.0
LONGEST_LEAVE_S = 600.0
LEAST_SENSITIVITY, MOST_SENSITIVITY = 0.25, 4.0


@dataclass(frozen=True)
class PresenceParameters:
    """Within the ranges that the settings see to."""

    arrive_s: float = 0.3
    """Seconds that somebody must be seen to move before they are there, 0 to `LONGEST_ARRIVE_S`."""
    leave_s: float = 5.0
    """Seconds that nobody must be seen before nobody is there, 0 to `LONGEST_LEAVE_S`."""
    sensitivity: float = 1.0
    """At 2, half as large and half as strong a change counts; at 0.5, only twice as large a one."""
    always: bool = False
    """Somebody is always held to be there."""
