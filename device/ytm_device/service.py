"""One service in this process, as the units on a board run it."""

from __future__ import annotations

import threading
from pathlib import Path

from ytm_device.options import REFLECT, SOUND, Options


def run_service(verb: str, options: Options, run_dir: Path, stop: threading.Event) -> None:
    """Run the service `verb` until `stop` is set.

    A settings file that is wrong does not keep it from running: see `SettingsSource.read`.

    Raises:
        YtmError: its bundle or its device cannot be used, or failed.
    """
    if verb == REFLECT:
        _reflect(options, run_dir, stop)
    elif verb == SOUND:
        _sound(options, run_dir, stop)
    else:
        _screen(options, run_dir, stop)


# Each imports its libraries late: a service loads, and can be broken by, its own alone.


def _reflect(options: Options, run_dir: Path, stop: threading.Event) -> None:
    from ytm_device.reflecting import service

    service.run(options.source, run_dir, stop)


def _sound(options: Options, run_dir: Path, stop: threading.Event) -> None:
    from ytm_device.sound import service
    from ytm_device.sound.realtime import steady_process

    service.run(
        options.source,
        run_dir,
        stop,
        headless=options.headless,
        memory_locked=steady_process(),
    )


def _screen(options: Options, run_dir: Path, stop: threading.Event) -> None:
    from ytm_device.screen import service

    service.run(options.source, run_dir, stop, headless=options.headless)
