"""How long one hop of sound takes, against how long it lasts."""

from __future__ import annotations

import itertools
import math
from time import perf_counter_ns

import numpy as np

from ytm_bundle.bundle import Bundle
from ytm_device.benchmark.report import Hops
from ytm_device.sound.pcm import Quantiser
from ytm_device.sound.player import Array, Player, player_for
from ytm_device.sound.settings import CEILING_DBFS

REFLECTIONS_HZ = 30
"""How often the player is given another mel to follow: as a camera does."""
CHANNELS = 2
WARM_UP_HOPS = 20
_PERCENTILES = {"p50": 50, "p95": 95, "p99": 99, "max": 100}


def measure(bundle: Bundle, seconds: float) -> Hops:
    """Time the hops of `seconds` of sound, one by one, without pause.

    Each goes through the whole player (playhead, inversion, gain and limiter) and becomes int16 for
    two channels.

    Raises:
        DeviceError: the compiled library cannot be used.
    """
    player, rate_hz = player_for(bundle), bundle.manifest.sound.playback_rate_hz
    samples = player.chunk
    hop_s = samples / rate_hz
    every = max(1, round(1 / hop_s / REFLECTIONS_HZ))
    times_ns = _times_ns(player, bundle.replay().mels, every, math.ceil(seconds / hop_s))
    ms = {
        name: float(np.percentile(times_ns, percent, method="inverted_cdf")) / 1e6
        for name, percent in _PERCENTILES.items()
    }
    share = {name: value / (hop_s * 1e3) for name, value in ms.items()}
    return Hops(samples=samples, budget_ms=hop_s * 1e3, count=times_ns.size, ms=ms, share=share)


def _times_ns(player: Player, mels: Array, every: int, count: int) -> np.ndarray:
    """int64 (count,), of consecutive hops; `every` so many the player follows another mel."""
    newest = itertools.cycle(mels)
    quantise = Quantiser(player.chunk, CHANNELS, CEILING_DBFS)
    hop = np.empty(player.chunk, np.float32)
    times_ns = np.empty(WARM_UP_HOPS + count, np.int64)
    for index in range(times_ns.size):
        if index % every == 0:
            player.follow(next(newest))
        started_ns = perf_counter_ns()
        player.fill(hop)
        quantise(hop)
        times_ns[index] = perf_counter_ns() - started_ns
    return times_ns[WARM_UP_HOPS:]
