"""Where the settings come from: two files, the second over the first, and flags over both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from ytm_bundle.errors import UsageError
from ytm_device.bundles import DATA, default_bundle
from ytm_device.settings.explain import explain, shown
from ytm_device.settings.files import Layer, read_layer
from ytm_device.settings.model import MirrorSettings

BASE = Path("/etc/ytm/mirror.toml")
Value = str | int | float | bool

FLAGS = {
    "bundle": "--bundle",
    "camera.device": "--camera",
    "reflect.engines": "--engines",
    "sound.pcm": "--pcm",
    "sound.volume_db": "--volume-db",
    "sound.night": "--night",
    "sound.night_volume_db": "--night-volume-db",
    "sound.loudness_lufs": "--loudness-lufs",
    "sound.ceiling_dbfs": "--ceiling-dbfs",
    "sound.strike": "--strike",
    "sound.periods": "--periods",
    "screen.window": "--window",
    "screen.rotation": "--rotation",
}
"""The flag of `ytm-mirror` for each key that has one."""


@dataclass(frozen=True)
class SettingsSource:
    """Knows the files and the flags. Fails when it is made if a flag is wrong."""

    base: Path = BASE
    """What the image was made with."""
    data: Path = DATA
    """Folder of what lasts: settings changed on site, the installed bundle."""
    flags: Mapping[str, Value] = field(default_factory=dict)
    """Key -> what was typed for it; only what was typed."""

    def __post_init__(self) -> None:
        try:
            MirrorSettings.model_validate(nested(self.flags))
        except ValidationError as error:
            raise UsageError(explain(error, _typed)) from error

    @property
    def overlay(self) -> Path:
        """The file of what was changed on site."""
        return self.data / "mirror.toml"

    @property
    def last_good_bundle(self) -> Path:
        """Where the services keep a copy of the last bundle that they found good."""
        return self.data / "last-good-bundle"

    def load(self) -> MirrorSettings:
        """Read everything, as a person at a keyboard wants it.

        Raises:
            UsageError: a file is wrong; it is named with key, value and what is allowed.
        """
        return self._over([read_layer(self.base), read_layer(self.overlay)])

    def read(self) -> tuple[MirrorSettings, str | None]:
        """Read what is right, as a show wants it that must go on.

        A file that is wrong is left out as a whole, and is the problem that is told; None without.
        """
        layers, problems = [], []
        for path in (self.base, self.overlay):
            try:
                layers.append(read_layer(path))
            except UsageError as error:
                problems.append(str(error))
        return self._over(layers), "; ".join(problems) or None

    def bundle(self, settings: MirrorSettings) -> Path:
        """The bundle that `settings` name, else the installed one, else the demo bundle."""
        return default_bundle(self.data) if settings.bundle is None else Path(settings.bundle)

    def arguments(self) -> list[str]:
        """The flags of `ytm-mirror` that say where the files are, unless they are as usual."""
        given = {"--settings": (self.base, BASE), "--data": (self.data, DATA)}
        return [f"{flag}={path}" for flag, (path, usual) in given.items() if path != usual]

    def typed(self, *keys: str) -> list[str]:
        """The flags that were typed, with their values, as they may be typed again.

        Only those for `keys`, each a whole key or a section.
        """
        return [
            _again(key, value)
            for key, value in self.flags.items()
            if key in keys or key.split(".")[0] in keys
        ]

    def _over(self, layers: Iterable[Layer]) -> MirrorSettings:
        merged: Layer = {}
        for layer in (*layers, nested(self.flags)):
            for name, part in layer.items():
                merged[name] = merged.get(name, {}) | part if isinstance(part, dict) else part
        return MirrorSettings.model_validate(merged)


def nested(flags: Mapping[str, Value]) -> Layer:
    """Keys and values as a file would have them."""
    nested: Layer = {}
    for key, value in flags.items():
        section, _, name = key.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = value
    return nested


def _typed(key: str, value: object) -> str:
    return f"{FLAGS[key]} {value if isinstance(value, str) else shown(value)}"


def _again(key: str, value: Value) -> str:
    if isinstance(value, bool):
        return FLAGS[key] if value else FLAGS[key].replace("--", "--no-", 1)
    return f"{FLAGS[key]}={value}"
