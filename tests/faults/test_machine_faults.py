"""A clock that jumps by years, memory that is taken, and cores that have no rest."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from installation import Installation, installed
from planting import planted
from waiting import HANG_S
from ytm_device.options import REFLECT, SERVICES

YEARS = (10, -10, 0)
YEAR_S = 31_557_600
HELD_S = float(os.environ.get("YTM_MACHINE_S", "4"))
"""How long each state of the machine lasts."""
SHARE = 0.6
"""Of the memory that is free."""
MOST_BYTES = int(float(os.environ.get("YTM_PRESSURE_GIB", "1")) * 2**30)
LOADS_A_CORE = 2
TAKE = """
import mmap, sys
taken = mmap.mmap(-1, int(sys.argv[1]))
for at in range(0, len(taken), mmap.PAGESIZE):
    taken[at] = 1
print("taken", flush=True)
sys.stdin.read()
"""
BUSY = "while True: pass"


@pytest.fixture(scope="module")
def installation(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> Iterator[Installation]:
    with installed(folder, bundle, ball, card_library, environment) as running:
        running.mirrors()
        yield running


@contextmanager
def loaded() -> Iterator[None]:
    """Every core has more to do than it can."""
    with ExitStack() as stack:
        for _ in range(LOADS_A_CORE * len(os.sched_getaffinity(0))):
            process = subprocess.Popen([sys.executable, "-c", BUSY])
            stack.callback(process.wait, HANG_S)
            stack.callback(process.kill)
        yield


@contextmanager
def memory_taken() -> Iterator[int]:
    """Much of the free memory is another's; gives how many bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    size = min(int(SHARE * kib * 1024), MOST_BYTES)
    command = [sys.executable, "-c", TAKE, str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"taken\n"
        yield size
        process.stdin.close()


def goes_on(installation: Installation) -> None:
    """For a while, everything is done and done again."""
    before = installation.wait_status(REFLECT)["reflections"]
    time.sleep(HELD_S)
    for name in SERVICES:
        installation.wait_status(name, mode="mirror")
    assert installation.wait_status(REFLECT)["reflections"] > before


def test_busy_cores_are_not_heard(installation: Installation) -> None:
    with planted(installation, "cores loaded") as fault:
        with loaded():
            goes_on(installation)
        fault.recovered()


def test_taken_memory_is_not_heard(installation: Installation) -> None:
    with planted(installation, "memory pressure") as fault:
        with memory_taken():
            goes_on(installation)
        fault.recovered()


@pytest.fixture(scope="module")
def clock_library(tmp_path_factory: pytest.TempPathFactory, card_library: Path) -> Path:
    """`moved_clock.c`, compiled, where a compiler is."""
    library = tmp_path_factory.mktemp("clock") / "libmoved.so"
    source = Path(__file__).with_name("moved_clock.c")
    options = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    subprocess.run(["gcc", *options, "-o", library, source], check=True, timeout=HANG_S)
    return library


def move(file: Path, years: int) -> None:
    """Let the wall clock jump so far from the true one."""
    with file.open("r+b" if file.exists() else "wb") as moved:
        moved.write(struct.pack("<q", years * YEAR_S))


def around(years: int) -> range:
    """The difference in years, on the last day of one or the first of another."""
    return range(years - 1, years + 2)


def year_of(environment: Mapping[str, str]) -> int:
    """What year a process of this environment believes it is."""
    command = [sys.executable, "-c", "import datetime; print(datetime.datetime.now().year)"]
    return int(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


def test_a_clock_that_jumps_by_years_changes_nothing(
    folder: Path,
    bundle: Path,
    ball: Path,
    card_library: Path,
    clock_library: Path,
    environment: Mapping[str, str],
) -> None:
    """Only the services' wall clock jumps, by `moved_clock.c`; the machine's own must not."""
    moved = folder / "moved"
    move(moved, 0)
    preload = {"LD_PRELOAD": str(clock_library), "YTM_MOVED_CLOCK": str(moved)}
    with installed(
        folder, bundle, ball, card_library, environment, preload=preload
    ) as installation:
        installation.mirrors()
        for years in YEARS:
            with planted(installation, f"clock moved by {years:+d} years") as fault:
                move(moved, years)
                assert year_of(environment | preload) - year_of(environment) in around(years)
                goes_on(installation)
                fault.recovered()
