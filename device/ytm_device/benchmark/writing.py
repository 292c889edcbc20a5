"""How long the sound card takes each period, and where the samples are that it has taken."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_device.benchmark.busy import REMEDY
from ytm_device.benchmark.hops import REFLECTIONS_HZ
from ytm_device.benchmark.stages import Times
from ytm_device.sound import alsa
from ytm_device.sound.loop import AudioLoop
from ytm_device.sound.pcm import AlsaSink, find_card
from ytm_device.sound.player import player_for
from ytm_device.sound.settings import SoundSettings
from ytm_device.sound.sink import ClockedNullSink, Sink

Array = npt.NDArray[np.float32]

LOUD = 1e-3
"""A sample that is louder, of 1, is no silence."""
SILENCE_S = 0.05
"""After so long without one, it is silent."""
_WARM_UP_PERIODS = 20
_NS_PER_S = 1_000_000_000


@dataclass
class Watch:
    """What was written, noted by whoever writes: how long it took, and when it begins to sound."""

    took_ns: list[int] = field(default_factory=list)
    """Of each period."""
    onsets_ns: list[int] = field(default_factory=list)
    """When the first sample after a silence leaves the card's buffer, on CLOCK_MONOTONIC."""
    _quiet: int = 0
    """Samples since the last that was loud."""

    def wrote(self, samples: Array, took_ns: int, first_ns: int, rate_hz: int) -> None:
        """Note one period.

        Args:
            samples: float32 (n,), what was written.
            took_ns: how long writing it took.
            first_ns: when its first sample leaves the buffer.
            rate_hz: of the samples.
        """
        self.took_ns.append(took_ns)
        loud = np.flatnonzero(np.abs(samples) > LOUD)
        if loud.size == 0:
            self._quiet += samples.size
            return
        if self._quiet + int(loud[0]) >= SILENCE_S * rate_hz:
            self.onsets_ns.append(first_ns + int(loud[0]) * _NS_PER_S // rate_hz)
        self._quiet = samples.size - 1 - int(loud[-1])


class WatchedCard(AlsaSink):
    """An `AlsaSink` that notes what it takes; the card says how long that will wait."""

    def __init__(self, name: str, rate_hz: int, ceiling_dbfs: float, periods: int) -> None:
        """See `AlsaSink`."""
        super().__init__(name, rate_hz, ceiling_dbfs, periods)
        self.watch = Watch()

    def write(self, samples: Array) -> None:
        """See `Sink.write`."""
        begun_ns = time.monotonic_ns()
        super().write(samples)
        now_ns = time.monotonic_ns()
        # The card counts all that it holds, the guard behind the last sample too.
        waiting = max(0, self._pcm.delay()) - self.guard - samples.size
        first_ns = now_ns + waiting * _NS_PER_S // self.rate_hz
        self.watch.wrote(samples, now_ns - begun_ns, first_ns, self.rate_hz)


class WatchedClock(ClockedNullSink):
    """The sink that nobody hears, which notes what it takes."""

    def __init__(self, rate_hz: int, periods: int) -> None:
        """See `ClockedNullSink`."""
        super().__init__(rate_hz, periods=periods)
        self.watch = Watch()

    def write(self, samples: Array) -> None:
        """See `Sink.write`."""
        begun_ns = time.monotonic_ns()
        super().write(samples)
        now_ns = time.monotonic_ns()
        first_ns = now_ns + (self.buffer - samples.size) * _NS_PER_S // self.rate_hz
        self.watch.wrote(samples, now_ns - begun_ns, first_ns, self.rate_hz)


WatchedSink = WatchedCard | WatchedClock


def open_sink(settings: SoundSettings, rate_hz: int) -> WatchedSink:
    """The card that the settings name, else the first found, else the clock.

    Raises:
        DeviceError: there is a card, and it cannot be opened.
    """
    pcm = settings.pcm or find_card()
    if pcm is None:
        if cards := alsa.card_ids():
            raise DeviceError(f"{', '.join(cards)}: none of these cards can be opened; {REMEDY}")
        return WatchedClock(rate_hz, settings.periods)
    try:
        return WatchedCard(pcm, rate_hz, settings.ceiling_dbfs, settings.periods)
    except DeviceError as error:
        raise DeviceError(f"{error}; {REMEDY}") from error


def measure(bundle: Bundle, sink: WatchedSink, seconds: float, times: Times) -> dict[str, float]:
    """Play the replay for so long, by the mirror's own audio thread; what was counted.

    Raises:
        DeviceError: the audio thread failed.
    """
    player = player_for(bundle)
    newest = itertools.cycle(bundle.replay().mels)
    player.follow(next(newest))
    with AudioLoop(player, sink) as loop:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and loop.failure is None:
            time.sleep(1 / REFLECTIONS_HZ)
            player.follow(next(newest))
    if loop.failure is not None:
        raise DeviceError(f"{sink.name}: {loop.failure}; {REMEDY}") from loop.failure
    for took_ns in sink.watch.took_ns[_WARM_UP_PERIODS:] or sink.watch.took_ns:
        times.add("write", took_ns)
    return {
        "periods": len(sink.watch.took_ns),
        "underruns": sink.underruns,
        "underruns bridged": sink.bridged,
    }


def buffer_ms(sink: Sink) -> float:
    """How long what the card's buffer holds lasts."""
    return 1e3 * sink.buffer / sink.rate_hz
