"""A sound card that is pulled out, that hangs, and that grants another format than is needed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from installation import Installation, installed
from planting import planted
from waiting import wait_for
from ytm_device.options import SCREEN, SOUND

WATCHDOG_S = None if "YTM_BITES" in os.environ else {SOUND: 4.0}
TIMES = int(os.environ.get("YTM_CARDS", "1"))


@pytest.fixture(scope="module")
def installation(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> Iterator[Installation]:
    with installed(
        folder,
        bundle,
        ball,
        card_library,
        environment,
        services=(SOUND, SCREEN),
        watchdog_s=WATCHDOG_S,
    ) as running:
        yield running


def heard_again(installation: Installation) -> int:
    """Wait for a sound from now on; when it was heard."""
    now_ns = time.monotonic_ns()
    return wait_for(lambda: installation.ears.first_after(now_ns))


@pytest.mark.parametrize("turn", range(TIMES))
def test_a_card_that_is_pulled_out_is_used_again(installation: Installation, turn: int) -> None:
    with planted(installation, "card pulled out") as fault:
        fault.silent_expected = True
        (installation.folder / "gone").touch()
        lost = installation.wait_status(SOUND, problem=lambda problem: bool(problem))
        assert lost["sink"] != "card"
        # The sound goes on by the clock, for whoever listens to nobody.
        installation.wait_status(SOUND, samples=lambda samples: samples > lost["samples"])
        (installation.folder / "gone").unlink()
        fault.mended()
        fault.recovered(heard_again(installation))
    well = installation.wait_status(SOUND, sink="card", problem=None)
    assert well["card_losses"] > 0
    assert installation.silences(heard_again(installation)) == []


@pytest.mark.parametrize("turn", range(TIMES))
def test_a_card_that_hangs_is_left_to_the_watchdog(installation: Installation, turn: int) -> None:
    """Nothing else frees a thread from a driver that does not answer."""
    run = installation.supervisor.run(SOUND)
    stuck = installation.folder / "stuck"
    with planted(installation, "card hangs", restarts=1) as fault:
        fault.silent_expected = True
        stuck.touch()
        wait_for(lambda: run.bitten_ns)
        stuck.unlink()
        fault.mended()
        installation.supervisor.wait_ready(SOUND, run)
        fault.recovered(heard_again(installation))
    assert run.code == -signal.SIGABRT
    installation.wait_status(SOUND, sink="card", problem=None)


@pytest.mark.parametrize("turn", range(TIMES))
def test_a_card_that_hangs_for_a_moment_ends_nothing(installation: Installation, turn: int) -> None:
    stuck = installation.folder / "stuck"
    with planted(installation, "card hangs for 1 s") as fault:
        fault.silent_expected = True
        stuck.touch()
        time.sleep(1)
        stuck.unlink()
        fault.mended()
        fault.recovered(heard_again(installation))
    installation.wait_status(SOUND, sink="card", problem=None)


@pytest.mark.parametrize("turn", range(TIMES))
def test_a_card_that_refuses_the_format_is_not_played_on(
    installation: Installation, turn: int
) -> None:
    gone, refuse = (installation.folder / name for name in ("gone", "refuse"))
    with planted(installation, "card refuses the format") as fault:
        fault.silent_expected = True
        refuse.touch()
        gone.touch()
        installation.wait_status(SOUND, problem=lambda problem: bool(problem))
        gone.unlink()
        refused = installation.wait_status(
            SOUND, problem=lambda problem: "takes no more samples" not in str(problem)
        )
        assert refused["sink"] != "card"
        refuse.unlink()
        fault.mended()
        fault.recovered(heard_again(installation))
    installation.wait_status(SOUND, sink="card", problem=None)
