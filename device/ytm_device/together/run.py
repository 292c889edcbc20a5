"""The three services in the foreground: they start together and stop together."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from ytm_bundle.errors import DeviceError
from ytm_device.status import read_status
from ytm_device.together.member import Member

START_S = 60.0
"""How long a service may take until it first says how it is."""
_TURN_S = 0.05
_LEAVES = "screen"
"""The service that may end by itself, when somebody presses Esc."""


def run_together(
    services: Mapping[str, Sequence[str]],
    run_dir: Path,
    seconds: float | None,
    stop: threading.Event,
) -> None:
    """Run each service with its arguments until one leaves, `seconds` passed or `stop` is set.

    The seconds count from when every service is up. At the end all have stopped.

    Raises:
        DeviceError: a service failed, did not come up or had to be killed; it is named with its
            last error.
    """
    with ExitStack() as stack:
        members = [
            stack.enter_context(Member(name, arguments)) for name, arguments in services.items()
        ]
        if _wait_until_up(members, run_dir, stop):
            deadline_s = None if seconds is None else time.monotonic() + seconds
            while not stop.wait(_TURN_S) and not _left(members):
                if deadline_s is not None and time.monotonic() >= deadline_s:
                    break
        for member in members:
            member.stop()
    for member in members:
        # One that was stopped before it had begun to listen for signals ended by the signal.
        if member.exit_code not in (0, -signal.SIGTERM):
            raise _stopped(member)


def _wait_until_up(members: Sequence[Member], run_dir: Path, stop: threading.Event) -> bool:
    """Wait until each has said how it is; False if told to stop first."""
    deadline_s = time.monotonic() + START_S
    while not stop.wait(_TURN_S) and not _left(members):
        silent = [member.name for member in members if not read_status(run_dir, member.name)]
        if not silent:
            return True
        if time.monotonic() >= deadline_s:
            raise DeviceError(f"{', '.join(silent)}: not up after {START_S:g} s")
    return False


def _left(members: Sequence[Member]) -> bool:
    """Whether somebody left the mirror by Esc.

    Raises:
        DeviceError: another service ended, or one failed.
    """
    ended = [member for member in members if member.exit_code is not None]
    for member in ended:
        if member.exit_code != 0 or member.name != _LEAVES:
            raise _stopped(member)
    return bool(ended)


def _stopped(member: Member) -> DeviceError:
    return DeviceError(f"{member.name} stopped: {member.why()}")
