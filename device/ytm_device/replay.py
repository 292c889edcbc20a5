"""What to show and play: the newest reflection, the replay, or something between them.

The replay is a pure function of bundle and clock. Each still appears as it was learned from, and
turns into what the mirror makes of it; its sound is heard all the while.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import Bundle
from ytm_bundle.bundle import Replay as Stills
from ytm_bundle.manifest import Manifest
from ytm_device.fading import STEPS, mirror_weight, mixed_mels, mixed_pictures, ramp
from ytm_device.frame import Reflection

FADE_S = 1.5
"""A whole fade between mirror and replay, unless another is set."""
MOST_STILL_FADE_S = 1.0
"""Longest fade between two pictures of the replay."""
EARLIEST_S = 1.0
"""A frame that says it was taken so long from now is not believed: it would never grow stale."""
_FADE_SHARE = 0.15
_ORIGINAL_SHARE = 0.45
"""Of a still's time: a fade, and how long it is shown as it was learned from."""
_NS_PER_S = 1_000_000_000

Pixels = npt.NDArray[np.uint8]
Mel = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Moment:
    """Where the replay is at one time."""

    still: int
    before: int
    """The one that was on before it."""
    arrived: float
    """0 to 1: how far it has taken over from the one before."""
    remembered: float
    """0 to 1: how far the picture learned from has turned into what the mirror makes of it."""


def moment_at(now_ns: int, manifest: Manifest) -> Moment:
    """Where the replay is at `now_ns` on CLOCK_MONOTONIC, the same in every process."""
    order, dwell_ns = manifest.replay.order, round(manifest.replay.dwell_s * _NS_PER_S)
    turn, since_ns = divmod(now_ns, dwell_ns)
    fade_s = min(MOST_STILL_FADE_S, _FADE_SHARE * manifest.replay.dwell_s)
    return Moment(
        still=order[turn % len(order)],
        before=order[(turn - 1) % len(order)],
        arrived=_rounded(ramp(since_ns, fade_s)),
        remembered=_rounded(ramp(since_ns - round(_ORIGINAL_SHARE * dwell_ns), fade_s)),
    )


@dataclass(frozen=True, eq=False)
class Answer:
    """What the mirror made of one frame."""

    image: Pixels
    """uint8 (h, w, 3), RGB, not flipped."""
    mel: Mel
    """float32 (n_mels, frames), scaled as the manifest says."""
    taken_ns: int
    """When the frame answered was taken, on CLOCK_MONOTONIC."""
    moved_ns: int = 0
    """When the picture last changed suddenly; 0 if it never did."""


@dataclass(frozen=True, eq=False)
class On:
    """Everything that is on at one moment; the same object for as long as nothing changes."""

    manifest: Manifest
    stills: Stills
    moment: Moment
    mirror: Answer | None
    """The newest reflection; None when the replay is all there is."""
    mirror_weight: float
    """0 to 1: how much of the mirror."""

    @cached_property
    def still(self) -> Pixels:
        """The replay's picture: uint8 (h, w, 3), RGB, not flipped."""
        stills, moment = self.stills, self.moment
        before = stills.reconstructions[moment.before]
        arriving = mixed_pictures(before, stills.images[moment.still], moment.arrived)
        return mixed_pictures(arriving, stills.reconstructions[moment.still], moment.remembered)

    @cached_property
    def heard(self) -> Mel:
        """What sounds: float32 (n_mels, frames), scaled as the manifest says."""
        sound, moment = self.manifest.sound, self.moment
        mels = self.stills.mels
        replayed = mixed_mels(sound, mels[moment.before], mels[moment.still], moment.arrived)
        if self.mirror is None:
            return replayed
        return mixed_mels(sound, replayed, self.mirror.mel, self.mirror_weight)

    @property
    def mode(self) -> str:
        """Which of the two there is more of, for the status."""
        return "mirror" if self.mirror_weight >= 0.5 else "replay"


class Programme:
    """Says what is on as reflections arrive or fail to."""

    def __init__(self, bundle: Bundle, fade_s: float = FADE_S) -> None:
        """Read the replay of `bundle`, whose reflections alone will be shown.

        Args:
            bundle: whose stills and reflections these are.
            fade_s: how long a whole fade between mirror and replay takes, >= 0.

        Raises:
            BundleError: its replay cannot be read.
        """
        self.fade_s = fade_s
        self.foreign = 0
        """Reflections ignored: another bundle made them, or their sizes or times cannot be."""
        self._manifest, self._bundle_id = bundle.manifest, bundle.id
        self._stills = bundle.replay()
        self._image_shape = self._stills.images.shape[1:]
        self._newest: Reflection | None = None
        self._answer: Answer | None = None
        self._on: On | None = None

    def at(self, now_ns: int, arrived: Reflection | None) -> On:
        """What is on.

        Args:
            now_ns: CLOCK_MONOTONIC, in nanoseconds.
            arrived: the reflection that came in since the last call, if any did.
        """
        if arrived is not None:
            self._take(arrived, now_ns)
        weight = self._weight(now_ns)
        mirror = self._answer if weight > 0 else None
        moment, before = moment_at(now_ns, self._manifest), self._on
        if (
            before is None
            or before.mirror is not mirror
            or before.mirror_weight != weight
            # Behind the mirror alone, the replay moves unseen and unheard.
            or (weight < 1 and before.moment != moment)
        ):
            self._on = On(self._manifest, self._stills, moment, mirror, weight)
        assert self._on is not None
        return self._on

    def _take(self, arrived: Reflection, now_ns: int) -> None:
        if not self._fits(arrived) or arrived.taken_ns > now_ns + round(EARLIEST_S * _NS_PER_S):
            self.foreign += 1
            return
        self._newest = arrived
        self._answer = Answer(arrived.image, arrived.mel, arrived.taken_ns, arrived.moved_ns)

    def _weight(self, now_ns: int) -> float:
        newest = self._newest
        if newest is None:
            return 0.0
        return mirror_weight(
            newest.presence, newest.presence_since_ns, newest.taken_ns, now_ns, self.fade_s
        )

    def _fits(self, reflection: Reflection) -> bool:
        return (
            reflection.bundle_id == self._bundle_id
            and reflection.image.shape == self._image_shape
            and reflection.mel.shape == self._manifest.sound.mel_shape
        )


def _rounded(weight: float) -> float:
    return round(weight * STEPS) / STEPS
