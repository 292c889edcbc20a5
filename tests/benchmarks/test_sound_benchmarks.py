"""Mel to sound at the artwork's settings, beside librosa: in tables, and as ratios."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable
from time import process_time

import librosa
import numpy as np
import pytest

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import SoundSpec
from ytm_device.sound.gesture import between
from ytm_device.sound.griffin_lim import GriffinLim, linear_magnitude
from ytm_device.sound.modes import GRAINS, STREAM
from ytm_device.sound.streaming.compiled import CompiledStream
from ytm_device.sound.streaming.reference import ReferenceStream
from ytm_device.sound.streaming.stream import MelStream, steps_per_frame
from ytm_device.sound.streaming.tables import StreamTables

RATE_HZ, N_FFT, HOP, N_MELS = 48000, 1024, 512, 128
GRAIN_SAMPLES = (GRAINS.frames - 1) * HOP
SOUND = SoundSpec(
    analysis_rate_hz=RATE_HZ,
    playback_rate_hz=RATE_HZ,
    n_fft=N_FFT,
    hop=HOP,
    n_mels=N_MELS,
    frames=1 + RATE_HZ // HOP,
    floor_db=-60,
    ceiling_db=20,
    loudness_lufs=-23,
    inversion=STREAM,
)
Make = Callable[[], Callable[[np.ndarray], np.ndarray]]


def _bank() -> np.ndarray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Empty filters detected")
        return librosa.filters.mel(sr=RATE_HZ, n_fft=N_FFT, n_mels=N_MELS)


def _matrices() -> MelMatrices:
    bank = _bank()
    return MelMatrices(bank, np.linalg.pinv(bank, rcond=1e-6).astype(np.float32))


@pytest.fixture(scope="module")
def power() -> np.ndarray:
    """float32 (n_mels, frames), mel power of a second of a glide with some noise."""
    samples = librosa.chirp(fmin=150, fmax=3000, sr=RATE_HZ, length=RATE_HZ)
    samples += np.random.default_rng(1).normal(0, 0.02, samples.size)
    spectrum = librosa.stft(samples, n_fft=N_FFT, hop_length=HOP)
    return (_bank() @ np.abs(spectrum) ** 2).astype(np.float32)


def _our_grain() -> Callable[[np.ndarray], np.ndarray]:
    inverse = _matrices().inverse
    griffin_lim = GriffinLim(N_FFT, HOP, GRAINS.frames, GRAINS.iterations, seed=0)
    return lambda power: griffin_lim.invert(linear_magnitude(power, inverse))


def _librosas_grain() -> Callable[[np.ndarray], np.ndarray]:
    return lambda power: librosa.feature.inverse.mel_to_audio(
        power, sr=RATE_HZ, n_fft=N_FFT, hop_length=HOP, n_iter=GRAINS.iterations
    )


def _streaming(kind: Callable[[StreamTables], MelStream]) -> Callable[[np.ndarray], np.ndarray]:
    """From mel frames on, the linear spectrum and the frames between included."""
    tables = StreamTables(SOUND, STREAM, _matrices())
    stream = kind(tables)
    hops = np.empty((RATE_HZ // tables.hop, tables.hop), np.float32)

    def second(power: np.ndarray) -> np.ndarray:
        for step, hop in zip(between(power, steps_per_frame(SOUND)), hops, strict=False):
            stream.push(step, hop)
        return hops.ravel()

    return second


def _compiled_second() -> Callable[[np.ndarray], np.ndarray]:
    return _streaming(CompiledStream)


def _reference_second() -> Callable[[np.ndarray], np.ndarray]:
    return _streaming(ReferenceStream)


def _librosas_second() -> Callable[[np.ndarray], np.ndarray]:
    """As the artwork: one call for each grain of four hops."""
    invert = _librosas_grain()
    starts = range(0, SOUND.frames - GRAINS.frames + 1, GRAINS.frames - 1)
    return lambda power: np.concatenate(
        [invert(power[:, start : start + GRAINS.frames]) for start in starts]
    )


librosas_warning = pytest.mark.filterwarnings("ignore:Empty filters detected")


@librosas_warning
@pytest.mark.benchmark(group="mel to one grain of sound")
@pytest.mark.parametrize("make", [_our_grain, _librosas_grain], ids=["ours", "librosa"])
def test_one_grain(benchmark: Callable[..., np.ndarray], make: Make, power: np.ndarray) -> None:
    samples = benchmark(make(), power[:, : GRAINS.frames])
    assert samples.shape == (GRAIN_SAMPLES,)


@librosas_warning
@pytest.mark.benchmark(group="a second of sound", min_rounds=3)
@pytest.mark.parametrize(
    "make",
    [_compiled_second, _reference_second, _librosas_second],
    ids=["our stream", "our stream in NumPy", "librosa's grains"],
)
def test_a_second(benchmark: Callable[..., np.ndarray], make: Make, power: np.ndarray) -> None:
    samples = benchmark(make(), power)
    assert samples.size == pytest.approx(RATE_HZ, rel=0.03)


def _cpu_s(invert: Callable[[np.ndarray], np.ndarray], power: np.ndarray, times: int) -> float:
    """CPU seconds of one call, of `times`."""
    started_s = process_time()
    for _ in range(times):
        invert(power)
    return (process_time() - started_s) / times


@librosas_warning
@pytest.mark.benchmark(group="ours and librosa's in turn")
@pytest.mark.parametrize(
    ("ours", "librosas", "frames", "times"),
    [
        (_our_grain, _librosas_grain, GRAINS.frames, 10),
        (_compiled_second, _librosas_second, SOUND.frames, 1),
    ],
    ids=["one grain", "a second"],
)
def test_librosa_over_ours(
    benchmark,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    power: np.ndarray,
    ours: Make,
    librosas: Make,
    frames: int,
    times: int,
) -> None:
    """The median of the ratios of rounds, since other work falls on both halves of a round."""
    inverts, ratios = (librosas(), ours()), []

    def in_turn() -> None:
        spent_s = [_cpu_s(invert, power[:, :frames], times) for invert in inverts]
        ratios.append(spent_s[0] / spent_s[1])

    benchmark.pedantic(in_turn, rounds=20, warmup_rounds=2)
    counted = ratios[2:]
    benchmark.extra_info["librosa_over_ours"] = median = statistics.median(counted)
    with capsys.disabled():
        print(
            f"\n{request.node.callspec.id}: librosa takes {median:.1f} times our CPU time"
            f" ({min(counted):.1f} to {max(counted):.1f} in {len(counted)} rounds)"
        )
    assert len(counted) == 20
