"""The sound service: one thread plays, this one says what, and how it goes."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from pathlib import Path

from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_device import wall_clock
from ytm_device.bus.channel import Subscriber
from ytm_device.latency import LatencyHistogram
from ytm_device.replay import Answer, Programme
from ytm_device.sound.card import CardSink
from ytm_device.sound.gesture import Gesture
from ytm_device.sound.loop import AudioLoop, Heard
from ytm_device.sound.loudness import levels
from ytm_device.sound.player import Player
from ytm_device.sound.realtime import collect_garbage
from ytm_device.sound.settings import SoundSettings
from ytm_device.sound.sink import ClockedNullSink, Sink
from ytm_device.status import StatusReporter, Value

SERVICE = "sound"
MAX_FOLLOWED = 8
"""Answers that may wait to be heard: far more than come within a fade."""
WAIT_S = 0.01
"""How long this thread waits for a reflection before it looks at everything else."""
_NS_PER_S = 1_000_000_000


def run(
    bundle: Bundle,
    endpoint: str,
    run_dir: Path,
    pcm: str | None,
    stop: threading.Event,
    settings: SoundSettings | None = None,
    *,
    memory_locked: bool = False,
) -> None:
    """Play the newest reflection from `endpoint`, or the replay, until `stop` is set.

    Lack of a card ends nothing: the sound keeps time, and is heard again when there is one.

    Args:
        bundle: says what the sound is and holds the replay.
        endpoint: where reflections are published.
        run_dir: folder of the status, replaced once a second and at the end.
        pcm: ALSA name of the PCM to play on; None plays to nobody, at a card's pace.
        stop: looked at many times a second.
        settings: as `SoundSettings` has them by default, unless given.
        memory_locked: this process stays in RAM, for the status.

    Raises:
        DeviceError: the audio thread failed.
    """
    settings = settings or SoundSettings()
    with _sink(bundle, pcm, settings) as sink, Subscriber(endpoint) as subscriber:
        show = _Show(bundle, subscriber, sink, settings)
        show.turn(time.monotonic_ns(), WAIT_S)
        show.set_volume()
        with AudioLoop(show.player, sink) as loop:
            reporter = StatusReporter(run_dir, SERVICE)
            while not stop.is_set():
                show.turn(time.monotonic_ns(), WAIT_S)
                show.note(loop.heard)
                _check(loop)
                now_ns = time.monotonic_ns()
                if isinstance(sink, CardSink):
                    sink.reopen(now_ns)
                if reporter.due(now_ns):
                    show.set_volume()
                    reporter.report(now_ns, show.status(now_ns, loop, memory_locked))
                    collect_garbage()
        _check(loop)
        now_ns = time.monotonic_ns()
        reporter.report(now_ns, show.status(now_ns, loop, memory_locked))


def _sink(bundle: Bundle, pcm: str | None, settings: SoundSettings) -> Sink:
    rate_hz = bundle.manifest.sound.playback_rate_hz
    if pcm is None:
        return ClockedNullSink(rate_hz, periods=settings.periods)
    return CardSink(pcm, rate_hz, settings.ceiling_dbfs, settings.periods)


def _check(loop: AudioLoop) -> None:
    if loop.failure is not None:
        raise DeviceError(f"sound: the audio thread failed ({loop.failure!r})") from loop.failure


class _Show:
    """What is on, and how late it was."""

    def __init__(
        self, bundle: Bundle, subscriber: Subscriber, sink: Sink, settings: SoundSettings
    ) -> None:
        self._subscriber, self._sink, self._settings = subscriber, sink, settings
        self.player = Player(
            bundle.manifest.sound,
            bundle.mel_matrices(),
            ceiling_dbfs=settings.ceiling_dbfs,
            strikes=settings.strike,
        )
        self._levels = levels(bundle, settings.loudness_lufs)
        self._volume_db = 0.0
        self._programme = Programme(bundle)
        self._latency = LatencyHistogram()
        self._on: Answer | None = None
        self._followed: deque[tuple[Gesture, Answer]] = deque(maxlen=MAX_FOLLOWED)
        self._noted: Heard | None = None

    def turn(self, now_ns: int, wait_s: float) -> None:
        """Wait for a reflection, at most so long, and let the player follow what is on."""
        on = self._programme.at(now_ns, self._subscriber.newest(wait_s))
        if on is not self._on:
            self._on = on
            self._followed.append((self.player.follow(on.mel, on.moved_ns), on))
            self._set_gain(on)

    def set_volume(self) -> None:
        """Let the player go to the volume of this hour."""
        now, is_set = wall_clock.local_time(), wall_clock.clock_is_set()
        self._volume_db = self._settings.volume.decibels(now, is_set)
        if self._on is not None:
            self._set_gain(self._on)

    def _set_gain(self, on: Answer) -> None:
        levels = self._levels
        level_db = levels.replay_db if on.taken_ns is None else levels.mirror_db
        self.player.gain.target_db = level_db + self._volume_db

    def note(self, heard: Heard | None) -> None:
        """Count how late a reflection was, once it was written."""
        if heard is None or heard is self._noted:
            return
        self._noted = heard
        waiting_s = self.player.delay_s + self._sink.buffer / self._sink.rate_hz
        heard_ns = heard.written_ns + round(waiting_s * _NS_PER_S)
        for gesture, on in self._followed:
            if gesture is heard.gesture and on.taken_ns is not None:
                self._latency.add(heard_ns - on.taken_ns)

    def status(self, now_ns: int, loop: AudioLoop, memory_locked: bool) -> dict[str, Value]:
        """Say how it goes; ages and latencies in milliseconds. No gain at all is silence."""
        taken_ns = None if self._on is None else self._on.taken_ns
        gain_db = self.player.gain.target_db
        return {
            "mode": "replay" if taken_ns is None else "mirror",
            "sink": self._sink.name,
            "problem": self._sink.problem,
            "rate_hz": self._sink.rate_hz,
            "channels": self._sink.channels,
            "period_samples": self._sink.period,
            "buffer_samples": self._sink.buffer,
            "samples": loop.samples,
            "underruns": self._sink.underruns,
            "card_losses": self._sink.losses,
            "restarts": self.player.restarts,
            "strikes": self.player.strikes,
            "gain_db": None if math.isinf(gain_db) else round(gain_db, 1),
            "real_time": loop.urgent,
            "memory_locked": memory_locked,
            "reflection_age_ms": None if taken_ns is None else (now_ns - taken_ns) / 1e6,
            "frame_to_sound_p50_ms": self._latency.percentile_ms(50),
            "frame_to_sound_p95_ms": self._latency.percentile_ms(95),
            "foreign_reflections": self._programme.foreign,
            "rejected_messages": self._subscriber.rejected,
        }
