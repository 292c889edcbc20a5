"""What is seen in a picture before it is answered: whether somebody is there, and in what light."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ytm_device.frame import Frame
from ytm_device.light.leveller import Light, LightLeveller
from ytm_device.presence.detector import PresenceDetector
from ytm_device.presence.parameters import PresenceParameters
from ytm_device.reflecting.entrance import Entrance
from ytm_device.settings.model import MirrorSettings
from ytm_device.status import Value


@dataclass(frozen=True)
class Seen:
    """A frame, ready to be answered."""

    frame: Frame
    """In level light."""
    presence: bool
    """Somebody is there, and may see the mirror."""
    since_ns: int
    """Since when, or since when not; see `Reflection.presence_since_ns`."""
    light: Light


class Seeing:
    """Looks at every frame. What it has learned of the room outlives camera and bundle."""

    def __init__(self, settings: MirrorSettings) -> None:
        """Begin with a room that is not known yet."""
        self._settings = settings
        self._detector = PresenceDetector(_parameters(settings))
        self._leveller = LightLeveller()
        self._entrance = Entrance(settings.replay.fade_s)
        self._seen: Seen | None = None

    def apply(self, settings: MirrorSettings) -> None:
        """Take up other settings; another presence begins with a room that is not known yet."""
        if settings is self._settings:
            return
        if settings.presence != self._settings.presence:
            self._detector = PresenceDetector(_parameters(settings))
        self._entrance.fade_s = settings.replay.fade_s
        self._settings = settings

    def see(self, frame: Frame, *, replaying: bool) -> Seen:
        """Look at the next frame.

        Args:
            frame: as the camera saw it.
            replaying: somebody at the controls wants the replay, whoever is there.
        """
        somebody = self._detector.see(frame.pixels, frame.taken_ns).somebody
        levelled = self._leveller.level(frame.pixels, frame.taken_ns)
        if self._settings.light.level:
            frame = replace(frame, pixels=levelled)
        light = self._leveller.report
        assert light is not None
        presence, since_ns = self._entrance.at(somebody and not replaying, frame.taken_ns)
        self._seen = Seen(frame, presence, since_ns, light)
        return self._seen

    def answered(self, taken_ns: int) -> None:
        """The answer to the frame taken at `taken_ns` has gone out."""
        self._entrance.answered(taken_ns)

    @property
    def light_problem(self) -> str | None:
        """What is wrong with the light; None if nothing is."""
        return None if self._seen is None else self._seen.light.problem

    def fields(self, now_ns: int) -> dict[str, Value]:
        """What the status says of it; ages in milliseconds."""
        seen = self._seen
        if seen is None:
            return {"mode": "replay", "presence": None, "frame_age_ms": None}
        return {
            "mode": "mirror" if seen.presence else "replay",
            "presence": seen.presence,
            "presence_since_ns": seen.since_ns,
            "frame_age_ms": (now_ns - seen.frame.taken_ns) / 1e6,
            "light_gain": round(seen.light.gain, 3),
            "dark_share": round(seen.light.dark_share, 3),
            "bright_share": round(seen.light.bright_share, 3),
        }


def _parameters(settings: MirrorSettings) -> PresenceParameters:
    wanted = settings.presence
    return PresenceParameters(
        arrive_s=wanted.arrive_s,
        leave_s=wanted.leave_s,
        sensitivity=wanted.sensitivity,
        always=wanted.always,
    )
