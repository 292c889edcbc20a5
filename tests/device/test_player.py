from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ytm_bundle.errors import DeviceError
from ytm_device.sound.player import Player
from ytm_device.sound.settings import CEILING_DBFS

SETTLED = 6000
"""Samples after which the fade at the beginning is over."""
SLOW_FIXTURE = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _playing(preset: Any) -> Player:
    player = Player(preset.sound, preset.matrices)
    player.follow(preset.mel)
    return player


def test_silence_until_the_first_mel(preset: Any) -> None:
    player = Player(preset.sound, preset.matrices)
    assert np.array_equal(player.pull(1000), np.zeros(1000, np.float32))
    assert player.sounding is None
    gesture = player.follow(preset.mel)
    assert np.any(player.pull(4000))
    assert player.sounding is gesture


def test_the_same_plays_and_pulls_give_the_same_samples(preset: Any) -> None:
    assert np.array_equal(_playing(preset).pull(10000), _playing(preset).pull(10000))


@SLOW_FIXTURE
@given(pulls=st.lists(st.integers(0, 3000), max_size=6))
def test_the_sound_does_not_depend_on_the_size_of_the_pulls(preset: Any, pulls: list[int]) -> None:
    player = _playing(preset)
    pieces = [player.pull(samples) for samples in pulls]
    assert [piece.size for piece in pieces] == pulls
    whole = _playing(preset).pull(sum(pulls))
    assert np.array_equal(np.concatenate([*pieces, np.zeros(0, np.float32)]), whole)


def test_samples_are_as_loud_as_the_sound_was(grains_preset: Any) -> None:
    """A Hann window leaves 3/8 of the power; phases that do not fit cost up to 2 dB more."""
    player = _playing(grains_preset)
    step = grains_preset.sound.inversion.frames - 1
    grains = (grains_preset.sound.frames - 1) // step
    player.pull(SETTLED)
    played = player.pull(20 * grains * step * grains_preset.sound.hop)
    lost_db = -10 * np.log10(np.mean(played**2) / np.mean(grains_preset.samples**2))
    window_db = -10 * np.log10(3 / 8)
    assert window_db - 0.5 < lost_db < window_db + 2


@pytest.mark.parametrize("gain_db", [-20.0, -6.0])
def test_a_gain_makes_it_softer_by_just_so_much(preset: Any, gain_db: float) -> None:
    plain = Player(preset.sound, preset.matrices, ceiling_dbfs=0)
    softer = Player(preset.sound, preset.matrices, ceiling_dbfs=0, gain_db=gain_db)
    for player in (plain, softer):
        player.follow(preset.mel)
        player.pull(SETTLED)
    expected = plain.pull(20000) * 10 ** (gain_db / 20)
    assert np.allclose(softer.pull(20000), expected, atol=1e-6)


def test_it_begins_without_a_click(preset: Any) -> None:
    begun = _playing(preset).pull(SETTLED)
    assert np.abs(begun[:64]).max() < 0.05 * np.abs(begun).max()


def test_a_tone_keeps_its_pitch(preset: Any) -> None:
    """A single band comes back at its own frequency, at the playback rate."""
    sound, band = preset.sound, 40
    mel = np.zeros(sound.mel_shape, np.float32)
    mel[band] = 0.7
    player = Player(sound, preset.matrices)
    player.follow(mel)
    played = player.pull(1 << 16)
    spectrum = np.abs(np.fft.rfft(played * np.hanning(played.size)))
    found_hz = np.argmax(spectrum) * sound.playback_rate_hz / played.size
    centre_hz = np.argmax(preset.matrices.inverse[:, band]) * sound.playback_rate_hz / sound.n_fft
    assert found_hz == pytest.approx(centre_hz, abs=sound.playback_rate_hz / sound.n_fft)


def test_a_newer_mel_is_heard_from_the_next_grain_on(grains_preset: Any) -> None:
    player = _playing(grains_preset)
    chunk = (grains_preset.sound.inversion.frames - 1) * grains_preset.sound.hop
    player.pull(10)
    first = player.sounding
    silence = player.follow(np.zeros_like(grains_preset.mel))
    rest = player.pull(chunk - 10)
    assert np.any(rest)
    assert player.sounding is first
    player.pull(1)
    assert player.sounding is silence
    look_ahead = round(player.delay_s * grains_preset.sound.playback_rate_hz)
    assert not np.any(player.pull(chunk)[look_ahead:])


def test_a_newer_mel_is_heard_in_the_very_next_hop(continuous: Any) -> None:
    """Not a look-ahead later: what is under way hears of it too."""
    sound = continuous.sound
    first, second = (Player(sound, continuous.matrices, ceiling_dbfs=0) for _ in range(2))
    for player in (first, second):
        player.follow(continuous.mel)
        player.pull(SETTLED)
    second.follow(np.full(sound.mel_shape, 0.9, np.float32))
    apart = np.abs(first.pull(1024) - second.pull(1024))
    # The chunk that was made before, and the limiter's look-ahead.
    assert np.flatnonzero(apart > 1e-5)[0] <= sound.n_fft // 4 + 64


def test_a_sudden_change_strikes_the_sound_anew(preset: Any) -> None:
    player = Player(preset.sound, preset.matrices)
    for moved_ns in (5, 5, 9, 9, 12):
        player.follow(preset.mel, moved_ns)
        player.pull(5000)
    assert player.strikes == 2
    for moved_ns in (0, 12):
        player.follow(preset.mel, moved_ns)
    assert player.strikes == 2
    steady = Player(preset.sound, preset.matrices, strikes=False)
    for moved_ns in (5, 9, 12):
        steady.follow(preset.mel, moved_ns)
    assert steady.strikes == 0


def test_a_strike_is_heard_as_an_attack(continuous: Any) -> None:
    """A mel with one loud moment, struck in the silence long after it."""
    sound = continuous.sound
    mel = np.full(sound.mel_shape, 0.1, np.float32)
    mel[:, 40:50] = 0.8
    levels = []
    for moved_ns in (1, 2):
        player = Player(sound, continuous.matrices)
        player.follow(mel, 1)
        player.pull(100 * sound.hop)
        player.follow(mel, moved_ns)
        levels.append(np.abs(player.pull(12 * sound.hop)).max())
    assert levels[1] > 10 * levels[0]


def test_what_is_not_a_number_ends_in_a_new_beginning(continuous: Any) -> None:
    player = Player(continuous.sound, continuous.matrices)
    player.follow(continuous.mel)
    player.pull(SETTLED)
    planted = np.full(continuous.sound.n_mels, np.nan, np.float32)
    player._inverter._stream.push(planted, np.empty(256, np.float32))
    played = player.pull(SETTLED)
    assert player.restarts == 1
    assert np.all(np.isfinite(played))
    assert np.abs(played[-4000:]).max() > 0.01


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_silent(preset: Any, value: float) -> None:
    player = Player(preset.sound, preset.matrices)
    player.follow(np.full(preset.sound.mel_shape, value, np.float32))
    assert not np.any(player.pull(5000))


def test_one_bad_value_does_not_silence_the_rest(preset: Any) -> None:
    mel = preset.mel.copy()
    mel[3, 2] = np.nan
    player = Player(preset.sound, preset.matrices)
    player.follow(mel)
    played = player.pull(5000)
    assert np.all(np.isfinite(played))
    assert np.any(played)


def test_the_loudest_mel_stays_inside_full_scale(preset: Any) -> None:
    player = Player(preset.sound, preset.matrices)
    player.follow(np.ones(preset.sound.mel_shape, np.float32))
    played = player.pull(20000)
    ceiling = 10 ** (CEILING_DBFS / 20)
    assert 0.9 * ceiling < np.abs(played).max() <= ceiling


@pytest.mark.parametrize("change", ["shape", "type"])
def test_another_mel_is_refused_by_name(preset: Any, change: str) -> None:
    player = Player(preset.sound, preset.matrices)
    mel = preset.mel[:, :-1] if change == "shape" else preset.mel.astype(np.float64)
    with pytest.raises(DeviceError, match=r"mel: float.* cannot be played, the manifest says"):
        player.follow(mel)


def test_playing_makes_no_array_anew(continuous: Any) -> None:
    """A hop of samples alone would be 1 KiB, a spectrum 2."""
    player = Player(continuous.sound, continuous.matrices)
    player.follow(continuous.mel)
    period = np.empty(256, np.float32)
    for _ in range(100):
        player.fill(period)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(400):
        player.fill(period)
    grown, peak = (each - before for each in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert grown < 512
    assert peak < 4096


def test_a_gesture_that_is_refused_changes_nothing(continuous: Any) -> None:
    player, other = _playing(continuous), _playing(continuous)
    with pytest.raises(DeviceError):
        player.follow(continuous.mel[:-1])
    assert np.array_equal(player.pull(3000), other.pull(3000))
