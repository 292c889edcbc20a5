"""Which way streams the sound on this machine, once the engine of its graph is built."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from ytm_build.engine.builder import EngineBuilder
from ytm_bundle.bundle import Bundle
from ytm_bundle.engines import ENGINE_SUFFIX, SoundWay
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import INVERTER
from ytm_device.sound.streaming.choice import compare
from ytm_device.sound.streaming.chosen import GRAPH

HOPS = 200
"""Of each way; the slowest two of them decide whether the graph is steady."""


def sound_way(bundle: Bundle, folder: Path, builder: EngineBuilder) -> SoundWay | None:
    """Time the engine of `inverter` in `folder` beside the processor's kernel.

    Returns:
        None where the bundle has no such graph.
    """
    if INVERTER not in bundle.manifest.graphs:
        return None
    try:
        with closing(builder.load(folder / f"{INVERTER}{ENGINE_SUFFIX}")) as engine:
            choice = compare(bundle, engine, HOPS)
    except DeviceError as error:
        return SoundWay(graph=False, why=f"the ways cannot be compared: {error}")
    return SoundWay(graph=choice.chosen == GRAPH, why=choice.why)
