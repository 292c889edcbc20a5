"""Every way of ending sets the event, wherever the main thread is at that moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from waiting import HANG_S, wait_for
from ytm_device.stopping import SIGNALS, stopping

WAITING_OFTEN = """
import os
from ytm_device.stopping import stopping
with stopping() as stop:
    print("waiting", flush=True)
    for _ in range(200_000):
        stop.wait(0)
    stop.wait()
    os._exit(0)  # while signals are still caught
"""
UNTIL_INPUT_ENDS = """
from ytm_device.stopping import stopping
with stopping(with_parent=True) as stop:
    print("waiting", flush=True)
    stop.wait()
"""


@contextmanager
def waiting(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `code`, which says that it waits."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"waiting\n"
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_sets_it_and_handlers_are_put_back(number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in SIGNALS}
    with stopping() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(HANG_S)
    assert {each: signal.getsignal(each) for each in SIGNALS} == before


def test_time_sets_it() -> None:
    with stopping(0.01) as stop:
        assert stop.wait(HANG_S)


def test_a_signal_while_the_event_is_waited_for_does_not_deadlock() -> None:
    """An event set by the handler itself would wait for a lock that the same thread holds."""
    with waiting(WAITING_OFTEN) as child:
        wait_for(lambda: child.poll() is not None, lambda: child.send_signal(signal.SIGTERM))
        assert child.returncode == 0


def test_the_end_of_the_parent_sets_it() -> None:
    with waiting(UNTIL_INPUT_ENDS) as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(HANG_S) == 0
