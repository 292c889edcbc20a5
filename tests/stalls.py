"""When this machine stood still: a shared one takes cores away, for tens of milliseconds and more.

    python tests/stalls.py CORE

prints a line for each time in which the core did not run it, as CLOCK_MONOTONIC nanoseconds. It
runs at real-time priority where it may, above the services: what stopped it was the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from waiting import HANG_S, wait_for

STALL_S = 0.02
PRIORITY = 30
_TURN_S = 0.005
_NS_PER_S = 1_000_000_000
Span = tuple[int, int]


def watch(core: int) -> None:
    """Watch one core, for ever."""
    os.sched_setaffinity(0, {core})
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    before_ns = time.monotonic_ns()
    while True:
        time.sleep(_TURN_S)
        now_ns = time.monotonic_ns()
        if now_ns - before_ns > STALL_S * _NS_PER_S:
            print(before_ns, now_ns, flush=True)
        before_ns = now_ns


class Stalls:
    """What the watchers of all cores have noted."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def overlap_ns(self, span: Span) -> int:
        """For how much of `span` a core stood still; the worst core's."""
        return max(sum(_overlap_ns(span, each) for each in _noted(file)) for file in self._files)


def _noted(file: Path) -> list[Span]:
    lines = (line.split() for line in file.read_text().splitlines())
    return [(int(words[0]), int(words[1])) for words in lines if len(words) == 2]


def _overlap_ns(a: Span, b: Span) -> int:
    return max(0, min(a[1], b[1]) - max(a[0], b[0]))


@contextmanager
def watching_stalls(folder: Path) -> Iterator[Stalls]:
    """Watch every core that this process may run on; notes go into `folder`."""
    with ExitStack() as stack:
        files = []
        for core in sorted(os.sched_getaffinity(0)):
            file = folder / f"core{core}"
            with file.open("wb") as output:
                command = [sys.executable, __file__, str(core)]
                process = subprocess.Popen(command, stdout=output)
            stack.callback(process.wait, HANG_S)
            stack.callback(process.kill)
            wait_for(lambda pid=process.pid, core=core: os.sched_getaffinity(pid) == {core})
            files.append(file)
        yield Stalls(files)


if __name__ == "__main__":
    watch(int(sys.argv[1]))
