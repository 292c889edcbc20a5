"""One service in this process, as the units on a board run it."""

from __future__ import annotations

import threading
from pathlib import Path

from ytm_bundle.bundle import Bundle
from ytm_device.console import say
from ytm_device.options import REFLECT, SOUND, Options
from ytm_device.run_dirs import endpoint


def run_service(bundle: Bundle, options: Options, run_dir: Path, stop: threading.Event) -> None:
    """Run the service `options.verb` until `stop` is set.

    Raises:
        YtmError: its device cannot be used, or failed.
    """
    if options.verb == REFLECT:
        _reflect(bundle, options, run_dir, stop)
    elif options.verb == SOUND:
        _sound(bundle, options, run_dir, stop)
    else:
        _screen(bundle, options, run_dir, stop)


# Each imports its libraries late: a service loads, and can be broken by, its own alone.


def _reflect(bundle: Bundle, options: Options, run_dir: Path, stop: threading.Event) -> None:
    from ytm_device.camera.choice import choose_camera
    from ytm_device.reflecting import service

    camera = choose_camera(options.camera)
    if options.camera is None:
        say(f"camera: {camera.name} ({camera.why})")
    service.run(bundle, camera, endpoint(run_dir), run_dir, stop)


def _sound(bundle: Bundle, options: Options, run_dir: Path, stop: threading.Event) -> None:
    from ytm_device.sound import service
    from ytm_device.sound.pcm import find_card
    from ytm_device.sound.realtime import steady_process

    # Where there is no card, the one that comes later is `default`.
    pcm = options.pcm or (None if options.headless else find_card() or "default")
    service.run(
        bundle,
        endpoint(run_dir),
        run_dir,
        pcm,
        stop,
        options.sound,
        memory_locked=steady_process(),
    )


def _screen(bundle: Bundle, options: Options, run_dir: Path, stop: threading.Event) -> None:
    from ytm_device.screen import service

    service.run(bundle, endpoint(run_dir), run_dir, options.window, options.headless, stop)
