"""Ask for several things at once, and wait for none of them longer than allowed.

Whoever reads from a sick disk or driver may hang in the kernel, where not even a kill reaches; a
process whose thread hangs so cannot end. So each question has a process of its own: one that does
not answer in time is killed, which may take effect much later, and left behind.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

Ask = Callable[[], Any]
"""Gives what JSON can hold."""
MAX_ANSWER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16


def gather(questions: Mapping[str, Ask], within_s: float) -> dict[str, Any]:
    """Ask all `questions` at once. Name -> answer, of those that answered `within_s`.

    Must be called by the only thread of this process, which is copied for each question.
    """
    deadline_s = time.monotonic() + within_s
    asked: dict[int, tuple[str, int]] = {}
    for name, ask in questions.items():
        # Neither a process nor a pipe to be had is no answer.
        with suppress(OSError):
            pid, reading = _begin(ask)
            asked[reading] = (name, pid)
    answers = _collect(list(asked), deadline_s)
    for _, pid in asked.values():
        # The leader of its group: what it started is killed with it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    return {asked[reading][0]: value for reading, value in answers.items()}


def _begin(ask: Ask) -> tuple[int, int]:
    """Process that answers, and where its answer can be read."""
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if pid == 0:
        _answer(ask, writing)
    # Here as well as there, so that the group is there whoever comes first.
    with suppress(OSError):
        os.setpgid(pid, pid)
    os.close(writing)
    os.set_blocking(reading, False)
    return pid, reading


def _answer(ask: Ask, writing: int) -> None:
    """Answer, in the process made for it, and end it whatever happens."""
    try:
        os.setpgid(0, 0)
        # If this hangs, nobody who reads what `ytm-health` prints shall wait for its end.
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nothing, standard)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(ask()).encode())
    finally:
        os._exit(0)


def _collect(readings: list[int], deadline_s: float) -> dict[int, Any]:
    """What can be read whole before `deadline_s`, on CLOCK_MONOTONIC; closes all `readings`."""
    parts: dict[int, bytearray] = {reading: bytearray() for reading in readings}
    waiting, answers = set(readings), {}
    poll = select.poll()
    for reading in readings:
        poll.register(reading, select.POLLIN)
    while waiting and (left_s := deadline_s - time.monotonic()) > 0:
        for reading, _ in poll.poll(left_s * 1000):
            chunk = os.read(reading, _CHUNK_BYTES)
            parts[reading] += chunk
            if chunk and len(parts[reading]) <= MAX_ANSWER_BYTES:
                continue
            poll.unregister(reading)
            waiting.discard(reading)
            with suppress(ValueError):
                answers[reading] = json.loads(parts[reading])
    for reading in readings:
        os.close(reading)
    return answers
