"""Whether a machine streams its sound by the compiled kernel or by the graph: it is measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from time import perf_counter

import numpy as np

from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import INVERTER, StreamInversion
from ytm_device.engines.engine import Engine
from ytm_device.sound.gesture import between
from ytm_device.sound.streaming.chosen import GRAPH, KERNEL
from ytm_device.sound.streaming.compiled import CompiledStream
from ytm_device.sound.streaming.graph import GraphStream
from ytm_device.sound.streaming.stream import MelStream, step_s, steps_per_frame
from ytm_device.sound.streaming.tables import Array, StreamTables

MOST_SHARE = 0.5
"""Of a hop's duration: a graph whose slowest hop in a hundred takes longer is not taken. The rest
is for whatever else the machine does."""
WARM_UP = 10
"""Hops before those that count; the first ones of an engine are slow."""


@dataclass(frozen=True)
class HopTimes:
    """How long the hops of a stream took, in seconds."""

    median_s: float
    slow_s: float
    """All but the slowest hundredth took at most this."""


@dataclass(frozen=True)
class Choice:
    """Which way to stream, and why."""

    chosen: str
    """`KERNEL` or `GRAPH`."""
    why: str
    times: Mapping[str, HopTimes]
    """By name; empty if there was nothing to choose between."""


def compare(bundle: Bundle, engine: Engine | None, hops: int = 400) -> Choice:
    """Time both ways on the stills of a bundle, in turn, and choose.

    Args:
        bundle: whose sound is streamed.
        engine: of its graph `inverter`, on this machine; None if it has none.
        hops: of each, >= 1.

    Raises:
        DeviceError: the sound is not streamed, the compiled library cannot be used, or the graph
            cannot be run.
    """
    sound, matrices = bundle.manifest.sound, bundle.mel_matrices()
    if not isinstance(sound.inversion, StreamInversion):
        raise DeviceError("sound.inversion: this bundle plays grains, there is nothing to compare")
    if engine is None or INVERTER not in bundle.manifest.graphs:
        return Choice(KERNEL, "there is no graph to compare it with", {})
    tables = StreamTables(sound, sound.inversion, matrices)
    streams: dict[str, MelStream] = {
        KERNEL: CompiledStream(tables),
        GRAPH: GraphStream(tables, engine),
    }
    powers = sound.unscale(bundle.replay().mels)
    steps = np.concatenate([between(power, steps_per_frame(sound)) for power in powers])
    return choose(hop_times(streams, steps, tables.hop, hops), step_s(sound))


def hop_times(
    streams: Mapping[str, MelStream], steps: Array, hop: int, hops: int
) -> dict[str, HopTimes]:
    """Wall-clock times of `hops` hops of each stream, which take turns at every hop.

    Args:
        streams: by name.
        steps: float32 (any, n_mels), mel power that all of them play, over and over.
        hop: samples.
        hops: of each that count.
    """
    out = np.empty(hop, np.float32)
    taken_s: dict[str, list[float]] = {name: [] for name in streams}
    for step in islice(cycle(steps), WARM_UP + hops):
        for name, stream in streams.items():
            started_s = perf_counter()
            stream.push(step, out)
            taken_s[name].append(perf_counter() - started_s)
    return {name: _summary(times_s[WARM_UP:]) for name, times_s in taken_s.items()}


def choose(times: Mapping[str, HopTimes], hop_s: float) -> Choice:
    """The faster of `KERNEL` and `GRAPH`, if the graph is steady enough for hops of `hop_s`."""
    kernel, graph = times[KERNEL], times[GRAPH]
    told = f"{1000 * graph.median_s:.2f} ms a hop, the kernel {1000 * kernel.median_s:.2f} ms"
    if graph.median_s >= kernel.median_s:
        return Choice(KERNEL, f"the graph is not faster: it takes {told}", times)
    if graph.slow_s > MOST_SHARE * hop_s:
        return Choice(
            KERNEL,
            f"the graph is faster but not steady: it takes {told}, and its slowest hundredth over"
            f" {1000 * graph.slow_s:.2f} ms of a hop's {1000 * hop_s:.2f} ms",
            times,
        )
    return Choice(GRAPH, f"the graph is faster: it takes {told}", times)


def _summary(times_s: list[float]) -> HopTimes:
    return HopTimes(statistics.median(times_s), float(np.quantile(times_s, 0.99)))
