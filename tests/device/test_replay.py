from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_bundle.bundle import Bundle
from ytm_device.frame import Reflection
from ytm_device.replay import STALE_AFTER_S, Answer, Programme, still_at

S = 1_000_000_000
ORDERS = st.lists(st.integers(0, 50), min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("now_ns", "still"),
    [(0, 7), (2 * S - 1, 7), (2 * S, 3), (4 * S, 5), (6 * S - 1, 5), (6 * S, 7), (60 * S + 1, 7)],
)
def test_stills_follow_each_other_and_begin_again(now_ns: int, still: int) -> None:
    assert still_at(now_ns, [7, 3, 5], 2.0) == still


@given(now_ns=st.integers(0, 2**62), order=ORDERS, dwell_s=st.floats(0.1, 3600))
def test_a_round_later_the_same_still_is_on(now_ns: int, order: list[int], dwell_s: float) -> None:
    round_ns = len(order) * round(dwell_s * S)
    assert still_at(now_ns, order, dwell_s) == still_at(now_ns + round_ns, order, dwell_s)


@given(turn=st.integers(0, 10**6), order=ORDERS, dwell_ms=st.integers(100, 3_600_000))
def test_each_still_stays_as_long_as_it_should(turn: int, order: list[int], dwell_ms: int) -> None:
    first_ns = turn * dwell_ms * 1_000_000
    last_ns = first_ns + dwell_ms * 1_000_000 - 1
    expected = order[turn % len(order)]
    assert still_at(first_ns, order, dwell_ms / 1000) == expected
    assert still_at(last_ns, order, dwell_ms / 1000) == expected


def _reflection(bundle: Bundle) -> Reflection:
    image = bundle.manifest.image
    return Reflection(
        image=np.full((image.height, image.width, 3), 9, np.uint8),
        mel=np.full(bundle.manifest.sound.mel_shape, 0.5, np.float32),
        presence=True,
        presence_since_ns=0,
        taken_ns=5,
        sequence=1,
        bundle_id=bundle.id,
    )


def _is_still(answer: Answer, bundle: Bundle, now_ns: int) -> bool:
    spec, replay = bundle.manifest.replay, bundle.replay()
    still = still_at(now_ns, spec.order, spec.dwell_s)
    return (
        answer.taken_ns is None
        and np.array_equal(answer.image, replay.reconstructions[still])
        and np.array_equal(answer.mel, replay.mels[still])
    )


def test_replay_is_on_until_the_first_reflection_and_after_the_last(tiny_bundle: Bundle) -> None:
    programme, reflection = Programme(tiny_bundle), _reflection(tiny_bundle)
    start_ns, stale_ns = 100 * S, round(STALE_AFTER_S * S)
    assert _is_still(programme.at(start_ns, None), tiny_bundle, start_ns)
    mirror = programme.at(start_ns, reflection)
    assert mirror.image is reflection.image
    assert mirror.mel is reflection.mel
    assert mirror.taken_ns == reflection.taken_ns
    assert programme.at(start_ns + stale_ns, None) is mirror
    later_ns = start_ns + stale_ns + 1
    assert _is_still(programme.at(later_ns, None), tiny_bundle, later_ns)
    assert programme.at(later_ns, reflection).image is reflection.image


def test_a_still_is_the_same_object_while_it_is_on(tiny_bundle: Bundle) -> None:
    programme = Programme(tiny_bundle)
    dwell_ns = round(tiny_bundle.manifest.replay.dwell_s * S)
    assert programme.at(0, None) is programme.at(dwell_ns - 1, None)
    assert programme.at(0, None) is not programme.at(dwell_ns, None)


@pytest.mark.parametrize(
    "change",
    [
        {"bundle_id": "0" * 64},
        {"image": np.zeros((32, 31, 3), np.uint8)},
        {"mel": np.zeros((16, 9), np.float32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_reflections_that_are_not_of_this_bundle_are_counted_and_ignored(
    tiny_bundle: Bundle, change: dict[str, Any]
) -> None:
    programme = Programme(tiny_bundle)
    answer = programme.at(0, replace(_reflection(tiny_bundle), **change))
    assert _is_still(answer, tiny_bundle, 0)
    assert programme.foreign == 1
