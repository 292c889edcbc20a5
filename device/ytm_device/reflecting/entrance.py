"""Since when somebody is there, said so that the fade between mirror and replay never jumps."""

from __future__ import annotations

from ytm_device.fading import STALE_AFTER_S, mirror_weight, since_for

_NS_PER_S = 1_000_000_000


class Entrance:
    """Turns whether somebody is there into what a reflection says of it."""

    def __init__(self, fade_s: float) -> None:
        """Begin with nobody there.

        Args:
            fade_s: how long a whole fade between mirror and replay takes, >= 0.
        """
        self.fade_s = fade_s
        self._presence, self._since_ns = False, 0
        self._taken_ns: int | None = None

    def at(self, somebody: bool, taken_ns: int) -> tuple[bool, int]:
        """What the reflection of the frame taken at `taken_ns` says: presence, and since when.

        Whoever comes or goes while a fade is under way turns it round where it is. After a time
        without reflections, see `answered`, the mirror fades in from what was left of it.
        """
        weight, is_back = 0.0, True
        if self._taken_ns is not None:
            weight = mirror_weight(
                self._presence, self._since_ns, self._taken_ns, taken_ns, self.fade_s
            )
            is_back = taken_ns - self._taken_ns > STALE_AFTER_S * _NS_PER_S
        if somebody != self._presence or is_back:
            self._presence = somebody
            self._since_ns = since_for(weight, somebody, taken_ns, self.fade_s)
        return self._presence, self._since_ns

    def answered(self, taken_ns: int) -> None:
        """The reflection of the frame taken at `taken_ns` has gone out."""
        self._taken_ns = taken_ns
