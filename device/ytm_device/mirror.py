"""`ytm-mirror`: the installation, all of it or one service of it."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.errors import UsageError
from ytm_device import flags
from ytm_device.bundles import DATA
from ytm_device.console import command, say
from ytm_device.options import CTL, Options
from ytm_device.run_dirs import private_run_dir, shared_run_dir
from ytm_device.service import run_service
from ytm_device.settings.model import MirrorSettings
from ytm_device.settings.source import BASE, SettingsSource, Value
from ytm_device.status import read_status
from ytm_device.stopping import stopping
from ytm_device.together.summary import summarise

if TYPE_CHECKING:
    from ytm_device.camera.choice import Camera
    from ytm_device.together.plan import Outputs

FALLBACK_FILM = Path("mirror.mp4")
"""Rendered, in the current folder, where the mirror can be neither seen nor heard."""


def _mirror(
    verb: flags.Verb = None,
    camera: flags.Camera = None,
    engines: flags.Engines = None,
    bundle: flags.Bundle = None,
    record: flags.Record = None,
    seconds: flags.Seconds = None,
    headless: flags.Headless = False,
    pcm: flags.Pcm = None,
    volume_db: flags.VolumeDb = None,
    night: flags.Night = None,
    night_volume_db: flags.NightVolumeDb = None,
    loudness_lufs: flags.LoudnessLufs = None,
    ceiling_dbfs: flags.CeilingDbfs = None,
    strike: flags.Strike = None,
    periods: flags.Periods = None,
    window: flags.Window = None,
    rotation: flags.Rotation = None,
    settings: flags.Settings = BASE,
    data: flags.Data = DATA,
    as_json: flags.AsJson = False,
    run_dir: flags.RunDir = None,
    with_parent: flags.WithParent = False,
) -> None:
    """Look into the mirror: camera in, picture and sound out. Esc or Ctrl-C leaves."""
    chosen: dict[str, Value | None] = {
        "bundle": None if bundle is None else str(bundle),
        "camera.device": camera,
        "reflect.engines": engines,
        "sound.pcm": pcm,
        "sound.volume_db": volume_db,
        "sound.night": night,
        "sound.night_volume_db": night_volume_db,
        "sound.loudness_lufs": loudness_lufs,
        "sound.ceiling_dbfs": ceiling_dbfs,
        "sound.strike": strike,
        "sound.periods": periods,
        "screen.window": window,
        "screen.rotation": rotation,
    }
    typed = {key: value for key, value in chosen.items() if value is not None}
    source = SettingsSource(settings, data, typed)
    options = Options(verb, record, seconds, headless, run_dir, source)
    with stopping(seconds if verb else None, with_parent=with_parent) as stop:
        figures = _all(options, stop) if verb is None else _one(verb, options, stop)
    if as_json:
        typer.echo(json.dumps(figures))


def _one(verb: str, options: Options, stop: threading.Event) -> dict[str, Any]:
    run_dir = shared_run_dir(options.run_dir)
    run_service(verb, options, run_dir, stop)
    return dict(read_status(run_dir, verb))


def _all(options: Options, stop: threading.Event) -> dict[str, Any]:
    # Late: it brings GStreamer, which sound and screen, run alone, do without.
    from ytm_device.together.plan import find_outputs, missing

    settings = options.source.load()
    with open_bundle(options.source.bundle(settings)) as bundle:
        if options.record is not None:
            return _record(bundle, options, options.record, stop)
        outputs = find_outputs(settings.sound.pcm, options.headless)
        if not (options.headless or outputs.screen or outputs.pcm):
            instead = film_instead(options, settings)
            say(
                f"neither a display nor a sound card is found: rendering {instead.seconds:g} s of"
                f" the mirror of {_camera(instead).name} to {FALLBACK_FILM} instead"
            )
            return _record(bundle, instead, FALLBACK_FILM, stop)
        for line in missing(outputs, options):
            say(line)
        return _mirror_together(bundle, options, outputs, stop)


def _camera(options: Options) -> Camera:
    from ytm_device.camera.choice import choose_camera

    return choose_camera(options.source.load().camera.device)


def film_instead(options: Options, settings: MirrorSettings) -> Options:
    """What to record where there is nothing to mirror on: a file or the drawn visitor, for a while.

    Raises:
        UsageError: a camera is wanted, which is never recorded.
    """
    from ytm_device.camera.choice import choose_camera
    from ytm_device.recording.render import DRAWN_S

    camera = settings.camera.device or "demo"
    if choose_camera(camera).is_live:
        raise UsageError(
            f"--camera {camera}: neither a display nor a sound card is found to mirror it on;"
            " connect one, or give --headless"
        )
    return replace(
        options,
        record=FALLBACK_FILM,
        seconds=options.seconds or DRAWN_S,
        source=replace(options.source, flags={"camera.device": camera}),
    )


def _record(bundle: Bundle, options: Options, path: Path, stop: threading.Event) -> dict[str, Any]:
    from ytm_device.recording.film import RATE_HZ
    from ytm_device.recording.render import record

    camera = _camera(options)
    pictures = record(bundle, camera, path, options.seconds, stop)
    say(f"{path}: {pictures / RATE_HZ:.1f} s of the mirror of {camera.name}")
    return {"film": str(path), "pictures": pictures, "seconds": pictures / RATE_HZ}


def _mirror_together(
    bundle: Bundle, options: Options, outputs: Outputs, stop: threading.Event
) -> dict[str, Any]:
    from ytm_device.together.plan import plan
    from ytm_device.together.run import run_together

    camera = _camera(options)
    say(f"camera: {camera.name} ({camera.why})")
    if camera.kind == "demo":
        # The service by itself would wait for a camera, as it should at a gallery.
        flags = {**options.source.flags, "camera.device": camera.name}
        options = replace(options, source=replace(options.source, flags=flags))
    with private_run_dir() as run_dir:
        services = plan(options, outputs, run_dir)
        run_together(services, run_dir, options.seconds, stop)
        figures = {name: read_status(run_dir, name) for name in services}
    say(summarise(figures))
    return {"bundle": bundle.id, "camera": camera.name, **figures}


_run = command(_mirror)


def main() -> None:
    """`ytm-mirror`, or `ytm-mirror ctl`, which has verbs and flags of its own."""
    if sys.argv[1:2] != [CTL]:
        _run()
        return
    # Late: it speaks to services and needs nothing of what they are made of.
    from ytm_device.control.command import main as control

    sys.argv[:2] = [f"{sys.argv[0]} {CTL}"]
    control()


if __name__ == "__main__":
    main()
