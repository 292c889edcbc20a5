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
    """Xlib ends the process whose server has gone: its next one waits for the display."""
    run = installation.supervisor.run(SCREEN)
    with planted(installation, "display gone and back", restarts=1) as fault:
        installation.x_server.stop()
        wait_for(lambda: run.ended_ns)
        installation.supervisor.wait_ready(SCREEN, run)
        status = installation.wait_status(SCREEN, problem=lambda problem: bool(problem))
        assert status["mode"] == "replay"
        installation.x_server.start()
        fault.planted_ns = wait_for(lambda: installation.eyes.first_look_after_black())
        fault.recovered(installation.eyes.wait_picture(fault.planted_ns))
    installation.wait_status(SCREEN, problem=None, driver="x11")
