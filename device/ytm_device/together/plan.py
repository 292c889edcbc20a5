"""Which services to start, with which arguments, given what this machine has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ytm_device.options import REFLECT, SCREEN, SOUND, Options


@dataclass(frozen=True)
class Outputs:
    """What can be seen and heard."""

    pcm: str | None
    """ALSA name of the sound card; None if there is none, or none is wanted."""
    screen: bool
    """A display is there."""
    why_no_screen: str = ""


def find_outputs(pcm: str | None, headless: bool) -> Outputs:
    """Look for a display, and for a sound card unless `pcm` names one. No window appears."""
    if headless:
        return Outputs(pcm, screen=False)
    # Late, so that what needs neither a screen nor a sound card does not load their libraries.
    from ytm_device.screen.window import display_available
    from ytm_device.sound.pcm import find_card

    screen, about = display_available()
    return Outputs(pcm or find_card(), screen, "" if screen else about)


def missing(outputs: Outputs, options: Options) -> list[str]:
    """What a person at this machine will miss, a line each."""
    if options.headless:
        return []
    lines = []
    if not outputs.screen:
        lines.append(f"screen: {outputs.why_no_screen}; sound only")
    if outputs.pcm is None:
        lines.append(
            "sound: no sound card is found; the sound is made, and heard once there is one"
        )
    return lines


def plan(options: Options, outputs: Outputs, run_dir: Path) -> dict[str, list[str]]:
    """Service -> its arguments. A screen that is not there is left out; sound is always made.

    Of the settings only what was typed is passed on: each service reads the files itself, and again
    when it is told to.
    """
    source = options.source
    common = ["--run-dir", str(run_dir), *source.arguments(), *source.typed("bundle")]
    headless = ["--headless"] if options.headless else []
    services = {
        REFLECT: [*common, *source.typed("camera", "reflect")],
        # A card that was asked for by name is played on, screen or no screen.
        SOUND: [*common, *source.typed("sound"), *([] if outputs.pcm else headless)],
    }
    if options.headless or outputs.screen:
        services[SCREEN] = [*common, *source.typed("screen"), *headless]
    return services
