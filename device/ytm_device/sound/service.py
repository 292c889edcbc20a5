"""The sound service: one thread plays, this one says what, and how it goes."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_device import wall_clock
from ytm_device.attendant import Attendant
from ytm_device.bundles import BundleKeeper
from ytm_device.bus.channel import Subscriber
from ytm_device.following import following_fields
from ytm_device.latency import LatencyHistogram
from ytm_device.replay import Answer, On, Programme
from ytm_device.run_dirs import endpoint
from ytm_device.settings.source import SettingsSource
from ytm_device.sound.card import CardSink
from ytm_device.sound.gesture import Gesture
from ytm_device.sound.loop import AudioLoop, Heard
from ytm_device.sound.loudness import Levels, levels
from ytm_device.sound.pcm import find_card
from ytm_device.sound.player import Player
from ytm_device.sound.realtime import collect_garbage
from ytm_device.sound.settings import SoundSettings
from ytm_device.sound.sink import ClockedNullSink, Sink
from ytm_device.sound.streaming.graph_search import GraphSearch
from ytm_device.status import Value

SERVICE = "sound"
MAX_FOLLOWED = 8
"""Answers that may wait to be heard: far more than come within a fade."""
WAIT_S = 0.01
"""How long this thread waits for a reflection before it looks at everything else."""
LONGEST_WAIT_S = 0.1
REST = 4
"""It waits at least so many times as long as that took: a slow processor is the audio thread's."""
_FIXED = ("pcm", "periods", "ceiling_dbfs", "strike")
"""Settings for whose change the sound begins anew; it takes up the others as it plays."""
_NS_PER_S = 1_000_000_000


def run(
    source: SettingsSource,
    run_dir: Path,
    stop: threading.Event,
    *,
    headless: bool = False,
    memory_locked: bool = False,
) -> None:
    """Play the newest reflection, or the replay, until `stop` is set.

    Lack of a card ends nothing: the sound keeps time, and is heard again when there is one.

    Args:
        source: of the settings, which name the bundle; another one that takes its place, or is
            named instead, takes over with the next still.
        run_dir: folder of the bus, of the socket, and of the status, replaced once a second and at
            the end.
        stop: looked at many times a second.
        headless: play to nobody, at a card's pace.
        memory_locked: this process stays in RAM, for the status.

    Raises:
        BundleError: no bundle can be played.
        DeviceError: the audio thread failed.
    """
    with (
        Attendant(SERVICE, run_dir, source, time.monotonic_ns()) as attendant,
        BundleKeeper(attendant.bundle_path, Programme, attendant.last_good_bundle) as keeper,
        Subscriber(endpoint(run_dir)) as subscriber,
    ):
        about = _Machine(source.data, run_dir, memory_locked)
        service = _Service(attendant, keeper, subscriber, stop, about)
        while not stop.is_set():
            with _sink(keeper.bundle, attendant.settings.sound, headless) as sink:
                service.play_on(sink)


def _sink(bundle: Bundle, settings: SoundSettings, headless: bool) -> Sink:
    rate_hz = bundle.manifest.sound.playback_rate_hz
    if headless and settings.pcm is None:
        return ClockedNullSink(rate_hz, periods=settings.periods)
    # Where there is no card, the one that comes later is `default`.
    pcm = settings.pcm or find_card() or "default"
    return CardSink(pcm, rate_hz, settings.ceiling_dbfs, settings.periods)


def wait_after(took_s: float) -> float:
    """Seconds that the next turn may wait, after one that took so much of the processor."""
    return min(max(WAIT_S, REST * took_s), LONGEST_WAIT_S)


@dataclass(frozen=True)
class _Machine:
    """What the service runs on."""

    data: Path
    run_dir: Path
    memory_locked: bool


@dataclass(frozen=True)
class _Service:
    """Everything that lasts as long as the service."""

    attendant: Attendant
    keeper: BundleKeeper[Programme]
    subscriber: Subscriber
    stop: threading.Event
    machine: _Machine

    def play_on(self, sink: Sink) -> None:
        """Play on one sink until another is needed, or until `stop` is set."""
        opened_for = self.attendant.settings.sound
        while not self.stop.is_set() and self._suits(sink, opened_for):
            show = _Show(self.keeper, self.subscriber, sink, self.attendant)
            show.turn(time.monotonic_ns(), WAIT_S)
            with self._search(show) as search, AudioLoop(show.player, sink) as loop:
                wait_s = WAIT_S
                while not self.stop.is_set() and self._suits(sink, opened_for):
                    began_s = time.thread_time()
                    show.turn(time.monotonic_ns(), wait_s)
                    self._turn(show, loop, sink, search)
                    wait_s = wait_after(time.thread_time() - began_s)
                    if self.keeper.look(time.monotonic_ns()):
                        self.keeper.change()
                        break
            _check(loop)
            self._report(show, loop, search)

    def _search(self, show: _Show) -> GraphSearch:
        wish = self.attendant.settings.reflect.engines
        data, run_dir, stream = self.machine.data, self.machine.run_dir, show.player.stream
        return GraphSearch(self.keeper.bundle, data, run_dir, wish, stream)

    def _suits(self, sink: Sink, opened_for: SoundSettings) -> bool:
        wanted = self.attendant.settings.sound
        return (
            all(getattr(wanted, name) == getattr(opened_for, name) for name in _FIXED)
            and self.keeper.bundle.manifest.sound.playback_rate_hz == sink.rate_hz
        )

    def _turn(self, show: _Show, loop: AudioLoop, sink: Sink, search: GraphSearch) -> None:
        """See to everything but what is on."""
        show.note(loop.heard)
        _check(loop)
        now_ns = time.monotonic_ns()
        self.attendant.turn(now_ns)
        search.look(now_ns)
        if show.advanced(loop):
            self.attendant.finished(now_ns)
        if isinstance(sink, CardSink):
            sink.reopen(now_ns)
        if self.attendant.due(now_ns):
            self._report(show, loop, search)

    def _report(self, show: _Show, loop: AudioLoop, search: GraphSearch) -> None:
        show.set_levels()
        now_ns = time.monotonic_ns()
        about = self.keeper.fields | {"memory_locked": self.machine.memory_locked}
        self.attendant.report(now_ns, about | show.status(now_ns, loop) | search.fields)
        collect_garbage()


def _check(loop: AudioLoop) -> None:
    if loop.failure is not None:
        raise DeviceError(f"sound: the audio thread failed ({loop.failure!r})") from loop.failure


class _Show:
    """What is on, and how late it was."""

    def __init__(
        self,
        keeper: BundleKeeper[Programme],
        subscriber: Subscriber,
        sink: Sink,
        attendant: Attendant,
    ) -> None:
        bundle = keeper.bundle
        self._subscriber, self._sink, self._attendant = subscriber, sink, attendant
        settings = attendant.settings
        self.player = Player(
            bundle.manifest.sound,
            bundle.mel_matrices(),
            ceiling_dbfs=settings.sound.ceiling_dbfs,
            strikes=settings.sound.strike,
        )
        self._bundle = bundle
        self._programme = keeper.loaded
        self._latency = LatencyHistogram()
        self._on: On | None = None
        self._followed: deque[tuple[Gesture, Answer]] = deque(maxlen=MAX_FOLLOWED)
        self._noted: Heard | None = None
        self._samples = 0
        self._loudness_lufs: float | None = None
        self.set_levels()

    def set_levels(self) -> None:
        """Take what may be set while it plays: the volume of this hour, loudness and fades."""
        settings = self._attendant.settings
        now, is_set = wall_clock.local_time(), wall_clock.clock_is_set()
        self._volume_db = settings.sound.volume.decibels(now, is_set)
        if settings.sound.loudness_lufs != self._loudness_lufs:
            self._loudness_lufs = settings.sound.loudness_lufs
            self._levels = levels(self._bundle, self._loudness_lufs)
        self._programme.fade_s = settings.replay.fade_s

    def turn(self, now_ns: int, wait_s: float) -> None:
        """Wait for a reflection, at most so long, and let the player follow what is on."""
        on = self._programme.at(now_ns, self._subscriber.newest(wait_s))
        if self._on is None or on.heard is not self._on.heard:
            self._follow(on)
        self._on = on
        self.player.gain.target_db = self._gain_db(on, now_ns)

    def _follow(self, on: On) -> None:
        mirror = on.mirror if on.mode == "mirror" else None
        gesture = self.player.follow(on.heard, 0 if mirror is None else mirror.moved_ns)
        if mirror is not None:
            self._followed.append((gesture, mirror))

    def _gain_db(self, on: On, now_ns: int) -> float:
        attendant = self._attendant
        openness = 0.0 if attendant.muted else attendant.openness(now_ns)
        if openness == 0:
            return -math.inf
        level_db = _mixed_db(self._levels, on.mirror_weight)
        return level_db + self._volume_db + 20 * math.log10(openness)

    def advanced(self, loop: AudioLoop) -> bool:
        """Whether the sink has taken samples since the last call."""
        before, self._samples = self._samples, loop.samples
        return loop.samples > before

    def note(self, heard: Heard | None) -> None:
        """Count how late a reflection was, once it was written."""
        if heard is None or heard is self._noted:
            return
        self._noted = heard
        waiting_s = self.player.delay_s + self._sink.buffer / self._sink.rate_hz
        heard_ns = heard.written_ns + round(waiting_s * _NS_PER_S)
        for gesture, answer in self._followed:
            if gesture is heard.gesture:
                self._latency.add(heard_ns - answer.taken_ns)

    def status(self, now_ns: int, loop: AudioLoop) -> dict[str, Value]:
        """Say how it goes; ages and latencies in milliseconds. No gain at all is silence."""
        gain_db = self.player.gain.target_db
        return {
            **following_fields(now_ns, self._on, self._programme, self._subscriber),
            "sink": self._sink.name,
            "problem": self._sink.problem,
            "rate_hz": self._sink.rate_hz,
            "channels": self._sink.channels,
            "period_samples": self._sink.period,
            "buffer_samples": self._sink.buffer,
            "guard_ms": round(1000 * self._sink.guard / self._sink.rate_hz),
            "samples": loop.samples,
            "underruns": self._sink.underruns,
            "bridged": self._sink.bridged,
            "card_losses": self._sink.losses,
            "restarts": self.player.restarts,
            "strikes": self.player.strikes,
            "gain_db": None if math.isinf(gain_db) else round(gain_db, 1),
            "muted": self._attendant.muted,
            "real_time": loop.urgent,
            "real_time_why_not": loop.why_not_urgent,
            "frame_to_sound_p50_ms": self._latency.percentile_ms(50),
            "frame_to_sound_p95_ms": self._latency.percentile_ms(95),
        }


def _mixed_db(both: Levels, mirror_weight: float) -> float:
    return mirror_weight * both.mirror_db + (1 - mirror_weight) * both.replay_db
