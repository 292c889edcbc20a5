"""What a machine may do to who runs on it: busy cores, taken memory, full disks, another date."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from waiting import HANG_S

FULL_KIB = 64
YEAR_S = 31_557_600
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


@contextmanager
def small(place: Path) -> Iterator[None]:
    """A file system of `FULL_KIB` at `place`."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    options = ["-t", "tmpfs", "-o", f"size={FULL_KIB}k"]
    mounted = subprocess.run(["mount", *options, "none", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True, timeout=HANG_S)


def fill(folder: Path) -> Path:
    """Write until nothing more fits."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1024))
    return filler


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


def built_clock(folder: Path) -> Path:
    """`moved_clock.c`, compiled into `folder`."""
    library = folder / "libmoved.so"
    source = Path(__file__).parent / "faults/moved_clock.c"
    options = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    subprocess.run(["gcc", *options, "-o", library, source], check=True, timeout=HANG_S)
    return library


def move(file: Path, years: int) -> None:
    """Let the wall clock jump so far from the true one."""
    with file.open("r+b" if file.exists() else "wb") as moved:
        moved.write(struct.pack("<q", years * YEAR_S))
