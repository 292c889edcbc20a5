"""What keeps a sound from being interrupted by its own process, as far as the system allows it."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
import threading

SWITCH_S = 0.0005
"""How long one Python thread may keep another waiting; Python's own 5 ms is a whole period."""
PRIORITY = 20
"""Of SCHED_FIFO: above everything ordinary, below the kernel's own threads."""
WINDOW_S = 1.0
MOST_SHARE = 0.8
"""Of the thread's processor. On a board the sound takes some hundredths."""
GREEDY_WINDOWS = 4
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


def steady_process() -> bool:
    """Keep memory in RAM and the garbage collector off. For a process that plays and nothing else.

    Returns:
        Whether memory is locked; a process needs to be root, or no RLIMIT_MEMLOCK, for it.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    # What is there stays, so that `collect_garbage` has little to look through.
    gc.freeze()
    gc.disable()
    # With a limit, what the process asks for later would be refused once it is reached.
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if limit != resource.RLIM_INFINITY and os.geteuid() != 0:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def collect_garbage() -> None:
    """Free what the collector would have freed; well below a millisecond if called every second."""
    gc.collect()


def urgent_thread() -> bool:
    """Give the calling thread real-time priority.

    Returns:
        Whether it has it; it needs CAP_SYS_NICE, or room in RLIMIT_RTPRIO.
    """
    try:
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_FIFO, os.sched_param(PRIORITY))
    except PermissionError:
        return False
    return True


def ordinary_thread() -> None:
    """Take real-time priority from the calling thread again."""
    os.sched_setscheduler(threading.get_native_id(), os.SCHED_OTHER, os.sched_param(0))


class Appetite:
    """What share of its processor the sound takes.

    A thread with real-time priority that is never done leaves nothing to the picture and the
    camera: a sound that is too much for the processor is late anyway, and need not take all with
    it.
    """

    def __init__(self, rate_hz: int) -> None:
        """Of a sound at `rate_hz`."""
        self._window = round(WINDOW_S * rate_hz)
        self._rate_hz = rate_hz
        self._samples, self._took_s = 0, 0.0
        self._greedy = 0
        self.share = 0.0
        """In the last whole window."""

    def made(self, samples: int, took_s: float) -> bool:
        """Note that so many samples took so many seconds of the processor.

        Returns:
            Whether it was too much, `GREEDY_WINDOWS` times in a row.
        """
        self._samples += samples
        self._took_s += took_s
        if self._samples >= self._window:
            self.share = self._took_s * self._rate_hz / self._samples
            self._greedy = self._greedy + 1 if self.share > MOST_SHARE else 0
            self._samples, self._took_s = 0, 0.0
        return self._greedy >= GREEDY_WINDOWS
