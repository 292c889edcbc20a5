from __future__ import annotations

from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import SoundSpec, StreamInversion
from ytm_device.sound.phase_stream import PhaseStream
from ytm_device.sound.player import Player
from ytm_device.sound.stream import stream_whole
from ytm_training.media import open_video

RATE_HZ, N_FFT, HOP = 48000, 1024, 256
STREAM = StreamInversion(look_ahead_frames=1, iterations=8, updates=2)
QUALITY = StreamInversion(look_ahead_frames=3, iterations=8, updates=5)
ZERO = StreamInversion(look_ahead_frames=0, iterations=8, updates=2)
VIDEOS = Path(__file__).resolve().parents[3] / "shared/data/videos"
RECORDINGS = ("vggsound_harp.mp4", "vggsound_baby_cry.mp4", "vas_drummer.mp4", "vas_cough.mp4")


def _magnitude(samples: np.ndarray) -> np.ndarray:
    """float32 (frames, bins), by librosa."""
    return np.abs(librosa.stft(samples, n_fft=N_FFT, hop_length=HOP)).T.astype(np.float32)


def _streamed(magnitude: np.ndarray, look_ahead: int = 1, iterations: int = 6) -> np.ndarray:
    """The sound from the first frame's centre to the last's."""
    stream = PhaseStream(N_FFT, look_ahead, iterations)
    silence = np.zeros((stream.delay // HOP, N_FFT // 2 + 1), np.float32)
    hops = [stream.push(frame) for frame in np.concatenate([magnitude, silence])]
    return np.concatenate(hops)[stream.delay :][: (len(magnitude) - 1) * HOP]


def _distance(wanted: np.ndarray, found: np.ndarray) -> float:
    """Spectral convergence of magnitudes."""
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def _sound(hop: int = HOP, inversion: StreamInversion = STREAM) -> SoundSpec:
    return SoundSpec(
        analysis_rate_hz=RATE_HZ,
        playback_rate_hz=RATE_HZ,
        n_fft=N_FFT,
        hop=hop,
        n_mels=128,
        frames=1 + RATE_HZ // hop,
        floor_db=-50,
        ceiling_db=30,
        loudness_lufs=-23,
        inversion=inversion,
    )


@pytest.fixture(scope="module")
def matrices() -> MelMatrices:
    bank = librosa.filters.mel(sr=RATE_HZ, n_fft=N_FFT, n_mels=128)
    return MelMatrices(bank, np.linalg.pinv(bank, rcond=1e-6).astype(np.float32))


def _mel(samples: np.ndarray, hop: int, matrices: MelMatrices) -> np.ndarray:
    spectrum = librosa.stft(samples, n_fft=N_FFT, hop_length=hop)
    return (matrices.forward @ np.abs(spectrum) ** 2).astype(np.float32)


def _sine(frequency_hz: float, seconds: float = 2.0) -> np.ndarray:
    t_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * frequency_hz * t_s)).astype(np.float32)


@pytest.mark.parametrize("look_ahead", [0, 1, 3])
@pytest.mark.parametrize("frequency_hz", [311.0, 1000.0, 3456.7])
def test_a_steady_sine_comes_out_steady(frequency_hz: float, look_ahead: int) -> None:
    sine = _sine(frequency_hz)
    found = _streamed(_magnitude(sine), look_ahead)
    settled = slice(RATE_HZ // 2, -RATE_HZ // 4)
    wanted = _magnitude(sine[settled])[2:-2]
    assert _distance(wanted, _magnitude(found[settled])[2:-2]) < 0.03
    peaks = np.abs(found[settled])[: RATE_HZ // 480 * 480].reshape(-1, 480).max(axis=1)
    assert peaks.max() / peaks.min() < 1.06
    largest_step = 0.3 * 2 * np.pi * frequency_hz / RATE_HZ
    assert np.abs(np.diff(found[settled])).max() < 1.1 * largest_step


@pytest.mark.parametrize("look_ahead", [0, 1, 3])
def test_the_sound_is_where_the_frames_were(look_ahead: int) -> None:
    """A click comes back at its own time, and nothing comes before its window."""
    samples = np.zeros(RATE_HZ // 2, np.float32)
    at = 10000
    samples[at] = 1
    found = _streamed(_magnitude(samples), look_ahead, 8)
    energy = found.astype(float) ** 2
    centre = np.sum(energy * np.arange(found.size)) / energy.sum()
    assert centre == pytest.approx(at, abs=N_FFT // 4)
    assert not np.any(found[: at - 2 * N_FFT])


def test_more_iterations_and_more_look_ahead_come_closer(preset: Any) -> None:
    magnitude = _magnitude(preset.samples)
    distances = [
        _distance(magnitude[:-1], _magnitude(_streamed(magnitude, *choice))[:-1][: len(magnitude)])
        for choice in ((1, 1), (1, 6), (3, 12))
    ]
    assert distances == sorted(distances, reverse=True)


def test_silence_is_silence_and_the_phase_survives_it() -> None:
    sine = _magnitude(_sine(1000, 0.5))
    gap = np.zeros((20, sine.shape[1]), np.float32)
    found = _streamed(np.concatenate([gap, sine, gap, sine]))
    assert not np.any(found[: 15 * HOP])
    again = found[-60 * HOP :]
    assert np.sqrt(np.mean(again**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


def test_the_same_frames_give_the_same_samples() -> None:
    magnitude = np.random.default_rng(3).random((50, 513), np.float32)
    assert np.array_equal(_streamed(magnitude), _streamed(magnitude))


@pytest.mark.parametrize("factor", [2.0**-6, 2.0**9])
def test_loudness_changes_nothing_else(preset: Any, factor: float) -> None:
    magnitude = _magnitude(preset.samples)[:60]
    distances = [
        _distance(magnitude[2:-2], _magnitude(_streamed(magnitude * level))[2:-2] / level)
        for level in (np.float32(1), np.float32(factor))
    ]
    assert distances[1] == pytest.approx(distances[0], rel=0.1)


@pytest.mark.parametrize("hop", [256, 512])
def test_a_whole_mel_has_its_own_length(hop: int, matrices: MelMatrices) -> None:
    sine = _sine(700, 1)
    power = _mel(sine, hop, matrices)
    found = stream_whole(power, _sound(hop), STREAM, matrices)
    assert found.shape == ((power.shape[1] - 1) * hop,)
    assert found.dtype == np.float32
    wanted = np.sqrt(_mel(sine[: found.size], HOP, matrices))
    assert _distance(wanted, np.sqrt(_mel(found, HOP, matrices))) < 0.2


def _recording(name: str) -> np.ndarray:
    if not VIDEOS.is_dir():
        pytest.skip("needs the recordings of ../shared/data/videos")
    with open_video(VIDEOS / name) as video:
        samples = video.sound(1.0, 3.0, RATE_HZ)
    return samples / np.abs(samples).max() * np.float32(0.5)


def _flutter_db(samples: np.ndarray, original: np.ndarray) -> float:
    """Energy of the envelope around 23.4 Hz against the original's."""
    energies = []
    for each in (original, samples):
        envelope = np.sqrt(np.mean(each[: each.size // 64 * 64].reshape(-1, 64) ** 2, axis=1))
        spectrum = np.abs(np.fft.rfft(envelope / envelope.mean() * np.hanning(envelope.size)))
        at_hz = np.fft.rfftfreq(envelope.size, 64 / RATE_HZ)
        energies.append(np.sum(spectrum[np.abs(at_hz - 23.4) < 2] ** 2))
    return float(10 * np.log10(energies[1] / energies[0]))


def _librosas(power: np.ndarray, hop: int, matrices: MelMatrices) -> np.ndarray:
    linear = np.sqrt(librosa.util.nnls(matrices.forward, power))
    return librosa.griffinlim(linear, n_iter=32, hop_length=hop, n_fft=N_FFT, random_state=0)


@pytest.mark.parametrize("hop", [256, 512])
def test_recordings_come_back_closer_than_by_librosa_offline(
    hop: int, matrices: MelMatrices
) -> None:
    """From the same mels, which librosa sees whole, 32 times; and without a flutter at 23 Hz."""
    distances, flutter_db = [], []
    for name in RECORDINGS:
        original = _recording(name)
        power = _mel(original, hop, matrices)
        ours = stream_whole(power, _sound(hop), STREAM, matrices)
        wanted = np.sqrt(_mel(original[: ours.size], HOP, matrices))
        pair = (ours, _librosas(power, hop, matrices))
        distances.append([_distance(wanted, np.sqrt(_mel(each, HOP, matrices))) for each in pair])
        flutter_db.append(_flutter_db(ours, original[: ours.size]))
    mean_ours, mean_librosas = np.mean(distances, axis=0)
    assert mean_ours <= mean_librosas
    assert np.abs(flutter_db).max() < 2
    assert abs(np.mean(flutter_db)) < 1


def _largest_step(samples: np.ndarray) -> float:
    return float(np.abs(np.diff(samples)).max())


def test_mels_that_arrive_all_the_time_make_no_click(matrices: MelMatrices) -> None:
    """Thirty unrelated chords a second: no step larger than inside the loudest held chord."""
    sound = _sound()
    chords = [sum(_sine(f, 1) for f in (220 * k, 277 * k)) / 4 for k in (1, 1.5, 2.1, 2.9)]
    mels = [sound.scale(_mel(chord, HOP, matrices)) for chord in chords]
    held = []
    for mel in mels:
        player = Player(sound, matrices)
        player.play(mel)
        held.append(_largest_step(player.pull(RATE_HZ)[RATE_HZ // 4 :]))
    player = Player(sound, matrices)
    pieces = []
    for turn in range(60):
        player.play(mels[turn % len(mels)])
        pieces.append(player.pull(RATE_HZ // 30))
    jumping = np.concatenate(pieces)[RATE_HZ // 4 :]
    assert _largest_step(jumping) < 1.5 * max(held)
    assert np.abs(jumping).max() < 1


def test_a_held_mel_has_no_seam(matrices: MelMatrices) -> None:
    sound = _sound()
    player = Player(sound, matrices)
    player.play(sound.scale(_mel(_sine(440, 1), HOP, matrices)))
    found = player.pull(3 * RATE_HZ)[RATE_HZ // 2 :]
    levels = np.sqrt(np.mean(found[: found.size // 960 * 960].reshape(-1, 960) ** 2, axis=1))
    assert 20 * np.log10(levels.max() / levels.min()) < 3
