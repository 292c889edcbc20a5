"""A stream of sound by the compiled kernel, or by the graph for as long as that keeps up."""

from __future__ import annotations

import math
from concurrent.futures import wait
from time import perf_counter

import numpy as np

from ytm_bundle.errors import DeviceError
from ytm_device.engines.own_thread import OwnThread
from ytm_device.sound.level import falling
from ytm_device.sound.streaming.compiled import CompiledStream
from ytm_device.sound.streaming.graph import GraphStream
from ytm_device.sound.streaming.tables import OVERLAP, Array, StreamTables

KERNEL, GRAPH = "kernel", "graph"
FADE_HOPS = 8
"""Hops over which the graph takes over, once it has heard enough."""
LATEST_S = 0.05
"""A hop that has not come by then will not be waited for; what lies in the card bridges that."""
MOST_SHARE = 0.8
"""Of a hop's duration: what the graph may take on average of late."""
_LATELY_HOPS = 64


class ChosenStream:
    """A `MelStream`. One thread pushes; another may call `take`.

    The graph begins beside the kernel, in silence, and is faded in when nothing of that silence is
    left in it. If it fails, is late or slow, or gives what is not finite, the sound that was heard
    last falls off backwards, and the kernel begins anew: no click, and some 30 ms of less sound.
    """

    def __init__(self, tables: StreamTables, hop_s: float) -> None:
        """Begin in silence, by the kernel.

        Args:
            tables: of the sound.
            hop_s: seconds that a hop lasts when played.

        Raises:
            DeviceError: the compiled library cannot be used.
        """
        self.tables = tables
        self.problem: str | None = None
        """Why the graph that was taken last streams no more; None if it does, or is about to."""
        self._hop_s = hop_s
        self._kernel = CompiledStream(tables)
        self._graph: OwnThread[GraphStream] | None = None
        self._taken: OwnThread[GraphStream] | None = None
        self._warm = tables.frames + tables.look_ahead + OVERLAP
        self._settled = self._warm + FADE_HOPS
        self._hops = 0
        self._mean_s = 0.0
        self._heard = np.zeros(tables.hop, np.float32)

    @property
    def way(self) -> str:
        """`KERNEL` or `GRAPH`: which of them is heard."""
        return GRAPH if self._graph is not None and self._hops >= self._settled else KERNEL

    def take(self, graph: OwnThread[GraphStream]) -> None:
        """Let a graph that is made stream from the next hops on; the caller closes its thread."""
        self.problem = None
        self._taken = graph

    def revise(self, frame: int, power: Array) -> None:
        """See `MelStream.revise`."""
        if self.way == KERNEL:
            self._kernel.revise(frame, power)
        if self._graph is not None:
            later = power.copy()
            self._graph.ask(lambda stream: stream.revise(frame, later))

    def push(self, power: Array, out: Array) -> None:
        """See `MelStream.push`."""
        if self._taken is not None:
            self._graph, self._taken = self._taken, None
            self._hops, self._mean_s = 0, 0.0
        graph = self._graph
        if graph is None or self._hops < self._settled:
            self._kernel.push(power, out)
        if graph is None:
            return
        try:
            hop = self._asked(graph, power)
        except DeviceError as error:
            self._give_up(error, out)
            return
        if self._hops < self._settled:
            weight = (self._hops - self._warm + np.arange(out.size) / out.size) / FADE_HOPS
            out += np.clip(weight, 0, 1).astype(np.float32) * (hop - out)
        else:
            out[:] = hop
        self._heard[:] = out
        self._hops += 1

    def restart(self) -> None:
        """See `MelStream.restart`."""
        self._kernel.restart()
        if self._graph is not None:
            self._graph.ask(GraphStream.restart)

    def _asked(self, graph: OwnThread[GraphStream], power: Array) -> Array:
        began_s, mel = perf_counter(), power.copy()
        answer = graph.ask(lambda stream: _hop(stream, mel))
        if not wait([answer], LATEST_S).done:
            raise DeviceError(f"the graph gave no hop within {1000 * LATEST_S:.0f} ms")
        hop = answer.result()
        if not math.isfinite(np.add.reduce(hop)):
            raise DeviceError("the graph gave what is not finite")
        self._mean_s += (perf_counter() - began_s - self._mean_s) / _LATELY_HOPS
        if self._mean_s > MOST_SHARE * self._hop_s:
            raise DeviceError(f"the graph takes {1000 * self._mean_s:.1f} ms a hop, which is slow")
        return hop

    def _give_up(self, error: DeviceError, out: Array) -> None:
        if self.way == GRAPH:
            np.multiply(self._heard[::-1], falling(out.size), out=out)
            self._kernel.restart()
        self._graph, self.problem = None, str(error)


def _hop(stream: GraphStream, power: Array) -> Array:
    out = np.empty(stream.hop, np.float32)
    stream.push(power, out)
    return out
