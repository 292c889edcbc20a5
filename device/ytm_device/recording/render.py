"""The mirror without its devices: pictures in, a film of what visitors would see and hear out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

from rich.progress import track

from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import UsageError
from ytm_device.camera.choice import Camera
from ytm_device.camera.demo import drawn_frames
from ytm_device.camera.file import read_frames
from ytm_device.console import messages
from ytm_device.frame import Frame
from ytm_device.light.leveller import LightLeveller
from ytm_device.recording.film import HEIGHT, RATE_HZ, WIDTH, Film, writing_film
from ytm_device.reflecting.reflector import Reflector
from ytm_device.screen.picture import Enlarger
from ytm_device.sound.player import player_for

DRAWN_S = 10.0
"""Length of a film of the drawn visitor, who never ends, when none is given."""
_NS_PER_S = 1_000_000_000


def record(
    bundle: Bundle, camera: Camera, path: Path, seconds: float | None, stop: threading.Event
) -> int:
    """Render what the mirror answers to `camera` into the film `path`; the same each time.

    Args:
        bundle: what answers.
        camera: a file or the drawn visitor.
        path: an .mp4, replaced when the film is whole.
        seconds: at most so many; None for the whole file, or `DRAWN_S` of the drawn visitor.
        stop: ends it with nothing written.

    Returns:
        Pictures in the film, `RATE_HZ` a second.

    Raises:
        UsageError: `camera` is live, or `path` cannot be written to.
        MediaError: the file cannot be decoded, or the film not written.
        KeyboardInterrupt: `stop` was set.
    """
    check_recordable(camera)
    image, sound = bundle.manifest.image, bundle.manifest.sound
    drawn = camera.kind == "demo"
    frames = drawn_frames(image) if drawn else read_frames(Path(camera.name), image)
    seconds = seconds or (DRAWN_S if drawn else None)
    limit = None if seconds is None else max(1, round(seconds * RATE_HZ))
    answered = 0
    with (
        closing(frames),
        writing_film(path, sound.playback_rate_hz) as film,
        Reflector(bundle) as reflector,
    ):
        answering = _Answering(bundle, reflector)
        shown = track(
            islice(paced(frames), limit),
            f"rendering {path.name}",
            total=limit,
            console=messages,
            transient=True,
            disable=not messages.is_terminal,
        )
        for frame in shown:
            if stop.is_set():
                raise KeyboardInterrupt
            answering.add(frame, film)
            answered += 1
    return answered


def check_recordable(camera: Camera) -> None:
    """Refuse to record visitors.

    Raises:
        UsageError: `camera` is live.
    """
    if camera.kind not in ("file", "demo"):
        raise UsageError(
            f"--record: never with a live camera ({camera.name}), since visitors are not recorded;"
            " give --camera demo or a video file"
        )


def paced(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Frames at any rate -> at each 1/`RATE_HZ` second from 0 the newest whose time has come."""
    shown: Frame | None = None
    index = 0
    for frame in frames:
        while shown is not None and index * _NS_PER_S < frame.taken_ns * RATE_HZ:
            yield shown
            index += 1
        shown = frame
    if shown is not None:
        yield shown


class _Answering:
    """Answers each frame once, however often it is shown."""

    def __init__(self, bundle: Bundle, reflector: Reflector) -> None:
        self._reflector, self._leveller = reflector, LightLeveller()
        self._enlarger = Enlarger(bundle.manifest.image, WIDTH, HEIGHT)
        self._player = player_for(bundle)
        self._frame: Frame | None = None

    def add(self, frame: Frame, film: Film) -> None:
        """Add the answer to `frame` to `film`."""
        if frame is not self._frame:
            level = self._leveller.level(frame.pixels, frame.taken_ns)
            reflection = self._reflector.reflect(replace(frame, pixels=level))
            self._player.follow(reflection.mel, reflection.moved_ns)
            self._screen = self._enlarger.render(reflection.image)
            self._frame = frame
        film.add(self._screen, self._player.pull(film.samples_due()))
