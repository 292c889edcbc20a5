from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ytm_device.systemd import MAX_STATUS, Notifier


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        yield listening


def test_everything_is_said_as_systemd_wants_it(listener: socket.socket) -> None:
    address = listener.getsockname()
    with Notifier.from_environment({"NOTIFY_SOCKET": address}) as notifier:
        notifier.ready()
        notifier.status("mirror:\n the camera  is gone")
        notifier.alive()
        notifier.stopping()
    said = [listener.recv(1000).decode() for _ in range(4)]
    assert said == ["READY=1", "STATUS=mirror: the camera is gone", "WATCHDOG=1", "STOPPING=1"]


def test_an_abstract_address() -> None:
    name = f"ytm-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(30)
        with Notifier(f"@{name}") as notifier:
            notifier.ready()
        assert listening.recv(100) == b"READY=1"


def test_a_long_status_is_cut(listener: socket.socket) -> None:
    with Notifier(listener.getsockname()) as notifier:
        notifier.status("x" * 10_000)
    assert len(listener.recv(20_000)) == len("STATUS=") + MAX_STATUS


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "5000000"}, 5.0),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}, 5.0),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_that_was_armed(environment: dict[str, str], watchdog_s: float | None) -> None:
    with Notifier.from_environment(environment) as notifier:
        assert notifier.watchdog_s == watchdog_s


def test_nobody_listens(tmp_path: Path) -> None:
    for address in (None, str(tmp_path / "nobody")):
        with Notifier(address) as notifier:
            notifier.ready()
            notifier.alive()


def test_a_listener_that_reads_nothing_holds_nobody_up(listener: socket.socket) -> None:
    with Notifier(listener.getsockname()) as notifier:
        for _ in range(10_000):
            notifier.alive()
    assert listener.recv(100) == b"WATCHDOG=1"
