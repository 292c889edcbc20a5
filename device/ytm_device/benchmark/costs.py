"""CPU time that each way of making sound takes."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import process_time

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import Bundle, MelMatrices
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import INVERTER, SoundSpec, StreamInversion
from ytm_device.benchmark.report import Cost
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.sound.gesture import between
from ytm_device.sound.grains import Grains
from ytm_device.sound.modes import GRAINS, QUALITY, STREAM, ZERO
from ytm_device.sound.streaming.compiled import CompiledStream
from ytm_device.sound.streaming.graph import GraphStream
from ytm_device.sound.streaming.reference import ReferenceStream
from ytm_device.sound.streaming.stream import MelStream, steps_per_frame
from ytm_device.sound.streaming.tables import StreamTables

Array = npt.NDArray[np.float32]

ROUND_S = 0.25
"""Seconds of sound from each method before the next one has its turn."""
STREAMS: dict[str, tuple[type[CompiledStream] | type[ReferenceStream], StreamInversion]] = {
    "stream": (CompiledStream, STREAM),
    "quality": (CompiledStream, QUALITY),
    "zero": (CompiledStream, ZERO),
    "stream in NumPy": (ReferenceStream, STREAM),
}
GRAINS_NAME = "artwork's grains"
GRAPH_NAME = "stream as a graph"
"""The bundle's own inverter, where it has one, on ONNX Runtime."""


@dataclass(frozen=True)
class Method:
    """A way of making sound, ready to go on and on."""

    samples: int
    """In a chunk."""
    make: Callable[[], None]
    """Makes the next chunk."""


def methods_for(bundle: Bundle) -> tuple[dict[str, Method], dict[str, str]]:
    """Prepare every method to play the stills of a bundle, one after the other.

    Returns:
        The methods by name, and, of those that cannot play it, the reason by name.
    """
    sound, matrices = bundle.manifest.sound, bundle.mel_matrices()
    powers = sound.unscale(bundle.replay().mels)
    ready: dict[str, Method] = {}
    left_out: dict[str, str] = {}
    obstacle = sound.why_not_streamed()
    for name, (kind, inversion) in STREAMS.items():
        if obstacle:
            left_out[name] = obstacle
            continue
        tables = StreamTables(sound, inversion, matrices)
        try:
            stream = kind(tables)
        except DeviceError as error:
            left_out[name] = str(error)
            continue
        ready[name] = _streaming(stream, powers, sound, tables.hop)
    if INVERTER in bundle.manifest.graphs and isinstance(sound.inversion, StreamInversion):
        tables = StreamTables(sound, sound.inversion, matrices)
        engine = OnnxEngine(bundle.graph_path(INVERTER))
        ready[GRAPH_NAME] = _streaming(GraphStream(tables, engine), powers, sound, tables.hop)
    if sound.frames < GRAINS.frames:
        left_out[GRAINS_NAME] = f"a mel has {sound.frames} frames, a grain takes {GRAINS.frames}"
    else:
        ready[GRAINS_NAME] = _in_grains(powers, sound, matrices)
    return ready, left_out


def measure(methods: dict[str, Method], rate_hz: int, rounds: Iterable[int]) -> dict[str, Cost]:
    """Let the methods take turns, so that whatever else the machine does falls on all alike.

    Args:
        methods: by name.
        rate_hz: of their samples.
        rounds: one item for each, at least one.
    """
    for method in methods.values():
        _cpu_s_per_s(method, rate_hz)
    found: dict[str, list[float]] = {name: [] for name in methods}
    for _ in rounds:
        for name, method in methods.items():
            found[name].append(_cpu_s_per_s(method, rate_hz))
    return {
        name: Cost(median=statistics.median(each), least=min(each), most=max(each))
        for name, each in found.items()
    }


def _cpu_s_per_s(method: Method, rate_hz: int) -> float:
    """Of one round."""
    chunks = math.ceil(ROUND_S * rate_hz / method.samples)
    started_s = process_time()
    for _ in range(chunks):
        method.make()
    return (process_time() - started_s) * rate_hz / (chunks * method.samples)


def _streaming(stream: MelStream, powers: Array, sound: SoundSpec, hop: int) -> Method:
    steps = [step for power in powers for step in between(power, steps_per_frame(sound))]
    endless = itertools.cycle(steps)
    out = np.empty(hop, np.float32)
    return Method(hop, lambda: stream.push(next(endless), out))


def _in_grains(powers: Array, sound: SoundSpec, matrices: MelMatrices) -> Method:
    grains = Grains(sound, GRAINS, matrices)
    endless = itertools.cycle(powers)
    out = np.empty(grains.chunk, np.float32)
    return Method(grains.chunk, lambda: grains.grain(next(endless), out))
