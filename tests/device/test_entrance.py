from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_device.fading import STALE_AFTER_S, STEPS, mirror_weight
from ytm_device.reflecting.entrance import Entrance

S = 1_000_000_000
FADE_S = 2.0
START_NS = 500 * S


def say(entrance: Entrance, somebody: bool, taken_ns: int) -> tuple[bool, int]:
    """What is said of a frame that is answered."""
    said = entrance.at(somebody, taken_ns)
    entrance.answered(taken_ns)
    return said


def test_somebody_comes_stays_and_goes() -> None:
    entrance = Entrance(FADE_S)
    assert say(entrance, True, START_NS) == (True, START_NS)
    assert say(entrance, True, START_NS + 3 * S // 2) == (True, START_NS)
    assert say(entrance, True, START_NS + 3 * S) == (True, START_NS)
    assert say(entrance, False, START_NS + 4 * S) == (False, START_NS + 4 * S)


def test_a_fade_is_turned_round_where_it_is() -> None:
    entrance = Entrance(FADE_S)
    say(entrance, True, START_NS)
    half_ns = START_NS + round(FADE_S / 2 * S)
    presence, since_ns = say(entrance, False, half_ns)
    assert mirror_weight(presence, since_ns, half_ns, half_ns, FADE_S) == 0.5


@pytest.mark.parametrize(
    ("gap_s", "left"),
    [(STALE_AFTER_S + 0.25 * FADE_S, 0.75), (STALE_AFTER_S + FADE_S, 0), (3600, 0)],
)
def test_after_a_gap_the_mirror_fades_in_from_what_was_left(gap_s: float, left: float) -> None:
    entrance = Entrance(FADE_S)
    say(entrance, True, START_NS)
    say(entrance, True, START_NS + round(FADE_S * S))
    back_ns = START_NS + round((FADE_S + gap_s) * S)
    presence, since_ns = say(entrance, True, back_ns)
    assert mirror_weight(presence, since_ns, back_ns, back_ns, FADE_S) == left


def test_frames_without_an_answer_are_a_gap_too() -> None:
    entrance = Entrance(FADE_S)
    say(entrance, True, START_NS)
    shown_ns = START_NS + round(FADE_S * S)
    say(entrance, True, shown_ns)
    for tenth in range(1, 100):
        entrance.at(True, shown_ns + tenth * S // 10)
    back_ns = shown_ns + 10 * S
    presence, since_ns = say(entrance, True, back_ns)
    assert mirror_weight(presence, since_ns, back_ns, back_ns, FADE_S) == 0


@given(turns=st.lists(st.tuples(st.booleans(), st.integers(1, 5 * S)), min_size=1, max_size=30))
def test_what_is_on_never_jumps(turns: list[tuple[bool, int]]) -> None:
    entrance, now_ns = Entrance(FADE_S), START_NS
    said: tuple[bool, int, int] | None = None
    for somebody, pause_ns in turns:
        now_ns += pause_ns
        before = 0.0 if said is None else mirror_weight(*said, now_ns, FADE_S)
        said = (*say(entrance, somebody, now_ns), now_ns)
        assert abs(mirror_weight(*said, now_ns, FADE_S) - before) <= 1 / STEPS
