"""`ytm-mirror`: the installation, all of it or one service of it."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.errors import UsageError
from ytm_device.bundles import default_bundle
from ytm_device.console import command, say
from ytm_device.options import Options
from ytm_device.run_dirs import private_run_dir, shared_run_dir
from ytm_device.service import run_service
from ytm_device.sound.settings import SoundSettings
from ytm_device.sound.volume import Volume
from ytm_device.status import read_status
from ytm_device.stopping import stopping
from ytm_device.together.summary import summarise
from ytm_device.wall_clock import Hours

if TYPE_CHECKING:
    from ytm_device.together.plan import Outputs

FALLBACK_FILM = Path("mirror.mp4")
"""Rendered, in the current folder, where the mirror can be neither seen nor heard."""


def _mirror(
    verb: Annotated[
        str | None,
        typer.Argument(
            metavar="[reflect|sound|screen]", help="Run one service; without it, all three."
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE|FILE|demo",
            help="A camera by its path, a video file, played for ever, or the drawn visitor."
            " Without it: the first camera found, else the drawn visitor.",
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(help="A bundle, folder or .ytm. Without it: the installed one, else a demo."),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.mp4",
            help="Render what a file or the drawn visitor would cause; never with a camera.",
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after so long.")] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Want neither screen nor sound card; to measure.")
    ] = False,
    pcm: Annotated[
        str | None, typer.Option(metavar="NAME", help="The sound card, as `aplay -L` names it.")
    ] = None,
    volume_db: Annotated[
        float, typer.Option(metavar="DB", help="Louder or softer, from -60 (silence) to 12.")
    ] = Volume.master_db,
    night: Annotated[
        str | None,
        typer.Option(
            metavar="HH:MM-HH:MM",
            help="When it is night; holds only while the clock is known to be set.",
        ),
    ] = None,
    night_volume_db: Annotated[
        float, typer.Option(metavar="DB", help="Added to the volume at night, from -60 to 0.")
    ] = Volume.night_db,
    loudness_lufs: Annotated[
        float, typer.Option(metavar="LUFS", help="How loud any bundle is at volume 0.")
    ] = SoundSettings.loudness_lufs,
    ceiling_dbfs: Annotated[
        float, typer.Option(metavar="DB", help="No sample is louder; 0 is full scale.")
    ] = SoundSettings.ceiling_dbfs,
    strike: Annotated[
        bool, typer.Option(help="A sudden movement strikes the sound anew.")
    ] = SoundSettings.strike,
    periods: Annotated[
        int,
        typer.Option(help="Periods in the card's buffer: fewer answer sooner, more forgive more."),
    ] = SoundSettings.periods,
    window: Annotated[
        bool, typer.Option("--window", help="A window instead of the whole screen.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures at the end as JSON.")
    ] = False,
    run_dir: Annotated[
        Path | None, typer.Option(help="Where services that are started one by one meet.")
    ] = None,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Look into the mirror: camera in, picture and sound out. Esc or Ctrl-C leaves."""
    hours = None if night is None else Hours.parse(night)
    sound = SoundSettings(
        Volume(volume_db, night_volume_db, hours), loudness_lufs, ceiling_dbfs, strike, periods
    )
    options = Options(verb, camera, record, seconds, headless, pcm, window, run_dir, sound)
    with stopping(seconds if verb else None, with_parent=with_parent) as stop:
        path = bundle or default_bundle()
        with open_bundle(path) as opened:
            if verb is not None:
                figures = _one(opened, options, stop)
            else:
                figures = _all(opened, options, stop)
    if as_json:
        typer.echo(json.dumps(figures))


def _one(bundle: Bundle, options: Options, stop: threading.Event) -> dict[str, Any]:
    run_dir = shared_run_dir(options.run_dir)
    run_service(bundle, options, run_dir, stop)
    return dict(read_status(run_dir, str(options.verb)))


def _all(bundle: Bundle, options: Options, stop: threading.Event) -> dict[str, Any]:
    # Late: it brings GStreamer, which sound and screen, run alone, do without.
    from ytm_device.together.plan import find_outputs, missing

    if options.record is not None:
        return _record(bundle, options, options.record, stop)
    outputs = find_outputs(options)
    if not (options.headless or outputs.screen or outputs.pcm):
        instead = film_instead(options)
        say(
            f"neither a display nor a sound card is found: rendering {instead.seconds:g} s of the"
            f" mirror of {instead.camera} to {FALLBACK_FILM} instead"
        )
        return _record(bundle, instead, FALLBACK_FILM, stop)
    for line in missing(outputs, options):
        say(line)
    return _mirror_together(bundle, options, outputs, stop)


def film_instead(options: Options) -> Options:
    """What to record where there is nothing to mirror on: a file or the drawn visitor, for a while.

    Raises:
        UsageError: a camera is wanted, which is never recorded.
    """
    from ytm_device.camera.choice import choose_camera
    from ytm_device.recording.render import DRAWN_S

    camera = options.camera or "demo"
    if choose_camera(camera).kind == "device":
        raise UsageError(
            f"--camera {camera}: neither a display nor a sound card is found to mirror it on;"
            " connect one, or give --headless"
        )
    return replace(
        options,
        camera=camera,
        record=FALLBACK_FILM,
        seconds=options.seconds or DRAWN_S,
        window=False,
        sound=SoundSettings(),
    )


def _record(bundle: Bundle, options: Options, path: Path, stop: threading.Event) -> dict[str, Any]:
    from ytm_device.camera.choice import choose_camera
    from ytm_device.recording.film import RATE_HZ
    from ytm_device.recording.render import record

    camera = choose_camera(options.camera)
    pictures = record(bundle, camera, path, options.seconds, stop)
    say(f"{path}: {pictures / RATE_HZ:.1f} s of the mirror of {camera.name}")
    return {"film": str(path), "pictures": pictures, "seconds": pictures / RATE_HZ}


def _mirror_together(
    bundle: Bundle, options: Options, outputs: Outputs, stop: threading.Event
) -> dict[str, Any]:
    from ytm_device.camera.choice import choose_camera
    from ytm_device.together.plan import plan
    from ytm_device.together.run import run_together

    camera = choose_camera(options.camera)
    say(f"camera: {camera.name} ({camera.why})")
    with private_run_dir() as run_dir:
        services = plan(options, outputs, camera, bundle.folder, run_dir)
        run_together(services, run_dir, options.seconds, stop)
        figures = {name: read_status(run_dir, name) for name in services}
    say(summarise(figures))
    return {"bundle": bundle.id, "camera": camera.name, **figures}


main = command(_mirror)

if __name__ == "__main__":
    main()
