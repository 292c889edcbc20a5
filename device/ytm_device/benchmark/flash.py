"""How long a flash before the camera takes to be on the screen and in the sound.

The answer to each frame is computed in full, and then painted over: white and loud for a light
frame, black and silent for a dark one, so that it can be found whatever the bundle has learned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ytm_bundle.bundle import Bundle
from ytm_device.benchmark.flash_camera import DARK, LIGHT, FlashCamera
from ytm_device.benchmark.flash_ends import End, Task, screen_end, sound_end
from ytm_device.benchmark.screening import Shown
from ytm_device.bus.channel import Publisher
from ytm_device.engines.mind import Graphs
from ytm_device.frame import Reflection
from ytm_device.reflecting.reflector import Reflector
from ytm_device.reflecting.seeing import Seeing
from ytm_device.run_dirs import endpoint
from ytm_device.settings.model import MirrorSettings

LOUD = 0.6
"""Scaled mel power in every band: as loud as the limiter still leaves alone."""
SEARCH_S = 0.5
"""A flash that was neither seen nor heard by then is not found."""
LEAST_CHANGE = 16.0
"""Levels of 255 that the screen changes by at least."""
FLASHES = 3
"""The fewest that are waited for, however short the time."""
WARM_UP_S = 1.0
_NS_PER_S = 1_000_000_000
_TURN_S = 0.25


@dataclass(frozen=True)
class Flashed:
    """When each flash was taken, seen and heard, on CLOCK_MONOTONIC; None: it was not found."""

    taken_ns: list[int]
    seen_ns: list[int | None]
    heard_ns: list[int | None]
    underruns: int

    def late_ns(self, found_ns: Sequence[int | None]) -> list[int]:
        """How long after it was taken each was found, of those that were."""
        pairs = zip(found_ns, self.taken_ns, strict=True)
        return [at_ns - since_ns for at_ns, since_ns in pairs if at_ns is not None]


def measure(bundle: Bundle, mind: Graphs, task: Task, seconds: float) -> Flashed:
    """Flash for so long, and find each flash on the screen and in the sound.

    Args:
        bundle: that is answered by.
        mind: runs its graphs; stays the caller's.
        task: for the processes that show and play it.
        seconds: of flashing.

    Raises:
        DeviceError: a device or a graph failed.
    """
    with (
        Publisher(endpoint(task.run_dir)) as publisher,
        End("screen", screen_end, task) as screen,
        End("sound", sound_end, task) as sound,
    ):
        screen.wait_ready()
        sound.wait_ready()
        with FlashCamera(bundle.manifest.image) as camera:
            _flash(camera, Reflector(bundle, mind), publisher, task.settings, seconds)
        time.sleep(SEARCH_S)
        shown: Shown = screen.result()
        onsets_ns, underruns = sound.result()
    taken_ns = camera.flashes_ns
    return Flashed(
        taken_ns,
        [change_ns(shown, since_ns, SEARCH_S) for since_ns in taken_ns],
        [onset_after(onsets_ns, since_ns, SEARCH_S) for since_ns in taken_ns],
        underruns,
    )


def _flash(
    camera: FlashCamera,
    reflector: Reflector,
    publisher: Publisher,
    settings: MirrorSettings,
    seconds: float,
) -> None:
    """Answer the camera for so long, and until it has flashed a few times."""
    seeing = Seeing(settings)
    begun_ns = time.monotonic_ns()
    warm_ns = begun_ns + round(WARM_UP_S * _NS_PER_S)
    until_ns = warm_ns + round(seconds * _NS_PER_S)
    while time.monotonic_ns() < until_ns or len(camera.flashes_ns) < FLASHES or camera.is_light:
        frame = camera.next_frame(_TURN_S)
        if frame is None:
            continue
        seen = seeing.see(frame, replaying=False)
        publisher.publish(painted(reflector.reflect(seen.frame), camera.is_light))
    first = sum(each < warm_ns for each in camera.flashes_ns)
    del camera.flashes_ns[: min(first, len(camera.flashes_ns) - FLASHES)]


def painted(reflection: Reflection, is_light: bool) -> Reflection:
    """The same answer, white and loud or black and silent, and shown whoever is there."""
    return replace(
        reflection,
        image=np.full_like(reflection.image, LIGHT if is_light else DARK),
        mel=np.full_like(reflection.mel, LOUD if is_light else 0),
        presence=True,
        presence_since_ns=0,
    )


def change_ns(shown: Shown, since_ns: int, within_s: float) -> int | None:
    """When half of the way from dark to light was shown after `since_ns`; None if it never was."""
    times = np.array(shown.times_ns, np.int64)
    levels = np.array(shown.levels, np.float64)
    inside = (times >= since_ns) & (times < since_ns + round(within_s * _NS_PER_S))
    if not inside.any():
        return None
    first = int(np.argmax(inside))
    dark = levels[max(0, first - 1)]
    light = levels[inside].max()
    if light - dark < LEAST_CHANGE:
        return None
    half = inside & (levels >= (dark + light) / 2)
    return int(times[int(np.argmax(half))])


def onset_after(onsets_ns: Sequence[int], since_ns: int, within_s: float) -> int | None:
    """The first onset within so long after `since_ns`; None if there is none."""
    until_ns = since_ns + round(within_s * _NS_PER_S)
    return next((each for each in onsets_ns if since_ns <= each < until_ns), None)
