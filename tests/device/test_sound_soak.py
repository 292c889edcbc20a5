"""The sound service as its unit starts it, for a long time beside the least player there can be.

It may be judged only by what it counts: how long things take is the machine's affair.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from mirror_process import COMMAND
from waiting import HANG_S, wait_for
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.sound.pcm import FULL_SCALE
from ytm_device.sound.realtime import PRIORITY
from ytm_device.sound.settings import SoundSettings
from ytm_device.status import read_status

SOAK_S = float(os.environ.get("YTM_SOAK_S", "15"))
STOPS = 8
STOPPED_S = 0.2
LOOK_S = 0.1
RATE_HZ, CHANNELS = 48000, 2
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") / 1024
GROWTH_KIB = 512
"""What the allocator may keep more of, later in a run."""
CONFIGURATION = """
pcm_type.paced {{ lib "{library}" }}
pcm.card {{ type paced file "{folder}/card.raw" log "{folder}/card.log" }}
pcm.other {{ type paced file "{folder}/other.raw" log "{folder}/other.log" }}
"""
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
def cards(tmp_path: Path, card_library: Path, environment: dict[str, str]) -> dict[str, str]:
    """The environment in which there are two paced cards of the same kind."""
    configuration = tmp_path / "asound.conf"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path, library=card_library))
    return environment | {"ALSA_CONFIG_PATH": str(configuration)}


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
def _sounding(
    bundle: Path, cards: dict[str, str], folder: Path, seconds: float
) -> Iterator[subprocess.Popen[str]]:
    """The service on `card` for `seconds`; what is inside begins when it plays."""
    arguments = ["sound", "--pcm", "card", "--bundle", bundle, "--run-dir", folder]
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--seconds", str(seconds), "--json"],
        env=cards,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(
            lambda: process.poll() is not None or read_status(folder, "sound").get("samples", 0)
        )
        assert process.poll() is None, process.communicate()[1]
        yield process
    finally:
        process.kill()
        process.communicate()


def _figures(process: subprocess.Popen[str]) -> dict[str, float]:
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


def test_as_steady_as_the_least_player_and_no_larger_later(
    cards: dict[str, str], player: Path, tmp_path: Path
) -> None:
    footprint = _Footprint()
    core = max(os.sched_getaffinity(0))
    with _loaded(core), _sounding(DEMO_BUNDLE, cards, tmp_path, SOAK_S) as process:
        status = read_status(tmp_path, "sound")
        period = int(status["period_samples"])
        shape = (RATE_HZ, period, int(status["buffer_samples"]) // period, SOAK_S, PRIORITY)
        command = [str(player), "other", *map(str, shape)]
        with subprocess.Popen(command, env=cards, stdout=subprocess.PIPE, text=True) as beside:
            while process.poll() is None and beside.poll() is None:
                footprint.look(process.pid)
                time.sleep(LOOK_S)
            ours = _figures(process)
            theirs = json.loads(beside.communicate(timeout=SOAK_S + HANG_S)[0])
    early_kib, late_kib = _thirds(footprint.rss_kib)
    print(f"\nours {ours}\ntheirs {theirs}\nrss {early_kib:g} KiB early, {late_kib:g} KiB late")
    assert ours["sink"] == "card"
    assert ours["real_time"] == theirs["real_time"]
    assert ours["underruns"] <= theirs["underruns"]
    assert (ours["card_losses"], ours["problem"]) == (0, None)
    assert late_kib - early_kib <= GROWTH_KIB
    early, late = _thirds(footprint.files)
    assert late == early


@dataclass(frozen=True)
class _Heard:
    """What the card heard, and what it noted of it."""

    samples: np.ndarray
    """int16 (n,)"""
    starts: list[tuple[int, int]]
    """Time in ns, index of the first sample heard then."""
    underruns: int


def _heard(folder: Path) -> _Heard:
    frames = np.fromfile(folder / "card.raw", "<i2").reshape(-1, CHANNELS)
    lines = [line.split() for line in (folder / "card.log").read_text().splitlines()]
    starts = [(int(words[1]), int(words[2])) for words in lines if words[0] == "START"]
    return _Heard(frames[:, 0], starts, sum(words[0] == "UNDERRUN" for words in lines))


def _stop_for_a_while(process: subprocess.Popen[str], folder: Path) -> None:
    """Stop it for many buffers' length, and let it go on until that is noticed."""
    before = _heard(folder).underruns
    process.send_signal(signal.SIGSTOP)
    time.sleep(STOPPED_S)
    process.send_signal(signal.SIGCONT)
    wait_for(lambda: _heard(folder).underruns > before)
    size = (folder / "card.raw").stat().st_size
    wait_for(lambda: (folder / "card.raw").stat().st_size > size + RATE_HZ * CHANNELS)


def test_a_service_that_was_stopped_goes_on_softly(
    tiny_bundle_path: Path, cards: dict[str, str], tmp_path: Path
) -> None:
    with _sounding(tiny_bundle_path, cards, tmp_path, HANG_S) as process:
        for _ in range(STOPS):
            _stop_for_a_while(process, tmp_path)
        process.terminate()
        figures = _figures(process)
        ended_ns = time.monotonic_ns()
    heard = _heard(tmp_path)
    assert heard.underruns >= STOPS
    assert figures["underruns"] == heard.underruns == len(heard.starts) - 1
    assert heard.samples.size == figures["samples"]
    # Everything has been heard, so no more than the rate allows can have been written since.
    started_ns, first = heard.starts[-1]
    assert heard.samples.size - first <= (ended_ns - started_ns) * RATE_HZ / 1e9
    loudest = np.abs(heard.samples.astype(int)).max()
    assert loudest <= FULL_SCALE * 10 ** (SoundSettings().ceiling_dbfs / 20)
    for _, first in heard.starts:
        after = np.abs(heard.samples[first:].astype(int))
        silent = int(np.argmax(after > 0))
        assert after[silent : silent + 8].max() <= 0.01 * loudest + 2
