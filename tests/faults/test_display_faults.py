"""A display that goes, comes back, and is not there when the mirror starts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from installation import Installation, installed
from planting import planted
from waiting import wait_for
from ytm_device.options import SCREEN, SOUND

TIMES = int(os.environ.get("YTM_DISPLAYS", "1"))


@pytest.fixture(scope="module")
def installation(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> Iterator[Installation]:
    with installed(
        folder, bundle, ball, card_library, environment, services=(SOUND, SCREEN)
    ) as running:
        yield running


@pytest.mark.parametrize("turn", range(TIMES))
def test_a_display_that_goes_and_comes_back_is_used_again(
    installation: Installation, turn: int
) -> None:
    """Xlib ends the process whose server has gone; the next one waits for a display."""
    run = installation.supervisor.run(SCREEN)
    with planted(installation, "display gone", restarts=1) as fault:
        fault.black_expected = True
        installation.x_server.stop()
        wait_for(lambda: run.ended_ns)
        # Ready without a display: it keeps time, and says that nothing is seen.
        installation.supervisor.wait_ready(SCREEN, run)
        status = installation.wait_status(SCREEN, problem=lambda problem: bool(problem))
        assert (status["driver"], status["mode"]) == ("none", "replay")
        fault.recovered()
    with planted(installation, "display back") as fault:
        # An X server begins black; until the screen is opened on it, that is what there is.
        fault.black_expected = True
        installation.x_server.start()
        fault.recovered(installation.eyes.wait_picture(fault.planted_ns))
    installation.wait_status(SCREEN, problem=None, driver="x11")
    assert fault.recovered_ns is not None
    assert installation.darkness(fault.recovered_ns) == []


def test_a_display_that_comes_later_than_the_mirror_is_used(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> None:
    with installed(
        folder, bundle, ball, card_library, environment, services=(SCREEN,), display=False
    ) as running:
        status = running.wait_status(SCREEN, problem=lambda problem: bool(problem))
        assert status["driver"] == "none"
        with planted(running, "display comes later") as fault:
            fault.black_expected = True
            running.x_server.start()
            fault.recovered(running.eyes.wait_picture(fault.planted_ns))
        running.wait_status(SCREEN, problem=None, driver="x11")
