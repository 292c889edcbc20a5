"""A clock that jumps by years, memory that is taken, and cores that have no rest."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from installation import Installation, installed
from planting import planted
from pressure import built_clock, loaded, memory_taken, move
from ytm_device.options import REFLECT, SERVICES

YEARS = (10, -10, 0)
HELD_S = float(os.environ.get("YTM_MACHINE_S", "4"))
"""How long each state of the machine lasts."""


@pytest.fixture(scope="module")
def installation(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> Iterator[Installation]:
    with installed(folder, bundle, ball, card_library, environment) as running:
        running.mirrors()
        yield running


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
    """Where `card_library` can be compiled, it can be, too."""
    return built_clock(tmp_path_factory.mktemp("clock"))


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
