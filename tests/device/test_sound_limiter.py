from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ytm_device.sound.limiter import MAX_BLOCK, RELEASE_S, Limiter

RATE_HZ = 48000
CHUNK = 256
CEILING_DBFS = -1.0
CEILING = 10 ** (CEILING_DBFS / 20)
DELAYS = [(2048, 64), (256, 64), (64, 64), (60, 60), (37, 37), (300, 60), (131, 1), (1, 1)]


def _limit(samples: np.ndarray, chunk: int = CHUNK, ceiling_dbfs: float = CEILING_DBFS):
    limiter = Limiter(chunk, RATE_HZ, ceiling_dbfs)
    return np.concatenate([limiter.process(part).copy() for part in samples.reshape(-1, chunk)])


def _gain(samples: np.ndarray) -> np.ndarray:
    """Of each sample, which none may be 0, until the end of what came out."""
    limited = _limit(samples)[MAX_BLOCK:].astype(np.float64)
    return limited / samples[: limited.size]


def _tone(hz: float, peak: float, seconds: float = 1.0) -> np.ndarray:
    samples = int(seconds * RATE_HZ) // CHUNK * CHUNK
    return (peak * np.sin(2 * np.pi * hz * np.arange(samples) / RATE_HZ)).astype(np.float32)


def _distortion(samples: np.ndarray, hz: float) -> float:
    """Power of everything but the tone, as a share of the whole."""
    power = np.abs(np.fft.rfft(samples * np.blackman(samples.size))) ** 2
    bin_hz = RATE_HZ / samples.size
    beside = np.abs(np.arange(power.size) * bin_hz - hz) > 4 * bin_hz
    return float(power[beside].sum() / power.sum())


@given(
    st.sampled_from([chunk for chunk, _ in DELAYS]),
    st.floats(-40, 0),
    st.integers(1, 4),
    st.data(),
)
def test_nothing_is_ever_above_the_ceiling(
    chunk: int, ceiling_dbfs: float, chunks: int, data: st.DataObject
) -> None:
    any_sample = st.floats(width=32)
    samples = data.draw(hnp.arrays(np.float32, chunk * chunks, elements=any_sample))
    limited = _limit(samples, chunk, ceiling_dbfs)
    assert limited.dtype == np.float32
    assert np.all(np.abs(limited.astype(np.float64)) <= 10 ** (ceiling_dbfs / 20))


@given(st.integers(0, 1 << 32), st.floats(-3, 38), st.sampled_from([64, 60, 256, 2048]))
def test_nor_is_noise_of_any_level_that_changes(seed: int, most: float, chunk: int) -> None:
    rng = np.random.default_rng(seed)
    level = 10 ** np.repeat(rng.uniform(-3, most, 4 * chunk), rng.integers(1, 200))[: 4 * chunk]
    samples = (level * rng.uniform(-1, 1, 4 * chunk)).astype(np.float32)
    assert np.abs(_limit(samples, chunk).astype(np.float64)).max() <= CEILING


@pytest.mark.parametrize(("chunk", "delay"), DELAYS)
def test_the_delay_is_what_it_says(chunk: int, delay: int) -> None:
    limiter = Limiter(chunk, RATE_HZ, CEILING_DBFS)
    assert limiter.delay == delay
    samples = np.zeros(chunk * (delay // chunk + 2), np.float32)
    samples[3 % chunk] = 0.5
    limited = _limit(samples, chunk)
    assert np.flatnonzero(limited).tolist() == [3 % chunk + delay]


@given(
    hnp.arrays(
        np.float32,
        CHUNK * 3,
        elements=st.floats(-0.875, 0.875, width=32),
    )
)
def test_below_the_ceiling_samples_pass_bit_for_bit(samples: np.ndarray) -> None:
    limited = _limit(samples)
    assert limited[MAX_BLOCK:].tobytes() == samples[:-MAX_BLOCK].tobytes()
    assert not np.any(limited[:MAX_BLOCK])


def test_what_is_not_finite_is_silence_and_changes_nothing_else() -> None:
    samples = _tone(440, 0.5, 0.05)
    silenced = samples.copy()
    for index, value in ((100, np.nan), (101, np.inf), (700, -np.inf)):
        samples[index], silenced[index] = value, 0
    assert np.array_equal(_limit(samples), _limit(silenced))


@pytest.mark.parametrize(
    ("hz", "share_of_clipping"), [(98, 2e-3), (434, 1e-4), (994, 1e-4), (5002, 1e-4)]
)
def test_a_tone_12_db_too_loud_stays_a_tone(hz: float, share_of_clipping: float) -> None:
    tone = _tone(hz, 4 * CEILING, 2)
    settled = slice(RATE_HZ // 2, None)
    limited = _limit(tone)[settled]
    clipped = np.clip(tone, -CEILING, CEILING)[settled]
    assert np.abs(limited).max() == pytest.approx(CEILING, rel=0.01)
    assert _distortion(limited, hz) < share_of_clipping * _distortion(clipped, hz)


def test_a_loud_passage_is_faded_to_before_it_is_heard() -> None:
    onset = 5 * CHUNK
    samples = np.full(10 * CHUNK, 0.5, np.float32)
    samples[onset:] = 4
    gain = _gain(samples)
    assert np.all(gain[: onset - MAX_BLOCK] == 1)
    assert np.abs(np.diff(gain)).max() < 1 / MAX_BLOCK
    assert gain[onset:] == pytest.approx(CEILING / 4, rel=1e-5)


def test_after_a_loud_passage_the_level_comes_back_slowly_and_wholly() -> None:
    loud = 5 * CHUNK
    samples = np.full(loud + RATE_HZ // CHUNK * CHUNK, 0.5, np.float32)
    samples[:loud] = 4
    gain = _gain(samples)[loud:]
    start = CEILING / 4
    after_release = start + (1 - start) * (1 - np.exp(-1))
    assert gain[0] == pytest.approx(start, rel=1e-3)
    assert gain[int(RELEASE_S * RATE_HZ)] == pytest.approx(after_release, abs=0.02)
    assert np.all(np.diff(gain) > -1e-6)
    assert np.all(gain[int(5 * RELEASE_S * RATE_HZ) :] == 1)


def test_one_absurd_sample_does_not_silence_what_follows_for_long() -> None:
    samples = np.full(2 * RATE_HZ // CHUNK * CHUNK, 0.5, np.float32)
    samples[1000] = 3.4e38
    gain = _gain(samples)
    assert gain[1000 + int(RELEASE_S * RATE_HZ)] > 0.5
    assert gain[-1] == 1


def test_the_input_is_kept_and_the_output_is_one_buffer() -> None:
    limiter = Limiter(CHUNK, RATE_HZ, CEILING_DBFS)
    samples = np.full(CHUNK, np.inf, np.float32)
    first = limiter.process(samples)
    assert np.all(samples == np.inf)
    assert limiter.process(samples) is first


def test_memory_does_not_grow() -> None:
    limiter = Limiter(CHUNK, RATE_HZ, CEILING_DBFS)
    samples = _tone(440, 4, 0.1).reshape(-1, CHUNK)
    tracemalloc.start()
    try:
        for turn in range(400):
            if turn == 100:
                before, _ = tracemalloc.get_traced_memory()
                tracemalloc.reset_peak()
            limiter.process(samples[turn % len(samples)])
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1000
    assert peak - before < 4000
