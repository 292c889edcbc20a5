"""What was typed after `ytm-mirror`, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from ytm_bundle.errors import UsageError
from ytm_device.settings.source import BASE, SettingsSource

REFLECT, SOUND, SCREEN = SERVICES = ("reflect", "sound", "screen")
CTL = "ctl"
"""The verb that speaks to services that run; it has a command line of its own."""


@dataclass(frozen=True)
class Options:
    """Fails when it is made if something in it cannot work."""

    verb: str | None = None
    """Which service; None for all three."""
    record: Path | None = None
    """Film to render instead of mirroring."""
    seconds: float | None = None
    """Length in seconds; None for as long as it takes."""
    headless: bool = False
    """No screen and no sound card wanted."""
    run_dir: Path | None = None
    """Where services started one by one meet; None to choose."""
    source: SettingsSource = field(default_factory=SettingsSource)
    """Where the settings come from; it has what was typed of them."""

    def __post_init__(self) -> None:
        if self.verb not in (None, *SERVICES):
            raise UsageError(
                f"{self.verb}: no such verb; give {', '.join(SERVICES)}, {CTL}, or none for all"
                " three"
            )
        if self.seconds is not None and not (0 < self.seconds < math.inf):
            raise UsageError(f"--seconds {self.seconds:g}: give a number of seconds above 0")
        if self.source.base != BASE and not self.source.base.exists():
            raise UsageError(f"--settings {self.source.base}: no such file")
        if self.headless and self._typed("screen.window"):
            raise UsageError("--window: not with --headless, which shows nothing")
        self._check_verb()
        self._check_record()

    def _typed(self, *keys: str) -> list[str]:
        return [argument.split("=")[0] for argument in self.source.typed(*keys)]

    def _check_verb(self) -> None:
        belongs = {
            **dict.fromkeys(self._typed("camera", "reflect"), (None, REFLECT)),
            **dict.fromkeys(self._typed("sound"), (None, SOUND)),
            **dict.fromkeys(self._typed("screen"), (None, SCREEN)),
            **({"--headless": (None, SOUND, SCREEN)} if self.headless else {}),
            **({"--record": (None,)} if self.record is not None else {}),
            **({"--run-dir": SERVICES} if self.run_dir is not None else {}),
        }
        for flag, verbs in belongs.items():
            if self.verb not in verbs:
                with_verb = f"with {self.verb}" if self.verb else "without a verb"
                raise UsageError(f"{flag}: means nothing {with_verb}; leave it out")

    def _check_record(self) -> None:
        if self.record is None:
            return
        shown = [
            *(["--headless"] if self.headless else []),
            *self._typed("reflect", "screen", "sound.pcm"),
        ]
        if shown:
            raise UsageError(f"--record: not with {', '.join(shown)}; leave it out")
        if flags := self._typed("sound"):
            raise UsageError(
                f"--record: not with {', '.join(flags)}; a film has the sound's defaults"
            )
