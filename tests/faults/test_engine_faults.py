"""Engines that hang, and that give what is not a number: the real ones, in ONNX Runtime."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from faulty_minds import with_faults
from films import BALL, BLACK, WHITE, film
from installation import Installation, installed, tail
from planting import planted
from waiting import wait_for
from ytm_device.options import REFLECT, SCREEN, SOUND

WATCHDOG_S = None if "YTM_BITES" in os.environ else {REFLECT: 4.0}
BALL_S, WHITE_S, BLACK_S = 8.0, 1.0, 3.5
MEANWHILE = (SOUND, SCREEN)


@pytest.fixture(scope="module")
def faulty(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_faults(bundle, tmp_path_factory.mktemp("faulty") / "bundle")


@contextmanager
def seeing(
    what: list[tuple[str, float]],
    folder: Path,
    faulty: Path,
    card_library: Path,
    environment: Mapping[str, str],
) -> Iterator[Installation]:
    """An installation before whose camera there is this, for ever."""
    camera = film(folder / f"{what[-1][0]}.mp4", what)
    with installed(
        folder, faulty, camera, card_library, environment, watchdog_s=WATCHDOG_S
    ) as running:
        running.mirrors()
        yield running


def test_an_engine_that_hangs_is_ended_by_the_watchdog(
    folder: Path, faulty: Path, card_library: Path, environment: Mapping[str, str]
) -> None:
    before = [(BALL, BALL_S), (WHITE, WHITE_S)]
    with seeing(before, folder, faulty, card_library, environment) as running:
        first = running.supervisor.run(REFLECT)
        with planted(running, "engine hangs", restarts=1) as fault:
            wait_for(lambda: first.ended_ns)
            fault.mended()
            for service in MEANWHILE:
                running.wait_status(service, mode="replay")
            running.supervisor.wait_ready(REFLECT, first)
            running.mirrors()
            fault.recovered()
        assert first.code == -signal.SIGABRT
        # Python says where it hung: in the engine.
        assert "engines/onnx.py" in tail(running.folder / "log/reflect.log", 200)


def test_what_is_not_a_number_is_neither_seen_nor_heard(
    folder: Path, faulty: Path, card_library: Path, environment: Mapping[str, str]
) -> None:
    before = [(BALL, BALL_S), (BLACK, BLACK_S)]
    with seeing(before, folder, faulty, card_library, environment) as running:
        with planted(running, "engine gives NaN") as fault:
            status = running.wait_status(REFLECT, bad_answers=lambda count: bool(count))
            assert "not finite" in str(status["problem"])
            for service in MEANWHILE:
                running.wait_status(service, mode="replay", rejected_messages=0)
            running.mirrors()
            fault.recovered()
        assert running.wait_status(REFLECT)["reflections"] > 0
        assert running.wait_status(SOUND)["restarts"] == 0
