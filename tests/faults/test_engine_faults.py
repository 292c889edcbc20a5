"""Graphs and engines that hang, and that give what is not a number: real ones, in ONNX Runtime.

Engines that ONNX Runtime made stand where those for a GPU would.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from built_engines import build_engines
from faulty_minds import with_faults
from films import BALL, BLACK, WHITE, film
from installation import Installation, installed, tail
from planting import planted
from waiting import wait_for
from ytm_bundle.bundle import open_bundle
from ytm_device.bus.channel import Subscriber
from ytm_device.options import REFLECT, SCREEN, SOUND
from ytm_device.run_dirs import endpoint

WATCHDOG_S = None if "YTM_BITES" in os.environ else {REFLECT: 4.0}
BALL_S, WHITE_S, BLACK_S = 8.0, 1.0, 3.5
MEANWHILE = (SOUND, SCREEN)
MOST_LOST = 15
"""Frames in a row: half a second, where a machine that does much else besides has lost five. That
the change itself loses none is shown without a clock in `tests/device/test_engine_choice.py`."""
WHITE_AFTER_FRAMES = 90
"""More than it takes until white comes again."""


@pytest.fixture(scope="module")
def faulty(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_faults(bundle, tmp_path_factory.mktemp("faulty") / "bundle")


@pytest.fixture
def with_faulty_engines(bundle: Path, faulty: Path, tmp_path: Path) -> Path:
    """The bundle, whose graphs are good, with engines of the faulty graph."""
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    graph = (faulty / "graphs/image_to_sound.onnx").read_bytes()
    with open_bundle(copy) as opened:
        build_engines(opened, copy / "engines", instead={"image_to_sound": graph})
    return copy


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


def answered_by_engines(backend: object) -> bool:
    return ", engines " in str(backend)


def answered_by_graphs(backend: object) -> bool:
    return str(backend).endswith("(CPU)")


def test_engines_that_come_take_over_and_nobody_notices(
    folder: Path,
    bundle: Path,
    ball: Path,
    card_library: Path,
    environment: Mapping[str, str],
) -> None:
    with installed(folder, bundle, ball, card_library, environment) as running:
        running.mirrors()
        with Subscriber(endpoint(running.run_dir)) as subscriber:
            seen: dict[int, int] = {}

            def look() -> None:
                if (reflection := subscriber.newest()) is not None:
                    seen[reflection.sequence] = reflection.taken_ns

            with planted(running, "engines appear") as fault:
                before = running.wait_status(REFLECT, meanwhile=look, backend=answered_by_graphs)
                with open_bundle(running.data / "bundle") as opened:
                    build_engines(opened, running.data / "engines")
                fault.mended()
                last_without_ns = time.monotonic_ns()
                after = running.wait_status(REFLECT, meanwhile=look, backend=answered_by_engines)
                for _ in range(3):
                    running.wait_status(REFLECT, meanwhile=look, backend=answered_by_engines)
                for service in MEANWHILE:
                    running.wait_status(service, mode="mirror", rejected_messages=0)
                fault.recovered(after["written_ns"])
        assert after["bad_answers"] == 0
        assert "engine" not in str(after["problem"])
        assert after["reflections"] > before["reflections"]
        at_change, otherwise = lost(seen, last_without_ns, after["written_ns"])
        print(f"frames lost in a row: {at_change} at the change, {otherwise} otherwise")
        assert at_change <= max(MOST_LOST, otherwise)


def lost(seen: Mapping[int, int], from_ns: int, to_ns: int) -> tuple[int, int]:
    """The most frames in a row without an answer: between the two times, and otherwise."""
    sequences = sorted(seen)
    most = {True: 0, False: 0}
    for one, other in pairwise(sequences):
        inside = seen[other] >= from_ns and seen[one] <= to_ns
        most[inside] = max(most[inside], other - one - 1)
    return most[True], most[False]


def test_engines_that_hang_are_not_asked_again_after_the_watchdog_has_bitten(
    folder: Path,
    with_faulty_engines: Path,
    card_library: Path,
    environment: Mapping[str, str],
) -> None:
    before = [(BALL, BALL_S), (WHITE, WHITE_S)]
    with seeing(before, folder, with_faulty_engines, card_library, environment) as running:
        first = running.supervisor.run(REFLECT)
        with planted(running, "engines hang", restarts=1) as fault:
            running.wait_status(REFLECT, backend=answered_by_engines)
            wait_for(lambda: first.ended_ns)
            fault.mended()
            running.supervisor.wait_ready(REFLECT, first)
            running.mirrors()
            status = running.wait_status(REFLECT, problem=lambda said: said is not None)
            fault.recovered()
            # White is answered too, again and again: by the graphs.
            running.wait_status(
                REFLECT, reflections=lambda n: n > status["reflections"] + 2 * WHITE_AFTER_FRAMES
            )
        assert first.code == -signal.SIGABRT
        assert "has not come back from these engines" in status["problem"]
        assert answered_by_graphs(status["backend"])
        assert status["bad_answers"] == 0


def test_what_engines_give_that_is_not_a_number_is_answered_by_the_graphs(
    folder: Path,
    with_faulty_engines: Path,
    card_library: Path,
    environment: Mapping[str, str],
) -> None:
    before = [(BALL, BALL_S), (BLACK, BLACK_S)]
    with seeing(before, folder, with_faulty_engines, card_library, environment) as running:
        with planted(running, "engines give NaN") as fault:
            running.wait_status(REFLECT, backend=answered_by_engines)
            status = running.wait_status(REFLECT, backend=answered_by_graphs)
            fault.mended()
            for service in MEANWHILE:
                running.wait_status(service, mode="mirror", rejected_messages=0)
            fault.recovered()
        assert "its answer is not finite" in status["problem"]
        assert status["bad_answers"] == 0
