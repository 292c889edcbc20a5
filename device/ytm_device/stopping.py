"""One event that every way of ending sets: a signal, the time given, the parent's death."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STANDARD_INPUT = 0


@contextmanager
def stopping(
    seconds: float | None = None, *, with_parent: bool = False
) -> Iterator[threading.Event]:
    """Give an event that is set by SIGINT, SIGTERM or SIGHUP. For the main thread.

    Args:
        seconds: set it after so long, too.
        with_parent: set it when standard input ends, too: a parent that holds its other end cannot
            die, even by SIGKILL, and leave this process behind.
    """
    stop = threading.Event()
    # A handler interrupts the main thread anywhere, also where it holds the event's own lock: it
    # cannot set the event without a deadlock. A SimpleQueue may be interrupted by its own `put`.
    asked: SimpleQueue[None] = SimpleQueue()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        asked.put(None)

    setter = threading.Thread(target=_set_when_asked, args=(asked, stop), daemon=True)
    setter.start()
    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    timer = threading.Timer(seconds or 0, stop.set)
    timer.daemon = True
    try:
        if seconds is not None:
            timer.start()
        if with_parent:
            threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
        yield stop
    finally:
        timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
        asked.put(None)
        setter.join()


def _set_when_asked(asked: SimpleQueue[None], stop: threading.Event) -> None:
    asked.get()
    stop.set()


def _watch_input(stop: threading.Event) -> None:
    while os.read(_STANDARD_INPUT, 1):
        pass
    stop.set()
