"""A mel spectrogram as something to play: laid out as a loop, and a playhead that runs through it.

A playhead never jumps: it is faded over, in power, since the sounds on either side of a seam know
nothing of each other's phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

FADE_S = 0.02
"""Seconds in which a newly arrived mel takes over from the one before it."""
JOIN_S = 0.04
"""Seconds at the end of a mel that are laid over its beginning."""
BETWEEN_LIFT = 1.02
"""Magnitudes between frames come out softer than those beside them, by phases that fit less well;
without this the level beats 4 dB more at the rate of the frames."""
ATTACK_STEPS = 2
"""Steps before the loudest rise at which a struck gesture begins."""


@dataclass(frozen=True, eq=False)
class Gesture:
    """One mel, ready to be played over and over."""

    power: Array
    """float32 (n_mels, frames), mel power, >= 0, finite."""
    rows: Array
    """float32 (steps, n_mels): the same a hop of the stream apart, its end over its beginning."""
    onset: int
    """The step with which it begins when it is struck: just before its loudest rise."""


def lay_out(power: Array, steps_per_frame: int, step_s: float) -> Gesture:
    """Make a gesture of a mel.

    Args:
        power: float32 (n_mels, frames), mel power, >= 0, finite.
        steps_per_frame: how many steps the stream takes for each mel frame, 1 or 2.
        step_s: seconds between two steps.
    """
    steps = between(power, steps_per_frame)
    join = min(round(JOIN_S / step_s), len(steps) // 4)
    length = len(steps) - join
    share = ((np.arange(join, dtype=np.float32) + 0.5) / max(join, 1))[:, np.newaxis]
    rows = steps[:length].copy()
    rows[:join] = share * steps[:join] + (1 - share) * steps[length:]
    return Gesture(power, rows, loudest_rise(rows))


def between(power: Array, steps_per_frame: int) -> Array:
    """Mel power (n_mels, frames) -> (steps, n_mels), from the first frame to the last.

    With 2 steps a frame, magnitudes are interpolated by a cubic through four frames. Of
    logarithms, powers and magnitudes, magnitudes come nearest to the frames that are missing; with
    a straight line the envelope would lose 1 dB at 23 Hz.
    """
    frames: Array = np.ascontiguousarray(power.T, np.float32)
    if steps_per_frame == 1:
        return frames
    magnitudes = np.sqrt(frames)
    around = np.concatenate([magnitudes[:1], magnitudes, magnitudes[-1:]])
    near = magnitudes[:-1] + magnitudes[1:]
    far = around[:-3] + around[3:]
    least = np.minimum(magnitudes[:-1], magnitudes[1:]) / 2
    steps = np.empty((2 * len(frames) - 1, frames.shape[1]), np.float32)
    steps[::2] = frames
    steps[1::2] = (BETWEEN_LIFT * np.maximum((9 * near - far) / 16, least)) ** 2
    return steps


def loudest_rise(rows: Array) -> int:
    """The step, `ATTACK_STEPS` early, at which the magnitudes of (steps, n_mels) rise most."""
    magnitudes = np.sqrt(rows)
    rises = np.maximum(magnitudes - np.roll(magnitudes, 1, axis=0), 0).sum(axis=1)
    return int(np.argmax(rises) - ATTACK_STEPS) % len(rows)


class Playhead:
    """Where in which gesture the sound is. Made and used in one thread; allocates nothing."""

    def __init__(self, n_mels: int, step_s: float) -> None:
        """Begin in silence, for steps of `step_s` seconds."""
        silence = np.zeros((n_mels, 1), np.float32)
        self._to = self._from = Gesture(silence, np.zeros((1, n_mels), np.float32), 0)
        self._to_step = self._from_step = 0
        self._fade = max(1, round(FADE_S / step_s))
        self._faded = self._fade
        self._strike = False
        self._mixed = np.zeros(n_mels, np.float32)

    @property
    def gesture(self) -> Gesture:
        """The one that it is in, or that fades in."""
        return self._to

    def advance(self, newest: Gesture, *, strike: bool) -> bool:
        """Go one step on, and over to the newest gesture as soon as no other fades in.

        Args:
            newest: may be the same as before.
            strike: go to its onset instead of the same place in it.

        Returns:
            Whether a gesture began to fade in, so that `column` says something else than before
            about the steps ahead.
        """
        self._to_step = (self._to_step + 1) % len(self._to.rows)
        self._from_step = (self._from_step + 1) % len(self._from.rows)
        self._faded = min(self._faded + 1, self._fade)
        self._strike = self._strike or strike
        if self._faded < self._fade or (newest is self._to and not self._strike):
            return False
        self._from, self._from_step = self._to, self._to_step
        self._to = newest
        self._to_step = newest.onset if self._strike else self._to_step % len(newest.rows)
        self._faded, self._strike = 0, False
        return True

    def column(self, ahead: int) -> Array:
        """Mel power so many steps ahead: float32 (n_mels,), valid until the next call."""
        rows = self._to.rows
        to: Array = rows[(self._to_step + ahead) % len(rows)]
        share = min(1.0, (self._faded + ahead + 1) / self._fade)
        if share == 1.0:
            return to
        rows = self._from.rows
        mixed = self._mixed
        np.subtract(to, rows[(self._from_step + ahead) % len(rows)], out=mixed)
        np.multiply(mixed, np.float32(share - 1), out=mixed)
        np.add(to, mixed, out=mixed)
        return mixed
