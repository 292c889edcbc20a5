"""What a card has to play on with if this process is stopped: the last sound, turned round.

Played backwards, it begins with the sample that the last sound ended with, and sounds alike: same
colour, same loudness. Over its last moments it fades to nothing, so that its end makes no click.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_device.sound.level import falling, rising

Samples16 = npt.NDArray[np.int16]


class Guard:
    """Lays a period out with a guard behind it, ready to be written, in arrays made once."""

    def __init__(self, period: int, length: int, fade: int, channels: int) -> None:
        """Begin with silence.

        Args:
            period: frames.
            length: frames of the guard, >= `fade`.
            fade: frames at its end, >= 1.
            channels: >= 1.
        """
        self.length = length
        self._period, self._fade = period, fade
        self.frames: Samples16 = np.zeros((period + length, channels), np.int16)
        """int16 (period + length, channels): what `lay_out` made last."""
        # What was heard, newest first, from `_newest` on. It grows downwards, and is moved up to
        # the end, beside itself, when it meets the beginning.
        self._heard: Samples16 = np.zeros((3 * (length + period), channels), np.int16)
        self._newest = self._before = len(self._heard) - length - period
        # As wide as the frames, so that NumPy asks for no memory to multiply them.
        self._level = np.zeros((length + period, channels), np.float32)
        self._level[: length - fade] = 1
        self._level[length - fade : length] = falling(fade)[:, np.newaxis]
        self._rising = np.repeat(rising(period)[:, np.newaxis], channels, axis=1)
        self._falling = 1 - self._rising
        self._work = np.zeros((length + period, channels), np.float32)
        self._other = np.zeros((period, channels), np.float32)

    def lay_out(self, frames: Samples16, heard: int) -> None:
        """Put into `self.frames` what follows on `heard` frames of the guard laid out last.

        Args:
            frames: int16 (period, channels); where the guard is heard first, they are cross-faded
                with what it would have gone on with.
            heard: in [0, length].
        """
        if self._newest < heard + self._period:
            self._move_up()
        self._before = self._newest
        sound = self.frames[: self._period]
        np.copyto(sound, frames)
        if heard > 0:
            self._blend(sound, heard)
            self._note_guard(heard)
        self._newest -= self._period
        self._heard[self._newest : self._newest + self._period] = sound[::-1]
        self._turn_round()

    def take_back(self) -> None:
        """What was laid out last was not written."""
        self._newest = self._before

    def forget(self) -> None:
        """What comes next follows on silence."""
        self._heard[:] = 0

    def _blend(self, sound: Samples16, heard: int) -> None:
        first = self._newest + heard
        work, other = self._work[: self._period], self._other
        np.copyto(work, sound)
        work *= self._rising
        np.copyto(other, self._heard[first : first + self._period])
        other *= self._level[heard : heard + self._period]
        other *= self._falling
        work += other
        # Rounded towards zero: no louder than the louder of the two.
        np.copyto(sound, work, casting="unsafe")

    def _note_guard(self, heard: int) -> None:
        """The guard's beginning has been heard, so it is what the next one turns round first."""
        work = self._work[:heard]
        np.copyto(work, self._heard[self._newest : self._newest + heard])
        work *= self._level[:heard]
        self._newest -= heard
        np.copyto(self._heard[self._newest : self._newest + heard], work[::-1], casting="unsafe")

    def _turn_round(self) -> None:
        guard = self.frames[self._period :]
        guard[:] = self._heard[self._newest : self._newest + self.length]
        end, work = guard[-self._fade :], self._work[: self._fade]
        np.copyto(work, end)
        work *= self._level[self.length - self._fade : self.length]
        np.copyto(end, work, casting="unsafe")

    def _move_up(self) -> None:
        kept = self.length + self._period
        first = len(self._heard) - kept
        self._heard[first:] = self._heard[self._newest : self._newest + kept]
        self._newest = first
