"""What can be set about the installation: every key, its range and its default, written once.

What concerns the sound is in `sound.settings`. `docs/settings.md` says the same to people; a test
compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.fields import FieldInfo

from ytm_device.presence.parameters import (
    LEAST_SENSITIVITY,
    LONGEST_ARRIVE_S,
    LONGEST_LEAVE_S,
    MOST_SENSITIVITY,
    PresenceParameters,
)
from ytm_device.settings.section import DayHours, Rotation, Section, Text, Unit
from ytm_device.sound.settings import SoundSettings


class CameraSettings(Section):
    """What is seen, and how the camera is held."""

    device: Text = None
    """A camera by its path, `csi:0`, a video file, or `demo`; absent: the first camera found."""
    exposure: Literal["auto", "locked", "stepped"] = "auto"
    """Who exposes: the camera, nobody once it is found, or the mirror in steps."""
    white_balance: Literal["auto", "locked"] = "auto"
    """Whether the camera may change its white balance while it runs."""
    usb_reset: bool = False
    """Reset the camera's USB port when nothing else brings it back."""


class ReflectSettings(Section):
    """What answers a picture."""

    engines: Literal["auto", "tensorrt", "onnxruntime"] = "auto"
    """What may run the graphs."""
    cuda_graph: bool = False
    """TensorRT records what an answer takes once, and replays that."""


class LightSettings(Section):
    """What happens to the light of a picture before it is answered."""

    level: bool = True
    """Level the exposure."""


class PresenceSettings(Section):
    """When somebody is held to be there."""

    always: bool = False
    """Somebody always is."""
    arrive_s: Annotated[float, Field(ge=0.05, le=LONGEST_ARRIVE_S), Unit("seconds")] = (
        PresenceParameters.arrive_s
    )
    """Somebody must be seen for so long before the mirror answers."""
    leave_s: Annotated[float, Field(ge=0.5, le=LONGEST_LEAVE_S), Unit("seconds")] = (
        PresenceParameters.leave_s
    )
    """Nobody must be seen for so long before the replay comes."""
    sensitivity: Annotated[
        float, Field(ge=LEAST_SENSITIVITY, le=MOST_SENSITIVITY), Unit("a factor")
    ] = PresenceParameters.sensitivity
    """More notices smaller and fainter people, and more that are none."""


class ScreenSettings(Section):
    """Where and how the picture is shown."""

    window: bool = False
    """A window instead of the whole screen."""
    rotation: Rotation = 0
    """Degrees that the picture is turned clockwise."""
    shift_px: Annotated[int, Field(ge=0, le=32), Unit("pixels")] = 4
    """How far the picture wanders, slowly, so that nothing burns in."""
    output: Literal["auto", "sdl", "framebuffer"] = "auto"
    """By which way to the display."""


class HoursSettings(Section):
    """When the installation is open."""

    open: DayHours = None
    """Holds only while the clock is known to be set. Absent: always."""
    fade_s: Annotated[float, Field(ge=0, le=60), Unit("seconds")] = 3.0
    """In which picture and sound come and go when it opens and closes."""


class ReplaySettings(Section):
    """What is shown and heard while nobody is there."""

    fade_s: Annotated[float, Field(ge=0, le=30), Unit("seconds")] = 1.5
    """In which mirror and replay, and one still and the next, fade into each other."""


class MirrorSettings(Section):
    """Everything that can be set, with its defaults."""

    bundle: Text = None
    """A bundle, folder or `.ytm`; absent: the installed one, else the demo bundle."""
    camera: CameraSettings = CameraSettings()
    reflect: ReflectSettings = ReflectSettings()
    light: LightSettings = LightSettings()
    presence: PresenceSettings = PresenceSettings()
    sound: SoundSettings = SoundSettings()
    screen: ScreenSettings = ScreenSettings()
    hours: HoursSettings = HoursSettings()
    replay: ReplaySettings = ReplaySettings()


def sections() -> dict[str, type[Section]]:
    """The tables of the file, by name."""
    found = {}
    for name, field in MirrorSettings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            found[name] = field.annotation
    return found


def keys() -> dict[str, FieldInfo]:
    """Every key as it is typed, such as `sound.volume_db`."""
    return dict(_keys())


def _keys() -> Iterator[tuple[str, FieldInfo]]:
    tables = sections()
    for name, field in MirrorSettings.model_fields.items():
        if name not in tables:
            yield name, field
            continue
        for key, inner in tables[name].model_fields.items():
            yield f"{name}.{key}", inner


def value_of(settings: MirrorSettings, key: str) -> Any:
    """What `key` of `keys` is in `settings`."""
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value
