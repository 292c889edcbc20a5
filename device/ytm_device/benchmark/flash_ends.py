"""Where a flash is looked for: the screen and the sound of a mirror, each a process of its own.

They do what the services `screen` and `sound` do, with a display and a card that are watched.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import DeviceError, YtmError
from ytm_device.owner import Owner
from ytm_device.settings.model import MirrorSettings

READY_S = 60.0
STOP_S = 10.0
SOFTER_DB = 12.0
"""Than a mirror's answers: a flash is noise in every band."""
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Task:
    """What a process is given."""

    bundle: Path
    """Where it lies."""
    run_dir: Path
    """An empty folder, of the bus."""
    settings: MirrorSettings
    """Which screen and card."""
    root: Path = Path("/")
    """Where `/sys` and `/dev` are."""


Run = Callable[[Task, Connection], Any]
"""Works until the connection says something or ends; says "ready" on it once it works."""


class End(Owner):
    """A process that runs until it is told to stop, and then says what it has seen or heard."""

    def __init__(self, name: str, run: Run, task: Task) -> None:
        """Start it."""
        self._name = name
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(run, task, theirs), daemon=True)
        # A helper of multiprocessing, which would lift the mask when it is first needed.
        resource_tracker.ensure_running()
        with _uninterrupted():
            self._process.start()
        theirs.close()

    def wait_ready(self) -> str:
        """Wait until it works; on what.

        Raises:
            DeviceError: it does not.
        """
        return str(self._take(READY_S))

    def result(self) -> Any:
        """Tell it to stop, and take what it has found.

        Raises:
            DeviceError: it failed.
        """
        self._connection.send("stop")
        return self._take(STOP_S)

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self._process.join(STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _take(self, within_s: float) -> Any:
        try:
            if not self._connection.poll(within_s):
                raise DeviceError(f"{self._name}: no answer in {within_s:g} s")
            found = self._connection.recv()
        except (EOFError, OSError) as error:
            raise DeviceError(f"{self._name}: its process ended") from error
        if isinstance(found, YtmError):
            raise found
        return found


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until what is inside is done; a process that is started there is deaf to it.

    It reaches all processes of a terminal; the command stops the others in order.
    """
    waiting: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _frame: waiting.append(number))
    # The handler is for this process, whose other threads may take the signal; the mask is for the
    # new one, which has it from its first instruction on.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if waiting:
        raise KeyboardInterrupt


def _run(run: Run, task: Task, connection: Connection) -> None:
    """What the process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    os.environ.pop("NOTIFY_SOCKET", None)
    try:
        found = run(task, connection)
    except YtmError as error:
        found = error
    except (EOFError, OSError):
        return
    try:
        connection.send(found)
    except OSError:  # Nobody wants to know any more.
        return


def screen_end(task: Task, connection: Connection) -> Any:
    """Show what is published; gives `Shown`."""
    from ytm_device.attendant import Attendant
    from ytm_device.benchmark.screening import WatchedDisplay, is_headless, opened, places_in
    from ytm_device.bus.channel import Subscriber
    from ytm_device.replay import Programme
    from ytm_device.run_dirs import endpoint
    from ytm_device.screen.service import SERVICE, Show
    from ytm_device.settings.source import SettingsSource

    screen, places = task.settings.screen, places_in(task.root)
    headless = is_headless(screen, places)
    flags = {f"screen.{key}": value for key, value in screen.model_dump().items()}
    source = SettingsSource(task.run_dir / "no.toml", task.run_dir, flags)
    with (
        open_bundle(task.bundle) as bundle,
        Attendant(SERVICE, task.run_dir, source, time.monotonic_ns()) as attendant,
        Subscriber(endpoint(task.run_dir)) as subscriber,
        WatchedDisplay(bundle.manifest.image, screen, headless, places) as display,
    ):
        show = Show(bundle.manifest.image, Programme(bundle), subscriber, display, attendant)
        connection.send(opened(display))
        while not connection.poll():
            begun_ns = time.monotonic_ns()
            if show.turn(begun_ns):
                raise DeviceError("screen: somebody left the mirror; measure again")
            left_ns = begun_ns + show.turn_ns - time.monotonic_ns()
            time.sleep(max(0, left_ns) / _NS_PER_S)
        connection.recv()
        return display.shown


def sound_end(task: Task, connection: Connection) -> Any:
    """Play what is published; gives when sounds began after a silence, and the underruns."""
    from ytm_device.benchmark.writing import open_sink
    from ytm_device.bus.channel import Subscriber
    from ytm_device.replay import Programme
    from ytm_device.run_dirs import endpoint
    from ytm_device.sound.loop import AudioLoop
    from ytm_device.sound.player import player_for
    from ytm_device.sound.realtime import steady_process
    from ytm_device.sound.service import WAIT_S

    steady_process()
    with (
        open_bundle(task.bundle) as bundle,
        Subscriber(endpoint(task.run_dir)) as subscriber,
        open_sink(task.settings.sound, bundle.manifest.sound.playback_rate_hz) as sink,
    ):
        programme, player, heard = Programme(bundle), player_for(bundle), None
        player.gain.target_db -= SOFTER_DB
        with AudioLoop(player, sink) as loop:
            connection.send(sink.name)
            while not connection.poll() and loop.failure is None:
                on = programme.at(time.monotonic_ns(), subscriber.newest(WAIT_S))
                if on.heard is not heard:
                    heard = on.heard
                    player.follow(heard, on.mirror.moved_ns if on.mirror else 0)
        if loop.failure is not None:
            raise DeviceError(f"{sink.name}: {loop.failure}") from loop.failure
        connection.recv()
        return sink.watch.onsets_ns, sink.underruns
