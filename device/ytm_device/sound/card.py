"""A sound card that may be absent, vanish and come back, while the sound goes on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_bundle.errors import CardGoneError, DeviceError
from ytm_device.console import say
from ytm_device.sound.alsa import hushed
from ytm_device.sound.pcm import AlsaSink
from ytm_device.sound.sink import PERIODS, ClockedNullSink, Sink

Array = npt.NDArray[np.float32]

RETRY_S = 2.0
"""Between two attempts to open a card that is not there."""
_NS_PER_S = 1_000_000_000


class CardSink(Sink):
    """A `Sink` on an ALSA PCM while there is one, and on the clock while there is none.

    The audio thread calls `write`; a second thread calls `reopen` often, for `write` must neither
    open nor close anything. Either may read what is public, for the status: for one period after a
    change it may show `name` of one sink and `buffer` of the other.
    """

    # No lock: each attribute has one writer, and CPython replaces a reference in one step.
    # `_offered`, `_due_ns`, `_said`, `_warned` and `problem` are written by the second thread, all
    # others by the audio thread. A card is taken over once `_offered` is another than `_lost`, and
    # may be closed once it is the same.

    def __init__(
        self, name: str, rate_hz: int, ceiling_dbfs: float = 0.0, periods: int = PERIODS
    ) -> None:
        """Open the PCM `name`, and say on stderr why not if it cannot be.

        Args:
            name: as for `AlsaSink`, like the others.
            rate_hz: the same whichever card comes.
            ceiling_dbfs: <= 0; no sample is louder, dither included.
            periods: >= 2, in the buffer asked for.
        """
        self._card_name, self._periods = name, periods
        self._ceiling_dbfs = ceiling_dbfs
        self.rate_hz = rate_hz
        self.underruns = self.bridged = self.changes = self.losses = 0
        self._offered: AlsaSink | None = None
        self._lost: AlsaSink | None = None
        self._loss = ""
        self._due_ns = 0
        self._said: str | None = None
        self._warned: str | None = None
        self._go_on_with(ClockedNullSink(rate_hz, periods=periods))
        with hushed():
            self._offer()
        if self._offered is not None:
            self._go_on_with(self._offered)

    def write(self, samples: Array) -> None:
        """Take float32 (period,) in [-1, 1]; waits until there is room for them, card or not.

        `period` may be another afterwards, if the card came back.
        """
        sink = self._sink
        underruns, bridged = sink.underruns, sink.bridged
        try:
            sink.write(samples)
        except CardGoneError as error:
            self._lose(str(error))
            self._sink.write(samples)
        if isinstance(sink, AlsaSink):
            self.underruns += sink.underruns - underruns
            self.bridged += sink.bridged - bridged
            self.guard = self._sink.guard
        else:
            self._take_over(self._offered)

    def reopen(self, now_ns: int) -> None:
        """Close a card that was lost, and open it again when it is there; on CLOCK_MONOTONIC.

        Does nothing most times; tries at most once in `RETRY_S`.
        """
        if self._offered is not None:
            if self._offered is not self._lost:
                self._warn(self._offered.oddity)
                return
            self._offered.abandon()
            self._offered = None
            self._explain(self._loss)
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + round(RETRY_S * _NS_PER_S)
            with hushed():
                self._offer()

    def close(self) -> None:
        """Let what the card took be heard, then release it. Neither thread may run any more."""
        if self._offered is None:
            return
        if self._offered is self._sink:
            self._offered.close()
        else:
            self._offered.abandon()

    def _offer(self) -> None:
        try:
            card = AlsaSink(self._card_name, self.rate_hz, self._ceiling_dbfs, self._periods)
        except DeviceError as error:
            self._explain(str(error))
            return
        if self.problem is not None:
            say(f"{self._card_name}: there again")
        self.problem = self._said = None
        self._warn(card.oddity)
        self._offered = card

    def _warn(self, oddity: str | None) -> None:
        """Say once what is odd about the card, and no hindrance."""
        if oddity is not None and oddity != self._warned:
            say(oddity)
            self._warned = oddity

    def _explain(self, problem: str) -> None:
        """Show `problem` in the status, and say it once."""
        self.problem = problem
        if problem != self._said:
            say(f"{problem}; going on without, and trying again every {RETRY_S:g} s")
        self._said = problem

    def _take_over(self, offered: AlsaSink | None) -> None:
        if offered is None or offered is self._lost:
            return
        self.changes += 1
        self._go_on_with(offered)

    def _lose(self, why: str) -> None:
        lost = self._sink
        assert isinstance(lost, AlsaSink)
        self.losses += 1
        self.changes += 1
        periods = lost.buffer // lost.period
        self._go_on_with(ClockedNullSink(self.rate_hz, lost.period, periods))
        self._loss = why
        # Last: from here on the second thread may close it.
        self._lost = lost

    def _go_on_with(self, sink: Sink) -> None:
        self._sink = sink
        self.name, self.channels = sink.name, sink.channels
        self.period, self.buffer, self.guard = sink.period, sink.buffer, sink.guard
