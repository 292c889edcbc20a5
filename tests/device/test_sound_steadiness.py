"""One mel held does not beat, and unrelated mels one after another do not click."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.recordings import DIGITS, recordings
from benchmarks.steadiness import (
    DATA,
    FADE,
    HELD_LOOPS,
    LOOP,
    LOOP_HZ,
    MODULATIONS_HZ,
    RATE_HZ,
    SECOND,
    Sounds,
    Steadiness,
    faded,
    looped,
    measure,
    measure_jumping,
    modulations,
)
from ytm_training.scenes.scene import random_scene
from ytm_training.scenes.sounding import sound

SCENES = 8
EVERY = 4
"""Which of the recordings are taken: enough, and soon done."""
BEAT_DB = 3
"""The artwork's grains come to 20 and more at 23.4 Hz."""
LINE_DB = 6
CLICK = 1.5


def _drawn() -> list[np.ndarray]:
    return [sound(random_scene(0, number), SECOND / RATE_HZ, RATE_HZ) for number in range(SCENES)]


@pytest.fixture(scope="module", params=["drawn", "recorded"])
def found(request: pytest.FixtureRequest) -> Steadiness:
    """What is measured of drawn scenes, and of clips and voices."""
    if request.param == "drawn":
        return measure(_drawn())
    if not ((DATA / "manifest.csv").exists() and (DATA / DIGITS).exists()):
        pytest.skip(f"needs recordings in {DATA}")
    return measure([each for kind in recordings(DATA).values() for each in kind][::EVERY])


def test_a_held_mel_does_not_beat(found: Steadiness) -> None:
    for at_hz in MODULATIONS_HZ:
        median_db, _ = found.held.against_loop[f"{at_hz:g} Hz"]
        assert median_db <= BEAT_DB, at_hz


def test_no_loop_is_heard_that_is_not_in_the_recording(found: Steadiness) -> None:
    _, largest_db = found.held.against_loop[f"loop, {LOOP_HZ:.2f} Hz"]
    assert largest_db <= LINE_DB


def test_jumps_do_not_click(found: Steadiness) -> None:
    assert found.player.largest_step <= CLICK
    assert found.player.typical_step <= 1
    assert found.player.flux_at_joins <= CLICK * found.recordings.flux_at_joins


def test_a_beat_would_be_seen() -> None:
    second = _drawn()[0]
    loop = looped(second)
    seconds = np.arange(HELD_LOOPS * LOOP) / RATE_HZ
    for rate_hz in (*MODULATIONS_HZ, LOOP_HZ):
        beating = np.tile(loop, HELD_LOOPS) * (1 + 0.9 * np.sin(2 * np.pi * rate_hz * seconds))
        _, over = modulations(second, loop, beating)
        louder = {name for name, value in over.items() if value > LINE_DB}
        assert f"{rate_hz:g} Hz" in louder or f"loop, {rate_hz:.2f} Hz" in louder


@pytest.mark.parametrize(("fade", "clicks"), [(FADE, False), (1, True)])
def test_a_click_would_be_seen(fade: int, clicks: bool) -> None:
    loops = Sounds(_drawn()).loops
    jumping = measure_jumping(*faded(loops, fade), len(loops), 0)
    assert (jumping.largest_step > CLICK) == clicks
