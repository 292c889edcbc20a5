"""The streaming inverter on an inference engine: the bundle's graph `inverter`, hop by hop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ytm_bundle.manifest import INVERTER_STATE, NEXT
from ytm_device.engines.engine import Engine, Tensor
from ytm_device.sound.streaming.tables import Array, StreamTables


def first_state(shared: StreamTables) -> dict[str, Tensor]:
    """What the graph is given beside the first mel frame; see `SoundSpec.streamed_shapes`."""
    phasors = shared.first_phasors()
    state: dict[str, npt.NDArray[np.floating[Any]]] = {
        "recent": np.zeros((shared.frames, shared.n_mels)),
        "phasors": np.stack([phasors.real, phasors.imag], axis=1),
        "past": np.zeros(shared.span),
    }
    return {
        name: np.ascontiguousarray(state[name][np.newaxis], np.float32) for name in INVERTER_STATE
    }


def next_state(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state for the next run of the graph, from the outputs of this one."""
    return {name: outputs[NEXT + name] for name in INVERTER_STATE}


class GraphStream:
    """Does what `ReferenceStream` does, on whatever runs the graph.

    The graph keeps nothing: what one hop hands to the next is in here, and goes in and out with
    every run. Unlike `CompiledStream` it allocates, and is used in the thread that made the engine.
    """

    def __init__(self, shared: StreamTables, engine: Engine) -> None:
        """Begin in silence.

        Args:
            shared: of the sound that the graph was made for.
            engine: of that graph.
        """
        self._engine, self._shared = engine, shared
        self.backend, self.hop = engine.backend, shared.hop
        self.restart()

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    def restart(self) -> None:
        """See `ReferenceStream.restart`."""
        self._state = first_state(self._shared)

    def revise(self, frame: int, power: Array) -> None:
        """See `ReferenceStream.revise`."""
        self._state["recent"][0, frame + 1] = power

    def push(self, power: Array, out: Array) -> None:
        """See `ReferenceStream.push`.

        Raises:
            DeviceError: the graph cannot be run.
        """
        found = self._engine.run_all(power=power[np.newaxis], **self._state)
        out[:] = found["hop"][0]
        self._state = next_state(found)
