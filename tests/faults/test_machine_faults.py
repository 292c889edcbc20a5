"""A clock that jumps by years, memory that is taken, and cores that have no rest."""

from __future__ import annotations

import os
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

LIBFAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
YEARS = (10, -10, 0)
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


def test_a_clock_that_jumps_by_years_changes_nothing(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> None:
    """Only the services' wall clock jumps, by libfaketime; CLOCK_MONOTONIC is the kernel's."""
    if not LIBFAKETIME.exists():
        pytest.skip("needs libfaketime to move the wall clock (Debian package libfaketime)")
    offset = folder / "offset"
    offset.write_text("+0")
    preload = {
        "LD_PRELOAD": str(LIBFAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with installed(
        folder, bundle, ball, card_library, environment, preload=preload
    ) as installation:
        installation.mirrors()
        for years in YEARS:
            with planted(installation, f"clock moved by {years:+d} years") as fault:
                offset.write_text(f"{years:+d}y")
                goes_on(installation)
                fault.recovered()
