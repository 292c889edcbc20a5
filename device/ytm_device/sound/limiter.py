"""A look-ahead peak limiter: nothing above the ceiling, by turning down instead of clipping."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

MAX_BLOCK = 64
"""Samples that have one gain at most; also the longest look-ahead."""
RELEASE_S = 0.15
"""Time constant, in seconds, of the way back to full level."""
_AIM = 1.01
"""Gain that the release makes for: a little above the 1 at which it ends, so that it arrives."""
_ROUNDING = 1 - 1e-6
"""Of the ceiling: keeps what float32 rounds up below it."""
_LOUDEST = np.float32(1e30)
"""The gain for anything louder would be too small for float32."""


class Limiter:
    """Turns down what would exceed the ceiling, beginning a block before it is heard.

    Each block needs a gain, `ceiling / peak` or 1. The gain follows straight lines between the
    edges of blocks; at an edge it is at most what the blocks on both sides need, so along a line
    it never exceeds what its block needs. It falls as fast as that requires and rises slowly.
    """

    def __init__(self, chunk: int, rate_hz: int, ceiling_dbfs: float) -> None:
        """Begin with silence in the line and a gain of 1.

        Args:
            chunk: samples in each call of `process`, >= 1. A block is its largest divisor that is
                at most `MAX_BLOCK`: without one near that, the limiter is slow and distorts more.
            rate_hz: of the samples.
            ceiling_dbfs: <= 0, relative to full scale.
        """
        self.delay = _largest_divisor(chunk, MAX_BLOCK)
        """Samples by which the output is behind the input: one block."""
        shape = (chunk // self.delay, self.delay)
        self._ceiling: float = 10 ** (ceiling_dbfs / 20) * _ROUNDING
        self._rise = -math.expm1(-self.delay / (RELEASE_S * rate_hz))
        self._needed = self._gain = 1.0
        line = np.zeros(chunk + self.delay, np.float32)
        self._oldest, self._newest = line[: self.delay], line[chunk:]
        self._arriving: Array = line[self.delay :]
        self._arriving_blocks: Array = self._arriving.reshape(shape)
        self._leaving_blocks: Array = line[:chunk].reshape(shape)
        self._loudness: Array = np.zeros(shape, np.float32)
        self._peaks: Array = np.zeros(shape[0], np.float32)
        self._edges: Array = np.ones((shape[0] + 1, 1), np.float32)
        self._steps: Array = np.zeros((shape[0], 1), np.float32)
        self._way = (np.arange(self.delay) / self.delay).astype(np.float32)
        self._gains: Array = np.ones(shape, np.float32)
        self._limited: Array = np.zeros(chunk, np.float32)
        self._limited_blocks: Array = self._limited.reshape(shape)

    def process(self, samples: Array) -> Array:
        """Take the next chunk and give the one that is `delay` samples older.

        Args:
            samples: float32 (chunk,), any value; what is not finite becomes silence. Not changed.

        Returns:
            float32 (chunk,), never above the ceiling, valid until the next call. What needs no
            gain, while none is recovering, is the input bit for bit.
        """
        self._oldest[:] = self._newest
        self._arriving[:] = samples
        self._measure()
        if not self._peaks.max() <= _LOUDEST:
            self._repair()
            self._measure()
        self._find_edges()
        np.subtract(self._edges[1:], self._edges[:-1], out=self._steps)
        np.multiply(self._steps, self._way, out=self._gains)
        np.add(self._gains, self._edges[:-1], out=self._gains)
        np.multiply(self._leaving_blocks, self._gains, out=self._limited_blocks)
        return self._limited

    def _measure(self) -> None:
        np.abs(self._arriving_blocks, out=self._loudness)
        np.max(self._loudness, axis=1, out=self._peaks)

    def _repair(self) -> None:
        self._arriving[~np.isfinite(self._arriving)] = 0
        np.clip(self._arriving, -_LOUDEST, _LOUDEST, out=self._arriving)

    def _find_edges(self) -> None:
        self._edges[0] = self._gain
        for index, peak in enumerate(self._peaks.tolist(), start=1):
            needed = self._ceiling / peak if peak > self._ceiling else 1.0
            risen = self._gain + (_AIM - self._gain) * self._rise
            self._gain = min(self._needed, needed, risen)
            self._edges[index] = self._gain
            self._needed = needed


def limited(samples: Array, rate_hz: int, ceiling_dbfs: float) -> Array:
    """A whole sound, float32 (n,), as a `Limiter` lets it through, in place; the caller's own."""
    blocks = -(-samples.size // MAX_BLOCK) + 1
    padded = np.zeros(blocks * MAX_BLOCK, np.float32)
    padded[: samples.size] = samples
    limiter = Limiter(padded.size, rate_hz, ceiling_dbfs)
    return np.array(limiter.process(padded)[limiter.delay :][: samples.size])


def _largest_divisor(number: int, limit: int) -> int:
    return next(size for size in range(min(number, limit), 0, -1) if number % size == 0)
