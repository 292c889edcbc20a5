"""Yes and no that do not flap: each holds until the other has been seen for long enough."""

from __future__ import annotations


class Hysteresis:
    """Begins with no."""

    def __init__(self, rise_s: float, fall_s: float) -> None:
        """Say yes after `rise_s` seconds of it, and no after `fall_s` seconds of that."""
        self.state = False
        self._rise_s, self._fall_s = rise_s, fall_s
        self._for_s = 0.0

    def add(self, evidence: bool, elapsed_s: float) -> bool:
        """Count `elapsed_s` more seconds of yes or no; give what holds.

        On the way to yes a moment of no takes back a moment of yes, so that who is half hidden
        still arrives; on the way to no, a moment of yes begins again.
        """
        if self.state:
            self._for_s = 0.0 if evidence else self._for_s + elapsed_s
            changes = not evidence and self._for_s >= self._fall_s
        else:
            self._for_s = max(0.0, self._for_s + (elapsed_s if evidence else -elapsed_s))
            changes = evidence and self._for_s >= self._rise_s
        if changes:
            self.state, self._for_s = not self.state, 0.0
        return self.state
