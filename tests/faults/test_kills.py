"""Processes that are killed or stopped, alone and together, at random moments."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from installation import Installation, installed
from planting import planted
from waiting import wait_for
from ytm_device.options import REFLECT, SCREEN, SERVICES, SOUND

KILLS = int(os.environ.get("YTM_KILLS", "6"))
"""A hundred at full length: `make test-soak`."""
BITES = int(os.environ.get("YTM_BITES", "1"))
"""Of each watchdog."""
STOPPED_S = 0.2
WATCHDOG_S = dict.fromkeys(SERVICES, 3.0)
BETWEEN_S = (0.0, 1.5)
GROUPS: Sequence[tuple[str, ...]] = (
    (REFLECT,),
    (SOUND,),
    (SCREEN,),
    (REFLECT, SOUND),
    (SOUND, SCREEN),
    (REFLECT, SCREEN),
    SERVICES,
)
SEED = 11


@pytest.fixture(scope="module")
def installation(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> Iterator[Installation]:
    watchdog_s = None if "YTM_BITES" in os.environ else WATCHDOG_S
    with installed(
        folder, bundle, ball, card_library, environment, watchdog_s=watchdog_s
    ) as running:
        running.mirrors()
        yield running


def well_again(installation: Installation, services: Sequence[str]) -> int:
    """Wait until there is a mirror; when those `services`, started anew, were seen and heard."""
    times_ns = [installation.supervisor.run(name).ready_ns or 0 for name in services]
    if SOUND in services:
        started_ns = installation.supervisor.run(SOUND).started_ns
        times_ns.append(wait_for(lambda: installation.ears.first_after(started_ns)))
    if SCREEN in services:
        times_ns.append(
            installation.eyes.wait_picture(installation.supervisor.run(SCREEN).started_ns)
        )
    installation.mirrors()
    return max(times_ns)


def test_kills_at_random(installation: Installation) -> None:
    chance = random.Random(SEED)
    for turn in range(KILLS):
        group = GROUPS[turn % len(GROUPS)]
        time.sleep(chance.uniform(*BETWEEN_S))
        with planted(installation, f"kill {'+'.join(group)}", restarts=len(group)) as fault:
            killed = [installation.supervisor.kill(name) for name in group]
            for run in killed:
                assert installation.supervisor.wait_ready(run.service, run).pid != run.pid
            fault.recovered(well_again(installation, group))
        assert [run.code for run in killed] == [-9] * len(group)


def test_short_stops_at_random_are_no_end(installation: Installation) -> None:
    chance = random.Random(SEED)
    for turn in range(KILLS):
        group = GROUPS[turn % len(GROUPS)]
        time.sleep(chance.uniform(*BETWEEN_S))
        with planted(installation, f"stop {'+'.join(group)} for {STOPPED_S:g} s") as fault:
            installation.stop_for(group, STOPPED_S)
            fault.recovered()
            installation.mirrors()


@pytest.mark.parametrize("service", SERVICES)
def test_the_watchdog_ends_what_is_stopped(installation: Installation, service: str) -> None:
    for _ in range(BITES):
        with planted(installation, f"stop {service} for good", restarts=1) as fault:
            held = installation.supervisor.hold(service)
            installation.supervisor.wait_ready(service, held)
            fault.recovered(well_again(installation, [service]))
        assert held.bitten_ns is not None
        assert held.code == -6
