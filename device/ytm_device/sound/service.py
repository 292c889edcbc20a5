"""The sound service: the sink pulls, and what is pulled follows the newest reflection."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import Bundle
from ytm_device.bus.channel import Subscriber
from ytm_device.latency import LatencyHistogram
from ytm_device.replay import Answer, Programme
from ytm_device.sound.level import fade_out
from ytm_device.sound.pcm import AlsaSink
from ytm_device.sound.player import Player
from ytm_device.sound.sink import ClockedNullSink, Sink
from ytm_device.status import StatusReporter, Value

SERVICE = "sound"
_NS_PER_S = 1_000_000_000
Array = npt.NDArray[np.float32]


def run(
    bundle: Bundle, endpoint: str, run_dir: Path, pcm: str | None, stop: threading.Event
) -> None:
    """Play the newest reflection from `endpoint`, or the replay, until `stop` is set.

    Args:
        bundle: says what the sound is and holds the replay.
        endpoint: where reflections are published.
        run_dir: folder of the status, replaced once a second and at the end.
        pcm: ALSA name of the PCM to play on; None plays to nobody, at a card's pace.
        stop: looked at once a period.

    Raises:
        DeviceError: the PCM cannot be opened or breaks.
    """
    rate_hz = bundle.manifest.sound.playback_rate_hz
    sink: Sink = ClockedNullSink(rate_hz) if pcm is None else AlsaSink(pcm, rate_hz)
    with sink, Subscriber(endpoint) as subscriber:
        show = _Show(bundle, subscriber, sink)
        reporter = StatusReporter(run_dir, SERVICE)
        while not stop.is_set():
            now_ns = time.monotonic_ns()
            show.turn(now_ns)
            if reporter.due(now_ns):
                reporter.report(now_ns, show.status(now_ns))
        show.end()
        now_ns = time.monotonic_ns()
        reporter.report(now_ns, show.status(now_ns))


class _Show:
    """One sink, and what has been written to it."""

    def __init__(self, bundle: Bundle, subscriber: Subscriber, sink: Sink) -> None:
        self._subscriber, self._sink = subscriber, sink
        self._player = Player(bundle.manifest.sound, bundle.mel_matrices())
        self._programme = Programme(bundle)
        self._latency = LatencyHistogram()
        self._on: Answer | None = None
        self._heard: Answer | None = None
        self._samples = 0

    def turn(self, now_ns: int) -> None:
        """Write one period of what is on."""
        self._on = on = self._programme.at(now_ns, self._subscriber.newest())
        self._player.play(on.mel)
        self._write(self._player.pull(self._sink.period))
        if on is not self._heard and self._player.sounding is on.mel:
            self._heard = on
            if on.taken_ns is not None:
                delay_ns = round(self._player.delay_s * _NS_PER_S)
                self._latency.add(time.monotonic_ns() - on.taken_ns + delay_ns)

    def end(self) -> None:
        """Write one last period, fading to silence."""
        self._write(fade_out(self._player.pull(self._sink.period)))

    def _write(self, samples: Array) -> None:
        self._sink.write(samples)
        self._samples += samples.size

    def status(self, now_ns: int) -> dict[str, Value]:
        """Say how it goes; ages and latencies in milliseconds."""
        taken_ns = None if self._on is None else self._on.taken_ns
        return {
            "mode": "replay" if taken_ns is None else "mirror",
            "sink": self._sink.name,
            "rate_hz": self._sink.rate_hz,
            "channels": self._sink.channels,
            "period_samples": self._sink.period,
            "buffer_samples": self._sink.buffer,
            "samples": self._samples,
            "underruns": self._sink.underruns,
            "reflection_age_ms": None if taken_ns is None else (now_ns - taken_ns) / 1e6,
            "frame_to_write_p50_ms": self._latency.percentile_ms(50),
            "frame_to_write_p95_ms": self._latency.percentile_ms(95),
            "foreign_reflections": self._programme.foreign,
            "rejected_messages": self._subscriber.rejected,
        }
