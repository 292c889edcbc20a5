"""Does for processes what systemd does for the units, and notes when.

Of a unit it takes `WatchdogSec=`, `RestartSec=`, `TimeoutStartSec=`, `TimeoutStopSec=`, `Nice=`
and `Environment=`. It never gives up: the start limit is left out, so that a hundred kills are a
hundred restarts. The units themselves are tested under systemd.
"""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from waiting import HANG_S, wait_for

UNITS = Path(__file__).parents[1] / "provisioning/units"
_DATAGRAM_BYTES = 4096
_LOOK_S = 0.02
_NS_PER_S = 1_000_000_000
_UNITS_OF_TIME = {"ms": 1e-3, "min": 60.0, "s": 1.0}


@dataclass(frozen=True)
class Unit:
    """One service, as its unit file has it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    watchdog_s: float
    restart_s: float
    start_s: float
    """Until READY=1."""
    nice: int
    stop_s: float
    """From SIGTERM, or the watchdog's SIGABRT, to SIGKILL."""


def unit_from_file(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    watchdog_s: float | None = None,
) -> Unit:
    """The unit of the service `name`, but for what it starts; `watchdog_s` is over the unit's."""
    lines = (UNITS / f"ytm-{name}.service").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("=")[::2] for line in lines if "=" in line and line[0] != "#"]
    words = [shlex.split(value) for key, value in pairs if key == "Environment"]
    set_there = dict(word.split("=", 1) for line in words for word in line)
    # What lies in /run there lies in this run's folder here.
    set_there.pop("GST_REGISTRY_1_0", None)
    said = dict(pairs)
    return Unit(
        name=name,
        command=command,
        environment={**environment, **set_there},
        watchdog_s=watchdog_s or _seconds(said["WatchdogSec"]),
        restart_s=_seconds(said["RestartSec"]),
        start_s=_seconds(said["TimeoutStartSec"]),
        nice=int(said.get("Nice", 0)),
        stop_s=_seconds(said["TimeoutStopSec"]),
    )


def _seconds(text: str) -> float:
    for ending, seconds in _UNITS_OF_TIME.items():
        if text.endswith(ending):
            return float(text.removesuffix(ending)) * seconds
    return float(text)


@dataclass
class Run:
    """One process of a service. Times on CLOCK_MONOTONIC."""

    service: str
    pid: int
    started_ns: int
    ready_ns: int | None = None
    gone_ns: int | None = None
    """When it was killed, or stopped and left so until the watchdog bit: it ran no more."""
    bitten_ns: int | None = None
    """When the watchdog bit, or the start took too long."""
    ended_ns: int | None = None
    code: int | None = None
    """As `Popen.returncode` has it: negative, a signal."""
    status: str = ""
    alive_ns: list[int] = field(default_factory=list)
    """When it last said that it was alive; only the newest."""


class _Keeper:
    """Keeps one unit running."""

    def __init__(self, unit: Unit, folder: Path) -> None:
        self.unit = unit
        self.runs: list[Run] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.due_ns: int | None = time.monotonic_ns()
        self._log = folder / f"{unit.name}.log"
        address = folder / f"{unit.name}.notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.socket.setblocking(False)
        self.socket.bind(str(address))
        self._environment = {
            **unit.environment,
            "NOTIFY_SOCKET": str(address),
            "WATCHDOG_USEC": str(round(unit.watchdog_s * 1e6)),
        }

    @property
    def run(self) -> Run | None:
        """The newest one."""
        return self.runs[-1] if self.runs else None

    def start(self) -> None:
        self.due_ns = None
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.unit.command),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, self.process.pid, self.unit.nice)
        self.runs.append(Run(self.unit.name, self.process.pid, time.monotonic_ns()))

    def hear(self) -> None:
        """Take what it says. What a process said that has ended is heard before its end."""
        while True:
            try:
                words = self.socket.recv(_DATAGRAM_BYTES).decode().splitlines()
            except BlockingIOError:
                return
            run, now_ns = self.run, time.monotonic_ns()
            if run is None:
                continue
            for word in words:
                if word == "READY=1" and run.ready_ns is None:
                    run.ready_ns = now_ns
                if word in ("READY=1", "WATCHDOG=1"):
                    run.alive_ns[:] = [now_ns]
                if word.startswith("STATUS="):
                    run.status = word.removeprefix("STATUS=")

    def look(self, now_ns: int, restarts: bool) -> None:
        """Notice its end or its silence, and start it when it is time to."""
        self.hear()
        if self.process is None:
            if restarts and self.due_ns is not None and now_ns >= self.due_ns:
                self.start()
        elif self.process.poll() is not None:
            self._ended(now_ns)
        else:
            self._judge(now_ns)

    def _ended(self, now_ns: int) -> None:
        run = self.runs[-1]
        assert self.process is not None
        self.hear()
        run.ended_ns, run.code = now_ns, self.process.returncode
        self.process = None
        self.due_ns = now_ns + round(self.unit.restart_s * _NS_PER_S)

    def _judge(self, now_ns: int) -> None:
        run = self.runs[-1]
        if run.bitten_ns is not None:
            if now_ns - run.bitten_ns > self.unit.stop_s * _NS_PER_S:
                self.signal(signal.SIGKILL)
            return
        since_ns, allowed_s = run.started_ns, self.unit.start_s
        if run.ready_ns is not None:
            since_ns, allowed_s = run.alive_ns[0], self.unit.watchdog_s
        if now_ns - since_ns > allowed_s * _NS_PER_S:
            run.bitten_ns = now_ns
            # As systemd does: a process that was stopped is to hear it, too.
            self.signal(signal.SIGABRT)
            self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        process = self.process
        if process is not None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)


class Supervisor:
    """Keeps units running. Its thread does everything; other threads look, signal, and wait."""

    def __init__(self, units: Sequence[Unit], folder: Path) -> None:
        """Start them all; `folder` gets what they print, `<service>.log`."""
        self._keepers = {unit.name: _Keeper(unit, folder) for unit in units}
        self._restarts, self._leave = True, threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def runs(self, service: str) -> tuple[Run, ...]:
        """Its processes so far, oldest first; none of a service that is not kept."""
        keeper = self._keepers.get(service)
        return () if keeper is None else tuple(keeper.runs)

    def run(self, service: str) -> Run:
        """Its newest process."""
        return wait_for(lambda: self._keepers[service].run)

    def signal(self, service: str, number: signal.Signals) -> None:
        """Send a signal to the process that runs, if one does."""
        self._keepers[service].signal(number)

    @contextmanager
    def stopped(self, service: str) -> Iterator[None]:
        """Hold it by SIGSTOP."""
        self.signal(service, signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(service, signal.SIGCONT)

    def hold(self, service: str) -> Run:
        """Stop it by SIGSTOP, and leave it to the watchdog."""
        run = self.run(service)
        run.gone_ns = time.monotonic_ns()
        self.signal(service, signal.SIGSTOP)
        return run

    def kill(self, service: str) -> Run:
        """Kill what runs by SIGKILL."""
        run = self.run(service)
        run.gone_ns = time.monotonic_ns()
        self.signal(service, signal.SIGKILL)
        return run

    def wait_ready(self, service: str, after: Run | None = None) -> Run:
        """Wait until a process of it, newer than `after`, is ready."""

        def found() -> Run | None:
            assert self.failure is None, self.failure
            run = self._keepers[service].run
            is_new = run is not None and run is not after
            return run if is_new and run is not None and run.ready_ns is not None else None

        return wait_for(found)

    def close(self) -> dict[str, int | None]:
        """SIGTERM to all, SIGKILL to who takes too long; gives the code each ended with."""
        self._restarts = False
        asked_ns = time.monotonic_ns()
        for keeper in self._keepers.values():
            keeper.signal(signal.SIGCONT)
            keeper.signal(signal.SIGTERM)
            stop_ns = round(keeper.unit.stop_s * _NS_PER_S)
            wait_for(partial(_ended_or_late, keeper, asked_ns + stop_ns))
            keeper.signal(signal.SIGKILL)
        wait_for(lambda: all(keeper.process is None for keeper in self._keepers.values()))
        self._leave.set()
        self._thread.join(HANG_S)
        assert self.failure is None, self.failure
        for keeper in self._keepers.values():
            keeper.socket.close()
        return {name: keeper.runs[-1].code for name, keeper in self._keepers.items()}

    def _watch(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                for keeper in self._keepers.values():
                    selector.register(keeper.socket, selectors.EVENT_READ)
                while not self._leave.is_set():
                    selector.select(_LOOK_S)
                    for keeper in self._keepers.values():
                        keeper.look(time.monotonic_ns(), self._restarts)
        except BaseException as error:
            self.failure = error


def _ended_or_late(keeper: _Keeper, deadline_ns: int) -> bool:
    return keeper.process is None or time.monotonic_ns() > deadline_ns


@contextmanager
def supervising(units: Sequence[Unit], folder: Path) -> Iterator[Supervisor]:
    """Units that run, and are stopped at the end."""
    supervisor = Supervisor(units, folder)
    try:
        yield supervisor
    finally:
        supervisor.close()
