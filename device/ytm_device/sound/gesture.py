"""A playhead that runs through the newest mel spectrogram for ever, without seams."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

FADE_S = 0.02
"""Seconds in which a newly arrived mel takes over from the one before it."""
JOIN_S = 0.04
"""Seconds at the end of a mel that are laid over its beginning."""


def steps_in(frames: int, steps_per_frame: int) -> int:
    """Steps from the first to the last of `frames` mel frames, both counted."""
    return (frames - 1) * steps_per_frame + 1


def column(power: Array, step: int, steps_per_frame: int) -> Array:
    """Mel power at one step: float32 (n_mels,), interpolated in the logarithm between frames.

    Args:
        power: float32 (n_mels, frames), >= 0.
        step: from 0 to `steps_in(frames, steps_per_frame) - 1`.
        steps_per_frame: 1 or more.
    """
    frame, beyond = divmod(step, steps_per_frame)
    if beyond == 0:
        return power[:, frame]
    share = beyond / steps_per_frame
    between: Array = power[:, frame] ** (1 - share) * power[:, frame + 1] ** share
    return between


class Gesture:
    """One second of mel, played over and over.

    A newly arrived mel is faded in under the running playhead. At the end of the mel the playhead
    goes back to the beginning, over which the end is faded out. All fades are straight lines in
    power, since the sounds on either side know nothing of each other's phase.
    """

    def __init__(self, mel_shape: tuple[int, int], steps_per_frame: int, step_s: float) -> None:
        """Begin in silence.

        Args:
            mel_shape: (n_mels, frames) of every mel.
            steps_per_frame: how many columns are given for each mel frame.
            step_s: seconds between two columns.
        """
        self._steps_per_frame = steps_per_frame
        steps = steps_in(mel_shape[1], steps_per_frame)
        self._join = min(round(JOIN_S / step_s), steps // 4)
        self.length = steps - self._join
        """Columns until the mel begins again."""
        self._fade = max(1, round(FADE_S / step_s))
        self._faded = self._fade
        self._step = 0
        self._from: Array = np.zeros(mel_shape, np.float32)
        self._to = self._from

    def next(self, power: Array) -> Array:
        """The next column, float32 (n_mels,), of the newest mel, float32 (n_mels, frames)."""
        if power is not self._to:
            self._arrive(power)
        self._faded = min(self._faded + 1, self._fade)
        mixed = self._at(self._to)
        if self._faded < self._fade:
            share = self._share()
            mixed = share * mixed + (1 - share) * self._at(self._from)
        self._step = (self._step + 1) % self.length
        return mixed

    def _arrive(self, power: Array) -> None:
        # What is half faded in goes on from where it is, so that no arrival is a jump.
        share = self._share()
        self._from = self._to if share == 1 else share * self._to + (1 - share) * self._from
        self._to, self._faded = power, 0

    def _share(self) -> float:
        return self._faded / self._fade

    def _at(self, power: Array) -> Array:
        here = column(power, self._step, self._steps_per_frame)
        if self._step >= self._join:
            return here
        share = (self._step + 0.5) / self._join
        ending = column(power, self._step + self.length, self._steps_per_frame)
        joined: Array = share * here + (1 - share) * ending
        return joined
