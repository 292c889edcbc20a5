"""Which services to start, with which arguments, given what this machine has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ytm_device.camera.choice import Camera
from ytm_device.options import REFLECT, SCREEN, SOUND, Options


@dataclass(frozen=True)
class Outputs:
    """What can be seen and heard."""

    pcm: str | None
    """ALSA name of the sound card; None if there is none, or none is wanted."""
    screen: bool
    """A display is there."""
    why_no_screen: str = ""


def find_outputs(options: Options) -> Outputs:
    """Look for what `options` leaves open. No window appears."""
    if options.headless:
        return Outputs(options.pcm, screen=False)
    # Late, so that what needs neither a screen nor a sound card does not load their libraries.
    from ytm_device.screen.window import display_available
    from ytm_device.sound.pcm import find_card

    screen, about = display_available()
    return Outputs(options.pcm or find_card(), screen, "" if screen else about)


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


def plan(
    options: Options, outputs: Outputs, camera: Camera, bundle: Path, run_dir: Path
) -> dict[str, list[str]]:
    """Service -> its arguments. A screen that is not there is left out; sound is always made."""
    common = ["--bundle", str(bundle), "--run-dir", str(run_dir)]
    services = {
        REFLECT: [*common, "--camera", camera.name],
        SOUND: [
            *common,
            # Without a card now, it waits for one.
            *(["--pcm", outputs.pcm] if outputs.pcm else []),
            *(["--headless"] if options.headless and not outputs.pcm else []),
            *options.sound.arguments(),
        ],
    }
    if options.headless:
        services[SCREEN] = [*common, "--headless"]
    elif outputs.screen:
        services[SCREEN] = [*common, *(["--window"] if options.window else [])]
    return services
