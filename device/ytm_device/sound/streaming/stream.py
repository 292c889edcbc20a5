"""Sound without seams: a playhead, and the streaming inverter under it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import SoundSpec, StreamInversion
from ytm_device.sound.gesture import Gesture, Playhead, between
from ytm_device.sound.streaming.chosen import ChosenStream
from ytm_device.sound.streaming.compiled import CompiledStream
from ytm_device.sound.streaming.tables import OVERLAP, Array, StreamTables


class MelStream(Protocol):
    """`ReferenceStream`, `CompiledStream`, `GraphStream`, or the `ChosenStream` of the last two."""

    def revise(self, frame: int, power: Array) -> None:
        """Put another mel under a frame that is not finished."""
        ...

    def push(self, power: Array, out: Array) -> None:
        """Take the newest frame, give the next hop."""
        ...

    def restart(self) -> None:
        """Begin in silence again."""
        ...


def steps_per_frame(sound: SoundSpec) -> int:
    """Hops of the stream for each mel frame: 1, or 2 if the mel's hop is half its window."""
    return max(1, sound.hop * OVERLAP // sound.n_fft)


def step_s(sound: SoundSpec) -> float:
    """Seconds between two steps of a gesture."""
    return sound.hop / steps_per_frame(sound) / sound.playback_rate_hz


def stream_whole(
    power: Array, sound: SoundSpec, inversion: StreamInversion, matrices: MelMatrices
) -> Array:
    """Play a mel of any length once, in place.

    Args:
        power: float32 (n_mels, frames), mel power, >= 0, finite.
        sound: how it was analysed.
        inversion: how it is to be inverted.
        matrices: of the filter bank.

    Returns:
        float32 ((frames - 1) * sound.hop,): the sound from the first frame's centre to the last's.
    """
    tables = StreamTables(sound, inversion, matrices)
    return play_once(between(power, steps_per_frame(sound)), CompiledStream(tables), tables)


def play_once(steps: Array, stream: MelStream, tables: StreamTables) -> Array:
    """The sound of (steps, n_mels) from the first one's centre to the last's, by a fresh stream."""
    waiting = tables.look_ahead + tables.delay // tables.hop
    silence = np.zeros(tables.n_mels, np.float32)
    hops = np.empty((len(steps) + waiting, tables.hop), np.float32)
    for index, hop in enumerate(hops):
        stream.push(steps[index] if index < len(steps) else silence, hop)
    return hops[waiting:].ravel()[: (len(steps) - 1) * tables.hop]


class Stream:
    """An `Inverter` whose sound never stops or starts anew, whatever gestures arrive."""

    def __init__(self, sound: SoundSpec, inversion: StreamInversion, matrices: MelMatrices) -> None:
        """Begin in silence.

        Raises:
            DeviceError: the compiled library cannot be used.
        """
        tables = StreamTables(sound, inversion, matrices)
        self.chosen = ChosenStream(tables, step_s(sound))
        """What streams; any thread may give it a graph."""
        self._stream: MelStream = self.chosen
        self._look_ahead = tables.look_ahead
        self._playhead = Playhead(sound.n_mels, step_s(sound))
        self.chunk, self.delay = tables.hop, tables.delay

    def invert(self, gesture: Gesture, out: Array, *, strike: bool) -> Gesture:
        """See `Inverter.invert`."""
        if self._playhead.advance(gesture, strike=strike):
            # Frames that look ahead hear of it too, so that it is not heard that much later.
            for ahead in range(self._look_ahead):
                self._stream.revise(ahead, self._playhead.column(ahead))
        self._stream.push(self._playhead.column(self._look_ahead), out)
        return self._playhead.gesture

    def restart(self) -> None:
        """See `Inverter.restart`."""
        self._stream.restart()
