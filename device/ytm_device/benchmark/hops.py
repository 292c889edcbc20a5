"""How long one hop of sound takes, against how long it lasts."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np

from ytm_bundle.bundle import Bundle
from ytm_device.benchmark.stages import Times
from ytm_device.sound.pcm import Quantiser
from ytm_device.sound.player import Array, Player, player_for
from ytm_device.sound.settings import CEILING_DBFS

REFLECTIONS_HZ = 30
"""How often the player is given another mel to follow: as a camera does."""
CHANNELS = 2
WARM_UP_HOPS = 20


@dataclass(frozen=True)
class Hops:
    """What was made."""

    samples: int
    """In a hop; of a bundle that plays grains, in a grain."""
    lasts_ms: float
    """Each."""


def measure(bundle: Bundle, seconds: float, times: Times) -> Hops:
    """Time the hops of `seconds` of sound, one by one, without pause.

    Each goes through the whole player (playhead, inversion, gain and limiter) and becomes int16 for
    two channels.

    Raises:
        DeviceError: the compiled library cannot be used.
    """
    player, rate_hz = player_for(bundle), bundle.manifest.sound.playback_rate_hz
    hop_s = player.chunk / rate_hz
    every = max(1, round(1 / hop_s / REFLECTIONS_HZ))
    _time(player, bundle.replay().mels, every, math.ceil(seconds / hop_s), times)
    return Hops(player.chunk, hop_s * 1e3)


def _time(player: Player, mels: Array, every: int, count: int, times: Times) -> None:
    """Of `count` consecutive hops; `every` so many the player follows another mel."""
    newest = itertools.cycle(mels)
    quantise = Quantiser(player.chunk, CHANNELS, CEILING_DBFS)
    hop = np.empty(player.chunk, np.float32)
    for index in range(WARM_UP_HOPS + count):
        if index % every == 0:
            player.follow(next(newest))
        begun_ns = perf_counter_ns()
        player.fill(hop)
        quantise(hop)
        took_ns = perf_counter_ns() - begun_ns
        if index >= WARM_UP_HOPS:
            times.add("invert", took_ns)
