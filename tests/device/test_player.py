from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ytm_bundle.errors import DeviceError
from ytm_device.sound.player import Player

SLOW_FIXTURE = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _playing(preset: Any) -> Player:
    player = Player(preset.sound, preset.matrices)
    player.play(preset.mel)
    return player


def test_silence_until_the_first_mel(preset: Any) -> None:
    player = Player(preset.sound, preset.matrices)
    assert np.array_equal(player.pull(1000), np.zeros(1000, np.float32))
    assert player.sounding is None
    player.play(preset.mel)
    assert np.any(player.pull(1000))
    assert player.sounding is preset.mel


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
    played = player.pull(20 * grains * step * grains_preset.sound.hop)
    lost_db = -10 * np.log10(np.mean(played**2) / np.mean(grains_preset.samples**2))
    window_db = -10 * np.log10(3 / 8)
    assert window_db - 0.5 < lost_db < window_db + 2


def test_a_tone_keeps_its_pitch(preset: Any) -> None:
    """A single band comes back at its own frequency, at the playback rate."""
    sound, band = preset.sound, 40
    mel = np.zeros(sound.mel_shape, np.float32)
    mel[band] = 0.7
    player = Player(sound, preset.matrices)
    player.play(mel)
    played = player.pull(1 << 16)
    spectrum = np.abs(np.fft.rfft(played * np.hanning(played.size)))
    found_hz = np.argmax(spectrum) * sound.playback_rate_hz / played.size
    centre_hz = np.argmax(preset.matrices.inverse[:, band]) * sound.playback_rate_hz / sound.n_fft
    assert found_hz == pytest.approx(centre_hz, abs=sound.playback_rate_hz / sound.n_fft)


def test_a_newer_mel_is_heard_from_the_next_grain_on(grains_preset: Any) -> None:
    player = _playing(grains_preset)
    chunk = (grains_preset.sound.inversion.frames - 1) * grains_preset.sound.hop
    player.pull(10)
    silence = np.zeros_like(grains_preset.mel)
    player.play(silence)
    rest = player.pull(chunk - 10)
    assert np.any(rest)
    assert player.sounding is grains_preset.mel
    assert not np.any(player.pull(1))
    assert player.sounding is silence


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_silent(preset: Any, value: float) -> None:
    player = Player(preset.sound, preset.matrices)
    player.play(np.full(preset.sound.mel_shape, value, np.float32))
    assert np.array_equal(player.pull(5000), np.zeros(5000, np.float32))


def test_one_bad_value_does_not_silence_the_rest(preset: Any) -> None:
    mel = preset.mel.copy()
    mel[3, 2] = np.nan
    player = Player(preset.sound, preset.matrices)
    player.play(mel)
    played = player.pull(5000)
    assert np.all(np.isfinite(played))
    assert np.any(played)


def test_the_loudest_mel_stays_inside_full_scale(preset: Any) -> None:
    player = Player(preset.sound, preset.matrices)
    player.play(np.ones(preset.sound.mel_shape, np.float32))
    played = player.pull(20000)
    assert np.abs(played).max() <= 1
    assert np.abs(played).max() > 0.9


@pytest.mark.parametrize("change", ["shape", "type"])
def test_another_mel_is_refused_by_name(preset: Any, change: str) -> None:
    player = Player(preset.sound, preset.matrices)
    mel = preset.mel[:, :-1] if change == "shape" else preset.mel.astype(np.float64)
    with pytest.raises(DeviceError, match=r"mel: float.* cannot be played, the manifest says"):
        player.play(mel)
