"""Hours of the day: the one place where the date and time of the board matter."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from datetime import datetime, time

_TIME_ERROR = 5
_STA_UNSYNC = 0x0040


class _Timex(ctypes.Structure):
    """The beginning of the C library's `struct timex`, which has at most 208 bytes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def local_time() -> time:
    """The time of day here, for what it is worth; see `clock_is_set`."""
    return datetime.now().time()


def clock_is_set() -> bool:
    """Whether the kernel says that something keeps the wall clock right.

    Boards have no clock battery: until time has come over the network the date may be years off.
    Where the kernel cannot be asked the answer is no. See adjtimex(2).
    """
    state, status = _kernel_clock()
    return state not in (-1, _TIME_ERROR) and not status & _STA_UNSYNC


def _kernel_clock() -> tuple[int, int]:
    """State of the clock, -1 if it cannot be had, and its status bits."""
    # `modes` is 0: nothing is set, which needs no privilege.
    request = _Timex()
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except AttributeError:
        return -1, 0
    state = int(adjtimex(ctypes.byref(request)))
    return state, int(request.status)


@dataclass(frozen=True)
class Hours:
    """A part of every day, in local time; it may pass midnight."""

    start: time
    """The first moment that belongs to it."""
    end: time
    """The first moment that no longer does."""

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError(f"{self}: starts when it ends; give two different times")

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read hours as `22:00-08:00`.

        Raises:
            ValueError: it is anything else, or both times are the same.
        """
        try:
            start, end = (datetime.strptime(part, "%H:%M").time() for part in text.split("-"))
        except ValueError as error:
            raise ValueError(
                f"{text!r}: no hours of the day; give start and end, 00:00 to 23:59, as 22:00-08:00"
            ) from error
        return cls(start, end)

    def holds(self, now: time) -> bool:
        """Whether `now`, local time, is within these hours."""
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


def is_open(hours: Hours | None) -> bool:
    """Whether an installation with these opening hours is open here and now; None is always.

    A clock that is not known to be set closes nothing: a mirror that shows by night is the lesser
    harm.
    """
    return hours is None or not clock_is_set() or hours.holds(local_time())
