"""The sound service as its unit starts it, for a long time beside the least player there can be.

It may be judged only by what it counts: how long things take is the machine's affair.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from ears import LONGEST_SILENCE_S, Ears
from sound_latency import CHANNELS, heard_by_card, sounding, underruns_ns, with_card
from stalls import watching_stalls
from waiting import HANG_S, wait_for
from ytm_bundle.bundle import open_bundle
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.bus.channel import Publisher
from ytm_device.frame import Reflection
from ytm_device.run_dirs import endpoint
from ytm_device.sound.pcm import FULL_SCALE
from ytm_device.sound.realtime import PRIORITY
from ytm_device.sound.settings import SoundSettings
from ytm_device.sound.sink import PERIOD, PERIODS

Popen = subprocess.Popen[str]
SOAK_S = float(os.environ.get("YTM_SOAK_S", "15"))
REFLECTIONS_HZ = 30
HELD_FOR = 7
"""Reflections of one sound, a little different each time."""
STRUCK_EVERY = 100
"""Reflections."""
UNEXPLAINED_EVERY_S = 300
"""At most one in so long: a shared machine may stop a core between two looks of a watcher."""
STOPS = int(os.environ.get("YTM_STOPS", "6"))
STOPPED_S = 0.2
LONG_STOPS = 3
LONG_STOPPED_S = 0.4
CLICK = 1.3
"""A louder step than any in the sound itself; the loudest of few is not the loudest of all."""
SEED = 3
LOOK_S = 0.1
RATE_HZ = 48000
MEMORY = Path("/dev/shm")
PEER = "peer"
TOGETHER_S = 0.25
"""Two cards that run dry so soon after each other were stopped by the same thing."""
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") / 1024
GROWTH_KIB = 1024
"""Room for what an allocator keeps; six gestures that were kept would be more."""
LOAD = "import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"


@pytest.fixture(scope="session")
def player(tmp_path_factory: pytest.TempPathFactory, card_library: Path) -> Path:
    """`plain_player.c`, compiled."""
    program = tmp_path_factory.mktemp("player") / "plain_player"
    source = Path(__file__).with_name("plain_player.c")
    options = ["-Wall", "-Wextra", "-Werror", "-O1"]
    command = ["gcc", *options, "-o", program, source, "-lasound", "-lm"]
    subprocess.run(command, check=True, timeout=HANG_S)
    return program


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """In memory, as on a board: what the cards hear must not wait for a disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def cards(run_dir: Path, card_library: Path, environment: dict[str, str]) -> dict[str, str]:
    """The environment in which there is `card`, and another of the same kind for each player."""
    environment = with_card(run_dir, card_library, environment)
    with Path(environment["ALSA_CONFIG_PATH"]).open("a") as configuration:
        for name in (PEER, *_watchers()):
            files = f'file "{run_dir}/{name}.raw" log "{run_dir}/{name}.log"'
            configuration.write(f"pcm.{name} {{ type paced {files} }}\n")
    return environment


def _watchers() -> dict[str, int]:
    """By name, the core that each keeps to."""
    return {f"core{core}": core for core in sorted(os.sched_getaffinity(0))}


@contextmanager
def _loaded(core: int) -> Iterator[None]:
    """A process that leaves `core` no rest."""
    load = subprocess.Popen([sys.executable, "-c", LOAD.format(core=core)])
    try:
        yield
    finally:
        load.kill()
        load.wait(HANG_S)


@contextmanager
def _visited(run_dir: Path) -> Iterator[None]:
    """Reflections as of a camera before which somebody moves: other sounds, now and then struck."""
    leave = threading.Event()
    thread = threading.Thread(target=_visit, args=(run_dir, leave))
    thread.start()
    try:
        yield
    finally:
        leave.set()
        thread.join(HANG_S)


def _visit(run_dir: Path, leave: threading.Event) -> None:
    with open_bundle(DEMO_BUNDLE) as bundle, Publisher(endpoint(run_dir)) as publisher:
        replay = bundle.replay()
        sequence = moved_ns = 0
        while not leave.wait(1 / REFLECTIONS_HZ):
            taken_ns = time.monotonic_ns()
            moved_ns = taken_ns if sequence % STRUCK_EVERY == 0 else moved_ns
            at = sequence // HELD_FOR % len(replay.mels)
            mel = replay.mels[at] + np.float32(0.001 * (sequence % HELD_FOR))
            publisher.publish(
                Reflection(replay.images[at], mel, True, 1, taken_ns, sequence, bundle.id, moved_ns)
            )
            sequence += 1


@contextmanager
def _playing(
    player: Path, cards: dict[str, str], name: str, periods: int, seconds: float
) -> Iterator[Popen]:
    """The least player on the PCM `name`."""
    arguments = (RATE_HZ, PERIOD, periods, seconds, PRIORITY)
    command = [str(player), name, *map(str, arguments)]
    process = subprocess.Popen(command, env=cards, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _figures(process: Popen) -> dict[str, float]:
    """What it prints as it ends."""
    printed, complaints = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, complaints
    figures: dict[str, float] = json.loads(printed)
    return figures


@dataclass
class _Footprint:
    """Memory and open files of a process, as seen from time to time until it ends."""

    rss_kib: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def look(self, pid: int) -> None:
        proc = Path("/proc", str(pid))
        try:
            pages = int((proc / "statm").read_text().split()[1])
            files = len(list((proc / "fd").iterdir()))
        except OSError:
            return
        # A process that has ended, but has not been waited for, holds nothing.
        if pages:
            self.rss_kib.append(pages * PAGE_KIB)
            self.files.append(files)


def _thirds(values: list[float] | list[int]) -> tuple[float, float]:
    """Medians of the first and of the last third."""
    third = len(values) // 3
    return statistics.median(values[:third]), statistics.median(values[-third:])


def _dry_s(folder: Path) -> dict[str, list[float]]:
    """By card, when it ran dry."""
    names = ("card", PEER, *_watchers())
    return {name: [round(at / 1e9, 3) for at in underruns_ns(folder, name)] for name in names}


def _unexplained(folder: Path) -> list[float]:
    """Seconds at which the service's card ran dry, and that of no watcher."""
    own, *watched = (underruns_ns(folder, name) for name in ("card", *_watchers()))
    stalls_ns = np.concatenate([np.array(each, np.int64) for each in watched])
    near_ns = round(TOGETHER_S * 1e9)
    return [each / 1e9 for each in own if not np.any(np.abs(stalls_ns - each) <= near_ns)]


def test_runs_dry_only_where_the_least_player_does_and_is_no_larger_later(
    cards: dict[str, str], player: Path, run_dir: Path
) -> None:
    """The watchers' buffers are a period shorter: what a core did to them, it did to the service.

    The peer's buffer is as long; its count is printed only, for what stops one core stops either.
    """
    footprint = _Footprint()
    with ExitStack() as stack:
        stack.enter_context(_loaded(max(os.sched_getaffinity(0))))
        for name, core in _watchers().items():
            watcher = stack.enter_context(
                _playing(player, cards, name, PERIODS - 1, SOAK_S + HANG_S)
            )
            os.sched_setaffinity(watcher.pid, {core})
        peer = stack.enter_context(_playing(player, cards, PEER, PERIODS, SOAK_S))
        stack.enter_context(_visited(run_dir))
        flags = ("--seconds", SOAK_S, "--json")
        process = stack.enter_context(sounding(DEMO_BUNDLE, cards, run_dir, *flags))
        while process.poll() is None and peer.poll() is None:
            footprint.look(process.pid)
            time.sleep(LOOK_S)
        ours, theirs = _figures(process), _figures(peer)
    early_kib, late_kib = _thirds(footprint.rss_kib)
    print(f"\nours {ours}\ntheirs {theirs}\nran dry at, in s: {_dry_s(run_dir)}")
    print(f"rss {early_kib:g} KiB early, {late_kib:g} KiB late")
    assert (ours["period_samples"], ours["buffer_samples"]) == (PERIOD, PERIOD * PERIODS)
    assert ours["real_time"] == theirs["real_time"]
    assert ours["mode"] == "mirror"
    assert ours["strikes"] > 0
    assert len(_unexplained(run_dir)) <= max(1, SOAK_S // UNEXPLAINED_EVERY_S)
    assert (ours["sink"], ours["card_losses"], ours["problem"]) == ("card", 0, None)
    assert late_kib - early_kib <= GROWTH_KIB
    early, late = _thirds(footprint.files)
    assert late == early


def _stop(process: Popen, seconds: float) -> tuple[int, int]:
    """Stop it by SIGSTOP; from when until when, on CLOCK_MONOTONIC."""
    from_ns = time.monotonic_ns()
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)
    return from_ns, time.monotonic_ns()


def _wait_heard(folder: Path, seconds: float) -> None:
    """Wait until so much more has been heard."""
    raw = folder / "card.raw"
    size = raw.stat().st_size + round(seconds * RATE_HZ) * CHANNELS * 2
    wait_for(lambda: raw.stat().st_size > size)


def _is_within_ceiling(samples: np.ndarray) -> bool:
    ceiling = FULL_SCALE * 10 ** (SoundSettings().ceiling_dbfs / 20)
    return bool(np.abs(samples.astype(int)).max() <= ceiling)


def test_stops_of_200_ms_are_no_gap_and_no_click(cards: dict[str, str], run_dir: Path) -> None:
    """At random moments; a stop that the machine made too long may be an underrun."""
    chance = random.Random(SEED)
    stops: list[tuple[int, int]] = []
    with ExitStack() as stack:
        stalls = stack.enter_context(watching_stalls(run_dir))
        flags = ("--seconds", HANG_S + STOPS * 2, "--json")
        process = stack.enter_context(sounding(DEMO_BUNDLE, cards, run_dir, *flags))
        for _ in range(STOPS):
            _wait_heard(run_dir, chance.uniform(0.3, 0.6))
            stops.append(_stop(process, STOPPED_S))
        _wait_heard(run_dir, 1)
        process.terminate()
        figures = _figures(process)
        heard, ears = heard_by_card(run_dir), Ears(run_dir, RATE_HZ)
        silences = [
            (start, end)
            for start, end in ears.silences([(heard.starts[0][0], stops[-1][1])])
            if end - start - stalls.overlap_ns((start, end)) > LONGEST_SILENCE_S * 1e9
        ]
    held = np.zeros(heard.samples.size, bool)
    for from_ns, until_ns in stops:
        first, last = (heard.before(at_ns, RATE_HZ) for at_ns in (from_ns, until_ns))
        held[first : last + PERIODS * PERIOD] = True
    steps = np.abs(np.diff(heard.samples.astype(int)))
    clicks = {during: int(steps[held[1:] == during].max()) for during in (True, False)}
    print(f"\nours {figures}\nsilences {silences}; loudest steps {clicks}")
    assert silences == []
    assert figures["guard_ms"] >= 1000 * STOPPED_S
    assert figures["bridged"] + figures["underruns"] >= STOPS
    assert figures["underruns"] == heard.underruns == len(heard.starts) - 1
    assert clicks[True] <= CLICK * clicks[False]
    assert _is_within_ceiling(heard.samples)


def _stop_for_long(process: Popen, folder: Path) -> None:
    """Stop it for longer than the guard lasts, and let it go on until that is noticed."""
    before = heard_by_card(folder).underruns
    _stop(process, LONG_STOPPED_S)
    wait_for(lambda: heard_by_card(folder).underruns > before)
    _wait_heard(folder, 0.5)


def test_a_service_that_was_stopped_for_long_goes_on_softly(
    tiny_bundle_path: Path, cards: dict[str, str], run_dir: Path
) -> None:
    flags = ("--seconds", HANG_S, "--json")
    with sounding(tiny_bundle_path, cards, run_dir, *flags) as process:
        for _ in range(LONG_STOPS):
            _stop_for_long(process, run_dir)
        process.terminate()
        figures = _figures(process)
        ended_ns = time.monotonic_ns()
    heard = heard_by_card(run_dir)
    assert heard.underruns >= LONG_STOPS
    assert figures["underruns"] == heard.underruns == len(heard.starts) - 1
    # Each time, the guard was heard too, and after the last everything that was written.
    assert heard.samples.size >= figures["samples"]
    started_ns, first = heard.starts[-1]
    assert heard.samples.size - first <= (ended_ns - started_ns) * RATE_HZ / 1e9
    assert _is_within_ceiling(heard.samples)
    loudest = np.abs(heard.samples.astype(int)).max()
    for _, first in heard.starts:
        after = np.abs(heard.samples[first:].astype(int))
        silent = int(np.argmax(after > 0))
        assert after[silent : silent + 8].max() <= 0.01 * loudest + 2
    for _, first in heard.starts[1:]:
        assert np.abs(heard.samples[first - 8 : first].astype(int)).max() <= 0.01 * loudest + 2
