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
