"""How fast to ask, when to wait longer and when to stop: decided from times alone."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ytm_bundle.errors import MediaError
from ytm_training.fetch.faults import FetchError, Kind

HOUR_S = 3600.0


class BlockedError(MediaError):
    """Nothing more is given to us; the message says what to do."""


@dataclass(frozen=True)
class Manners:
    """How to behave towards a server."""

    per_hour: float = 120.0
    """Videos asked for in an hour at most. YouTube was seen to stop guests at about 300."""
    jitter: float = 0.3
    """Waits are longer by up to this share, at random, so that they are no drumbeat."""
    tries: int = 3
    """Times to ask for a video that is not answered for good."""
    refusals: int = 5
    """Refusals in a row after which to stop."""
    first_pause_s: float = 60.0
    """Pause when there were too many requests and no word for how long; doubled each time."""
    longest_pause_s: float = HOUR_S

    @property
    def mean_wait_s(self) -> float:
        """Seconds from one video to the next, on average."""
        return HOUR_S / self.per_hour * (1 + self.jitter / 2)


class Pace:
    """When the next video may be asked for; times are seconds on one clock that never goes back."""

    def __init__(self, manners: Manners, seed: int, earliest_s: float = 0.0) -> None:
        """`earliest_s` is when the first may be asked for: an interruption is no way around."""
        self._manners, self._random = manners, random.Random(seed)  # noqa: S311
        self._next_s = earliest_s
        self._refused = 0
        self._limited = 0

    def due_s(self, now_s: float) -> float:
        """Seconds until the next may be asked for; 0 if at once."""
        return max(0.0, self._next_s - now_s)

    def begin(self, now_s: float) -> None:
        """Note that one is asked for."""
        spacing_s = HOUR_S / self._manners.per_hour
        self._next_s = max(self._next_s, now_s + self._stretched(spacing_s))

    def end(self, now_s: float, fault: FetchError | None) -> None:
        """Note how it ended.

        Raises:
            BlockedError: it was the last of too many refusals in a row.
        """
        kind: Kind | None = fault.kind if fault else None
        if kind == "again":
            return
        self._refused = self._refused + 1 if kind in ("blocked", "limited") else 0
        if fault is None or kind != "limited":
            self._limited = 0
        else:
            self._pause(now_s, fault.retry_after_s)
        if fault is not None and self._refused >= self._manners.refusals:
            raise BlockedError(
                f"stopped: {self._refused} times in a row the answer was {fault.reason!r}. What is"
                " finished is kept. Wait some hours and run the same command again; if that does"
                " not help, give the cookies of a browser that is signed in (--cookies-from-browser"
                f" or --cookies) or ask for fewer (--per-hour, it was {self._manners.per_hour:g})"
            )

    def _pause(self, now_s: float, asked_s: float | None) -> None:
        doubled_s = self._manners.first_pause_s * 2**self._limited
        self._limited += 1
        pause_s = self._stretched(doubled_s if asked_s is None else asked_s)
        self._next_s = max(self._next_s, now_s + min(pause_s, self._manners.longest_pause_s))

    def _stretched(self, seconds: float) -> float:
        return seconds * (1 + self._manners.jitter * self._random.random())
