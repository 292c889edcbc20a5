from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_bundle.bundle import Bundle
from ytm_bundle.manifest import Manifest, ReplaySpec
from ytm_device.fading import STALE_AFTER_S
from ytm_device.frame import Reflection
from ytm_device.replay import FADE_S, Moment, On, Programme, moment_at

S = 1_000_000_000
ORDERS = st.lists(st.integers(0, 50), min_size=1, max_size=9)
START_NS = 1000 * S


def _manifest(bundle: Bundle, order: list[int], dwell_s: float) -> Manifest:
    spec = ReplaySpec(order=tuple(order), dwell_s=dwell_s)
    return bundle.manifest.model_copy(update={"replay": spec})


@pytest.mark.parametrize(
    ("now_s", "moment"),
    [
        (0, Moment(still=7, before=5, arrived=0, remembered=0)),
        (0.75, Moment(still=7, before=5, arrived=0.75, remembered=0)),
        (4.5, Moment(still=7, before=5, arrived=1, remembered=0)),
        (5, Moment(still=7, before=5, arrived=1, remembered=0.5)),
        (9.99, Moment(still=7, before=5, arrived=1, remembered=1)),
        (10, Moment(still=3, before=7, arrived=0, remembered=0)),
        (20.25, Moment(still=5, before=3, arrived=0.25, remembered=0)),
        (30, Moment(still=7, before=5, arrived=0, remembered=0)),
    ],
)
def test_stills_follow_each_other_and_begin_again(
    tiny_bundle: Bundle, now_s: float, moment: Moment
) -> None:
    assert moment_at(round(now_s * S), _manifest(tiny_bundle, [7, 3, 5], 10.0)) == moment


@given(now_ns=st.integers(0, 2**62), order=ORDERS, dwell_ms=st.integers(100, 3_600_000))
def test_a_round_later_it_is_the_same_again(
    tiny_bundle: Bundle, now_ns: int, order: list[int], dwell_ms: int
) -> None:
    manifest = _manifest(tiny_bundle, order, dwell_ms / 1000)
    round_ns = len(order) * dwell_ms * 1_000_000
    assert moment_at(now_ns, manifest) == moment_at(now_ns + round_ns, manifest)


@given(turn=st.integers(0, 10**6), order=ORDERS, dwell_ms=st.integers(100, 3_600_000))
def test_each_still_arrives_whole_and_ends_as_remembered(
    tiny_bundle: Bundle, turn: int, order: list[int], dwell_ms: int
) -> None:
    manifest = _manifest(tiny_bundle, order, dwell_ms / 1000)
    first = moment_at(turn * dwell_ms * 1_000_000, manifest)
    last = moment_at((turn + 1) * dwell_ms * 1_000_000 - 1, manifest)
    assert first.still == last.still == order[turn % len(order)]
    assert (first.arrived, first.remembered) == (0, 0)
    assert (last.arrived, last.remembered) == (1, 1)


def _reflection(bundle: Bundle, taken_ns: int = START_NS) -> Reflection:
    image = bundle.manifest.image
    return Reflection(
        image=np.full((image.height, image.width, 3), 9, np.uint8),
        mel=np.full(bundle.manifest.sound.mel_shape, 0.5, np.float32),
        presence=True,
        presence_since_ns=START_NS - 10 * S,
        taken_ns=taken_ns,
        sequence=1,
        bundle_id=bundle.id,
    )


def _is_replay(on: On, bundle: Bundle, now_ns: int) -> bool:
    moment, stills = moment_at(now_ns, bundle.manifest), bundle.replay()
    assert moment.arrived == 1
    shown = stills.reconstructions if moment.remembered else stills.images
    return (
        on.mirror is None
        and on.mirror_weight == 0
        and on.mode == "replay"
        and np.array_equal(on.still, shown[moment.still])
        and np.array_equal(on.heard, stills.mels[moment.still])
    )


def _settled(bundle: Bundle, after_ns: int) -> int:
    """The next time at which no two stills are mixed."""
    dwell_ns = round(bundle.manifest.replay.dwell_s * S)
    return (after_ns // dwell_ns + 2) * dwell_ns - 1


def test_the_mirror_is_on_while_reflections_come_and_fades_when_they_fail(
    tiny_bundle: Bundle,
) -> None:
    programme, reflection = Programme(tiny_bundle), _reflection(tiny_bundle)
    before_ns = _settled(tiny_bundle, START_NS - 100 * S)
    assert _is_replay(programme.at(before_ns, None), tiny_bundle, before_ns)
    on = programme.at(START_NS, reflection)
    assert on.mirror is not None
    assert on.mirror.image is reflection.image
    assert on.heard is reflection.mel
    assert on.mirror_weight == 1
    stale_ns = START_NS + round(STALE_AFTER_S * S)
    assert programme.at(stale_ns, None) is on
    fading = programme.at(stale_ns + round(FADE_S / 2 * S), None)
    assert fading.mirror is on.mirror
    assert fading.mirror_weight == 0.5
    later_ns = _settled(tiny_bundle, stale_ns + round(FADE_S * S))
    assert _is_replay(programme.at(later_ns, None), tiny_bundle, later_ns)
    again = programme.at(later_ns, _reflection(tiny_bundle, later_ns))
    assert again.mirror_weight == 1


def test_screen_and_sound_agree_whenever_they_began(tiny_bundle: Bundle) -> None:
    early, late = Programme(tiny_bundle), Programme(tiny_bundle)
    reflection = replace(_reflection(tiny_bundle), presence_since_ns=START_NS)
    early.at(START_NS, reflection)
    now_ns = START_NS + round(0.7 * S)
    reflection = replace(reflection, taken_ns=now_ns)
    first, second = early.at(now_ns, reflection), late.at(now_ns, reflection)
    assert first.mirror_weight == second.mirror_weight
    assert 0 < first.mirror_weight < 1
    np.testing.assert_array_equal(first.still, second.still)
    np.testing.assert_array_equal(first.heard, second.heard)


def test_nobody_there_is_the_replay_however_fresh_the_reflections(tiny_bundle: Bundle) -> None:
    programme = Programme(tiny_bundle)
    now_ns = _settled(tiny_bundle, START_NS)
    on = programme.at(now_ns, replace(_reflection(tiny_bundle, now_ns), presence=False))
    assert _is_replay(on, tiny_bundle, now_ns)


def test_what_is_on_is_the_same_object_while_nothing_changes(tiny_bundle: Bundle) -> None:
    programme = Programme(tiny_bundle)
    now_ns = _settled(tiny_bundle, START_NS)
    on = programme.at(now_ns, None)
    assert programme.at(now_ns - 1, None) is on
    assert programme.at(now_ns + 1, None) is not on


@pytest.mark.parametrize(
    "change",
    [
        {"bundle_id": "0" * 64},
        {"image": np.zeros((32, 31, 3), np.uint8)},
        {"mel": np.zeros((16, 9), np.float32)},
        {"taken_ns": START_NS + 3600 * S},
    ],
    ids=lambda change: next(iter(change)),
)
def test_reflections_that_cannot_be_of_this_bundle_are_counted_and_ignored(
    tiny_bundle: Bundle, change: dict[str, Any]
) -> None:
    programme = Programme(tiny_bundle)
    on = programme.at(START_NS, replace(_reflection(tiny_bundle), **change))
    assert on.mirror is None
    assert programme.foreign == 1
