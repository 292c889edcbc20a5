"""Whether somebody is there, from the camera's pictures alone.

Somebody arrives by moving as something that does not belong to the room, and stays for as long as
something is there that does not belong to it, or that stirs. The room is learned all the while.
Only edges are compared, and only up to a factor, so that light does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ytm_device.presence.hysteresis import Hysteresis
from ytm_device.presence.motion import Motion
from ytm_device.presence.parameters import PresenceParameters
from ytm_device.presence.room import Room, Things
from ytm_device.presence.structure import Array, Mask, brightness, edges

LEAST_SHARE = 0.012
"""Of the picture: nobody is smaller, a head at the far end of a room is."""
_LEAST_MOVING = 0.006
"""Of the picture, within one thing: who arrives moves more of themselves."""
_MOST_MOVING = 0.6
"""Of the picture: if more of it is suddenly another, the light or the camera was."""
_LEAST_STIRRING = 0.008
"""Of the picture: so much stirs of somebody who has been there since before the first picture."""
_LONGEST_STEP_S = 0.5
"""A gap between pictures counts for no more: nothing was seen in it."""
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Presence:
    """What was seen of visitors."""

    somebody: bool
    """Somebody is there."""
    since_ns: int
    """`taken_ns` of the picture with which `somebody` took its value."""
    share: float
    """Of the picture, 0 to 1: how much of it does not belong to the room."""


class PresenceDetector:
    """Looks at every picture of one camera, before the light in them is levelled.

    Pictures may have any size, come at 5 to 60 a second, and be missing. Another size begins with
    another room; whether somebody is there goes on.
    """

    def __init__(self, parameters: PresenceParameters) -> None:
        """Begin with nobody there, unless somebody always is."""
        self._parameters = parameters
        self._hysteresis = Hysteresis(parameters.arrive_s, parameters.leave_s)
        self._view: _View | None = None
        self._taken_ns = 0
        self._presence: Presence | None = None

    def see(self, pixels: npt.NDArray[np.uint8], taken_ns: int) -> Presence:
        """Look at the next picture.

        Args:
            pixels: uint8 (h, w, 3) RGB, as the camera saw it; not kept.
            taken_ns: when it was taken. A picture that is not later than the last is passed over.
        """
        if self._presence is not None and taken_ns <= self._taken_ns:
            return self._presence
        elapsed_s = min((taken_ns - self._taken_ns) / _NS_PER_S, _LONGEST_STEP_S)
        self._taken_ns = taken_ns
        grey = brightness(pixels)
        if self._view is None or self._view.shape != grey.shape:
            self._view = _View(edges(grey), taken_ns, self._parameters.sensitivity)
            return self._say(taken_ns, self._hysteresis.state, 0.0)
        sight = self._view.see(grey, taken_ns, elapsed_s)
        evidence = sight.stays if self._hysteresis.state else sight.arrives
        return self._say(taken_ns, self._hysteresis.add(evidence, elapsed_s), sight.share)

    def _say(self, taken_ns: int, somebody: bool, share: float) -> Presence:
        somebody = somebody or self._parameters.always
        before = self._presence
        goes_on = before is not None and before.somebody == somebody
        since_ns = before.since_ns if before is not None and goes_on else taken_ns
        self._presence = Presence(somebody, since_ns, share)
        return self._presence


@dataclass(frozen=True)
class _Sight:
    arrives: bool
    """Something moves that does not belong to the room."""
    stays: bool
    """Something is there that does not belong to the room, or that stirs."""
    share: float


class _View:
    """The room and what moves in it, at one size of picture."""

    def __init__(self, first: Array, taken_ns: int, sensitivity: float) -> None:
        self.shape = first.shape
        self._motion = Motion(first, taken_ns, sensitivity)
        self._room = Room(first, sensitivity)
        self._sensitivity = sensitivity

    def see(self, grey: Array, taken_ns: int, elapsed_s: float) -> _Sight:
        seen = edges(grey)
        moves, alive = self._motion.see(grey, seen, taken_ns, elapsed_s)
        things = self._room.things(seen, self._motion.quiet)
        self._room.learn(self._motion.smoothed, things, alive, elapsed_s)
        large = things.areas >= LEAST_SHARE / self._sensitivity
        stirs = float(alive.mean()) >= _LEAST_STIRRING / self._sensitivity
        return _Sight(
            arrives=self._arrives(things, large, moves),
            stays=bool(large.any()) or stirs,
            share=float(things.areas.sum()),
        )

    def _arrives(self, things: Things, large: npt.NDArray[np.bool_], moves: Mask) -> bool:
        if float(moves.mean()) > _MOST_MOVING:
            return False
        moving = things.areas_within(moves) >= _LEAST_MOVING / self._sensitivity
        return bool((large & moving).any())
