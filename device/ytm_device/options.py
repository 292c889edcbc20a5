"""What was typed after `ytm-mirror`, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from ytm_bundle.errors import UsageError
from ytm_device.sound.settings import SoundSettings

REFLECT, SOUND, SCREEN = SERVICES = ("reflect", "sound", "screen")


@dataclass(frozen=True)
class Options:
    """Fails when it is made if something in it cannot work."""

    verb: str | None = None
    """Which service; None for all three."""
    camera: str | None = None
    """Device, video file or `demo`; None to choose."""
    record: Path | None = None
    """Film to render instead of mirroring."""
    seconds: float | None = None
    """Length in seconds; None for as long as it takes."""
    headless: bool = False
    """No screen and no sound card wanted."""
    pcm: str | None = None
    """ALSA name of the sound card; None to choose."""
    window: bool = False
    """A window instead of the whole screen."""
    run_dir: Path | None = None
    """Where services started one by one meet; None to choose."""
    sound: SoundSettings = field(default_factory=SoundSettings)
    """How it sounds."""

    def __post_init__(self) -> None:
        if self.verb not in (None, *SERVICES):
            raise UsageError(
                f"{self.verb}: no such verb; give {', '.join(SERVICES)}, or none for all three"
            )
        if self.seconds is not None and not (0 < self.seconds < math.inf):
            raise UsageError(f"--seconds {self.seconds:g}: give a number of seconds above 0")
        if self.headless and self.window:
            raise UsageError("--window: not with --headless, which shows nothing")
        self._check_verb()
        if self.record is not None and (self.headless or self.window or self.pcm):
            raise UsageError("--record: not with --headless, --window or --pcm; leave them out")
        if self.record is not None and self.sound.flags():
            raise UsageError(
                f"--record: not with {', '.join(self.sound.flags())}; a film has the sound's"
                " defaults"
            )

    def _check_verb(self) -> None:
        belongs = {
            "--camera": (self.camera is not None, (None, REFLECT)),
            "--pcm": (self.pcm is not None, (None, SOUND)),
            **dict.fromkeys(self.sound.flags(), (True, (None, SOUND))),
            "--window": (self.window, (None, SCREEN)),
            "--headless": (self.headless, (None, SOUND, SCREEN)),
            "--record": (self.record is not None, (None,)),
            "--run-dir": (self.run_dir is not None, SERVICES),
        }
        for flag, (given, verbs) in belongs.items():
            if given and self.verb not in verbs:
                with_verb = f"with {self.verb}" if self.verb else "without a verb"
                raise UsageError(f"{flag}: means nothing {with_verb}; leave it out")
