from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_device.replay import Answer
from ytm_device.screen.blend import LONGEST_S, SHORTEST_S, TURN_S, Blend

S = 1_000_000_000
START_NS = 1000 * S
TURN_NS = round(TURN_S * S)


def _answer(value: int, taken_ns: int = START_NS, moved_ns: int = 0) -> Answer:
    return Answer(
        np.full((2, 2, 3), value, np.uint8), np.zeros((1, 1), np.float32), taken_ns, moved_ns
    )


def _fed(blend: Blend, apart_s: float, arrivals: int = 40) -> tuple[int, Answer]:
    """Let black reflections come so far apart; when the last did, and it."""
    now_ns, answer = START_NS, _answer(0)
    for index in range(arrivals):
        now_ns = START_NS + round(index * apart_s * S)
        answer = _answer(0, now_ns)
        blend.at(now_ns, answer)
    return now_ns, answer


def _level(blend: Blend, now_ns: int, answer: Answer) -> int:
    picture = blend.at(now_ns, answer)
    assert picture.dtype == np.uint8
    assert np.ptp(picture) == 0
    return int(picture[0, 0, 0])


def test_the_first_reflection_is_shown_at_once() -> None:
    assert _level(Blend(), START_NS, _answer(77)) == 77


@given(before=st.integers(0, 255), after=st.integers(0, 255), apart_s=st.floats(0.001, 2))
def test_it_changes_monotonely_and_arrives(before: int, after: int, apart_s: float) -> None:
    blend = Blend()
    _fed(blend, apart_s)
    now_ns = START_NS + 1000 * S
    old, new = _answer(before, now_ns), _answer(after, now_ns + round(apart_s * S))
    blend.at(now_ns, old)
    now_ns += S
    assert _level(blend, now_ns, old) == before
    levels = [_level(blend, now_ns + turn * TURN_NS, new) for turn in range(10)]
    rising = sorted(levels, reverse=after < before)
    assert levels == rising
    assert min(before, after) <= min(levels)
    assert max(levels) <= max(before, after)
    assert levels[-1] == after
    assert blend.share(now_ns + round(LONGEST_S * S)) == 1


@pytest.mark.parametrize(
    ("apart_s", "lasts_s"), [(1 / 30, 1 / 30), (0.1, 0.1), (1 / 200, SHORTEST_S), (1.0, LONGEST_S)]
)
def test_a_change_takes_as_long_as_reflections_are_apart(apart_s: float, lasts_s: float) -> None:
    blend = Blend()
    now_ns, _ = _fed(blend, apart_s)
    now_ns += round(apart_s * S)
    white = _answer(255, now_ns)
    for turn in range(10):
        expected = min(1.0, (turn + 1) * TURN_S / lasts_s)
        assert _level(blend, now_ns + turn * TURN_NS, white) == pytest.approx(255 * expected, abs=1)


@given(apart_s=st.floats(0.001, 2))
def test_it_begins_in_the_turn_in_which_a_reflection_arrives(apart_s: float) -> None:
    blend = Blend()
    now_ns, _ = _fed(blend, apart_s)
    now_ns += round(apart_s * S)
    level = _level(blend, now_ns, _answer(255, now_ns))
    assert level >= int(255 * TURN_S / LONGEST_S)


def test_a_sudden_change_takes_the_shortest_time() -> None:
    blend = Blend()
    now_ns, _ = _fed(blend, 0.1)
    now_ns += round(0.1 * S)
    struck = _answer(255, now_ns, moved_ns=now_ns)
    assert _level(blend, now_ns, struck) == pytest.approx(255 * TURN_S / SHORTEST_S, abs=1)
    assert _level(blend, now_ns + TURN_NS, struck) == 255


def test_a_change_that_is_overtaken_goes_on_from_where_it_was() -> None:
    blend = Blend()
    now_ns, _ = _fed(blend, 0.1)
    now_ns += round(0.1 * S)
    white = _answer(255, now_ns)
    blend.at(now_ns, white)
    now_ns += 2 * TURN_NS
    reached = _level(blend, now_ns, white)
    black = _answer(0, now_ns)
    assert 0 < reached < 255
    now_ns += 1
    assert _level(blend, now_ns, black) < reached
    assert _level(blend, now_ns + round(LONGEST_S * S), black) == 0


def test_after_the_replay_the_mirror_begins_anew() -> None:
    blend = Blend()
    now_ns, _ = _fed(blend, 0.1)
    blend.forget()
    assert _level(blend, now_ns + S, _answer(200, now_ns + S)) == 200


def test_the_pictures_given_are_not_changed() -> None:
    blend = Blend()
    now_ns, black = _fed(blend, 0.1)
    white = _answer(255, now_ns + S)
    for turn in range(10):
        blend.at(now_ns + S + turn * TURN_NS, white)
    assert np.all(white.image == 255)
    assert np.all(black.image == 0)
