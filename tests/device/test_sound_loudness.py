from __future__ import annotations

from dataclasses import replace
from typing import Any

import librosa
import numpy as np
import pyloudnorm
import pytest
from scipy import signal

from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.manifest import GrainInversion, StreamInversion
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.sound.loudness import (
    MAX_GAIN_DB,
    Levels,
    gain_db,
    integrated_lufs,
    k_weighting,
    levels,
)
from ytm_device.sound.player import Player

RATE_HZ = 48000
LISTENED_S = 5
STREAM = StreamInversion(look_ahead_frames=1, iterations=8, updates=2)
GRAINS = GrainInversion(frames=5, iterations=5)
SHELF = (
    [1.53512485958697, -2.69169618940638, 1.19839281085285],
    [1, -1.69065929318241, 0.73248077421585],
)
HIGH_PASS = ([1, -2, 1], [1, -1.99004745483398, 0.99007225036621])
"""Both as printed in ITU-R BS.1770, for 48 kHz: numerator and denominator."""


def _noise(t_s: np.ndarray) -> np.ndarray:
    return 0.05 * np.random.default_rng(2).normal(size=t_s.size)


def _speech(t_s: np.ndarray) -> np.ndarray:
    """Syllables of a voice with one formant, and hissing between them."""
    turns = 120 * t_s - 30 / (4 * np.pi) * np.cos(4 * np.pi * t_s)
    voice = sum(
        np.sin(2 * np.pi * overtone * turns) * np.exp(-(((overtone * 120 - 600) / 700) ** 2))
        for overtone in range(1, 40)
    )
    return 0.05 * voice * np.sin(4 * np.pi * t_s) ** 2 + _noise(t_s) * (
        np.sin(6 * np.pi * t_s) > 0.7
    )


def _bass(t_s: np.ndarray) -> np.ndarray:
    return 0.1 * np.sin(2 * np.pi * 100 * t_s)


def _mel(preset: Any, material: Any) -> np.ndarray:
    """Scaled mel of something that lasts as long as the preset's."""
    if material is None:
        return preset.mel
    sound = preset.sound
    t_s = np.arange((sound.frames - 1) * sound.hop) / sound.analysis_rate_hz
    spectrum = librosa.stft(material(t_s), n_fft=sound.n_fft, hop_length=sound.hop)
    return sound.scale(preset.matrices.forward @ np.abs(spectrum) ** 2)


def _lufs(preset: Any, *powers: np.ndarray) -> float | None:
    return integrated_lufs(np.float32(powers), preset.sound, preset.matrices)


def _power(preset: Any) -> np.ndarray:
    return preset.sound.unscale(preset.mel)


def _steady(power: np.ndarray) -> np.ndarray:
    """As much in every frame."""
    return np.repeat(power.mean(axis=1, keepdims=True), power.shape[1], axis=1)


@pytest.mark.parametrize("material", [None, _speech, _noise, _bass])
def test_a_meter_shows_the_same_for_what_is_played(preset: Any, material: Any) -> None:
    mel = _mel(preset, material)
    player = Player(preset.sound, preset.matrices)
    player.follow(mel)
    player.pull(RATE_HZ)
    played = player.pull(LISTENED_S * RATE_HZ).astype(np.float64)
    shown = pyloudnorm.Meter(RATE_HZ).integrated_loudness(played)
    assert _lufs(preset, preset.sound.unscale(mel)) == pytest.approx(shown, abs=0.9)


def test_the_weighting_is_the_standard_s_at_48_khz() -> None:
    hz = np.linspace(1, RATE_HZ / 2, 1000)
    expected = [np.abs(signal.freqz(*part, hz, fs=RATE_HZ)[1]) ** 2 for part in (SHELF, HIGH_PASS)]
    assert np.allclose(k_weighting(hz, RATE_HZ), np.prod(expected, axis=0), rtol=1e-6)


@pytest.mark.parametrize("rate_hz", [22050, 44100, 48000, 96000])
def test_at_997_hz_it_undoes_the_offset_at_any_rate(rate_hz: int) -> None:
    """A sine at full scale reads -3.01 LKFS, says the standard."""
    assert 10 * np.log10(k_weighting(np.float64([997]), rate_hz)) == pytest.approx(0.691, abs=0.04)


def test_ten_times_the_power_is_10_lu_more(preset: Any) -> None:
    power = _power(preset)
    once, ten_times = _lufs(preset, power), _lufs(preset, 10 * power)
    assert once is not None
    assert ten_times == pytest.approx(once + 10, abs=1e-5)


def test_the_artwork_s_window_leaves_three_eighths(preset: Any) -> None:
    powers = _power(preset)[None]
    streamed, grains = (
        integrated_lufs(
            powers, preset.sound.model_copy(update={"inversion": inversion}), preset.matrices
        )
        for inversion in (STREAM, GRAINS)
    )
    assert grains - streamed == pytest.approx(10 * np.log10(3 / 8))


def test_silence_has_no_loudness(preset: Any) -> None:
    silence = np.zeros(preset.sound.mel_shape, np.float32)
    assert _lufs(preset, silence, silence) is None
    assert integrated_lufs(silence[None][:0], preset.sound, preset.matrices) is None


def test_what_is_below_minus_70_lufs_has_none_either(preset: Any) -> None:
    steady = _steady(_power(preset))
    to_the_gate = 10 ** ((-70 - _lufs(preset, steady)) / 10)
    assert _lufs(preset, 0.99 * to_the_gate * steady) is None
    assert _lufs(preset, 1.01 * to_the_gate * steady) == pytest.approx(-70, abs=0.1)


def test_quiet_mels_count_unless_they_are_far_below_the_rest(preset: Any) -> None:
    steady = _steady(_power(preset))
    alone = _lufs(preset, steady)
    halved = 10 * np.log10((1 + 0.2) / 2)
    assert _lufs(preset, steady, 0.2 * steady) == pytest.approx(alone + halved, abs=1e-4)
    assert _lufs(preset, steady, 0.02 * steady) == pytest.approx(alone, abs=1e-4)
    assert _lufs(preset, steady, 0 * steady) == pytest.approx(alone, abs=1e-4)


def test_a_mel_shorter_than_a_block_counts_by_its_mean(preset: Any) -> None:
    power = _power(preset)[:, :9]
    turned = np.roll(power, 4, axis=1)
    assert _lufs(preset, turned) == pytest.approx(_lufs(preset, power), abs=1e-4)
    assert _lufs(preset, _steady(power)) == pytest.approx(_lufs(preset, power), abs=0.1)


@pytest.mark.parametrize(
    ("measured_lufs", "expected_db"),
    [(-30.0, 7), (-20.0, -3), (None, 0), (-69.0, MAX_GAIN_DB), (10.0, -MAX_GAIN_DB)],
)
def test_the_gain_leads_to_the_target_within_limits(
    measured_lufs: float | None, expected_db: float
) -> None:
    assert gain_db(measured_lufs, -23) == expected_db


def test_answers_and_stills_are_brought_to_one_loudness(tiny_bundle: Bundle) -> None:
    """The manifest says how loud answers are; stills are measured; +6 dB in, 6 dB less gain."""
    plain = levels(tiny_bundle, -20)
    assert plain.mirror_db == plain.replay_db
    manifest = tiny_bundle.manifest
    stated = replace(
        tiny_bundle, manifest=manifest.model_copy(update={"answer_loudness_lufs": -31.5})
    )
    assert levels(stated, -20) == Levels(mirror_db=11.5, replay_db=plain.replay_db)
    louder = manifest.sound.model_copy(
        update={
            "ceiling_db": manifest.sound.ceiling_db + 6,
            "floor_db": manifest.sound.floor_db + 6,
        }
    )
    six_more = replace(tiny_bundle, manifest=manifest.model_copy(update={"sound": louder}))
    assert levels(six_more, -20).replay_db == pytest.approx(plain.replay_db - 6, abs=1e-3)


def test_a_player_meets_the_loudness_that_it_is_asked_for() -> None:
    """The demo bundle's stills, metered as they are played."""
    with open_bundle(DEMO_BUNDLE) as bundle:
        manifest = bundle.manifest
        player = Player(
            manifest.sound, bundle.mel_matrices(), gain_db=levels(bundle, -24).replay_db
        )
        played = []
        for mel in bundle.replay().mels[:8]:
            player.follow(mel)
            played.append(player.pull(2 * manifest.sound.playback_rate_hz))
        rate_hz = manifest.sound.playback_rate_hz
        expected = integrated_lufs(
            manifest.sound.unscale(bundle.replay().mels[:8]), manifest.sound, bundle.mel_matrices()
        )
        metered = pyloudnorm.Meter(rate_hz).integrated_loudness(np.concatenate(played))
        assert metered == pytest.approx(expected + levels(bundle, -24).replay_db, abs=1)
