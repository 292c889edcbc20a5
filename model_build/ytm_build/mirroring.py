"""A video through the mirror, frame by frame, into a film; with figures of how it went."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.progress import track

from ytm_bundle.bundle import Bundle
from ytm_bundle.files import replacing
from ytm_device.console import messages
from ytm_device.frame import Frame, Reflection
from ytm_device.light.leveller import LightLeveller
from ytm_device.recording.film import HEIGHT, RATE_HZ, WIDTH, Film, writing_film
from ytm_device.recording.render import paced
from ytm_device.reflecting.reflector import Reflector
from ytm_device.screen.picture import Enlarger
from ytm_device.sound.player import player_for
from ytm_training.media import fit_image, iterate_frames

INSET_SHARE = 0.3
"""Width of the camera's picture in the corner, as a share of the whole."""
SHEET_COLUMNS = 6

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Figures:
    """How one preview went."""

    length_s: float
    """Of the film."""
    work_s: dict[str, float]
    """Processor time of each kind of our own work."""
    encoding_s: float
    """Processor time of the video and sound encoders, in their own threads."""
    picture_deviation: float
    """How much the pictures change over time: deviation, mean over pixels, in 1/255."""
    sound_deviation: float
    """How much the mels change over time: deviation, mean over elements, scaled units."""
    strikes: int
    """How often a sudden movement struck the sound anew."""

    @property
    def own_s(self) -> float:
        """Processor time of everything but encoding."""
        return sum(self.work_s.values())

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**vars(self), "own_s": self.own_s}


class _Stopwatch:
    """Adds up the processor time that this thread spends on each kind of work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def measure(self, work: str) -> Iterator[None]:
        began = time.thread_time()
        try:
            yield
        finally:
            self.seconds[work] += time.thread_time() - began


class Spread:
    """Standard deviation over time of arrays of one shape, in constant memory."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: npt.NDArray[np.float64] | float = 0.0
        self._squares: npt.NDArray[np.float64] | float = 0.0

    def add(self, array: npt.NDArray[Any]) -> None:
        """Count one more array."""
        values = array.astype(np.float64)
        self.count += 1
        self._sum += values
        self._squares += values**2

    def deviation(self) -> float:
        """Mean over the elements of their deviation over time; needs one array or more."""
        mean = self._sum / self.count
        return float(np.sqrt(np.maximum(self._squares / self.count - mean**2, 0)).mean())


class _Mirror:
    """The mirror without its devices: each frame in, a picture and a stretch of sound out."""

    def __init__(self, bundle: Bundle, reflector: Reflector, inset: bool) -> None:
        self._spec = bundle.manifest.image
        self._reflector, self._leveller = reflector, LightLeveller()
        self._enlarger = Enlarger(self._spec, WIDTH, HEIGHT)
        self._player = player_for(bundle)
        self._inset = inset
        self.watch = _Stopwatch()
        self.pictures, self.sounds = Spread(), Spread()

    @property
    def strikes(self) -> int:
        """How often the sound was struck anew so far."""
        return self._player.strikes

    def answer(self, frame: Frame, film: Film) -> tuple[Pixels, Reflection]:
        """Add the answer to `frame` to `film`; return what the encoder saw, and the answer."""
        measure = self.watch.measure
        with measure("seeing"):
            pixels = fit_image(frame.pixels, self._spec)
        with measure("reflecting"):
            level = self._leveller.level(pixels, frame.taken_ns)
            seen = Frame(level, frame.taken_ns, frame.sequence, frame.source)
            reflection = self._reflector.reflect(seen)
        with measure("sounding"):
            self._player.follow(reflection.mel, reflection.moved_ns)
            samples = self._player.pull(film.samples_due())
        with measure("drawing"):
            screen = self._enlarger.render(reflection.image)
            if self._inset:
                _draw_inset(screen, frame.pixels)
        film.add(screen, samples)
        self.pictures.add(reflection.image)
        self.sounds.add(reflection.mel)
        return pixels, reflection


def mirror_video(
    video: Path, out: Path, bundle: Bundle, seconds: float | None, inset: bool, sheet: Path | None
) -> Figures:
    """Write the film `out` of what the mirror answers to `video`.

    Args:
        video: any video.
        out: an MP4, replaced when the film is whole.
        bundle: what answers.
        seconds: at most so many.
        inset: show the camera's picture in the corner.
        sheet: a PNG of some camera frames, and the answers below them.

    Raises:
        MediaError: the video cannot be decoded, or the film not written.
        UsageError: `out` cannot be written.
    """
    limit = None if seconds is None else max(1, round(seconds * RATE_HZ))
    pairs: list[tuple[Pixels, Pixels]] = []
    began = time.process_time()
    with closing(_frames(video)) as decoded, Reflector(bundle) as reflector:
        mirror = _Mirror(bundle, reflector, inset)
        frames = _tracked(_timed(islice(paced(decoded), limit), mirror.watch), video.name, limit)
        with writing_film(out, bundle.manifest.sound.playback_rate_hz) as film:
            for frame in frames:
                seen, reflection = mirror.answer(frame, film)
                if sheet:
                    pairs.append((seen, reflection.image))
    if sheet:
        _write_sheet(sheet, pairs)
    work_s = dict(mirror.watch.seconds)
    return Figures(
        length_s=mirror.pictures.count / RATE_HZ,
        work_s=work_s,
        encoding_s=max(0.0, time.process_time() - began - sum(work_s.values())),
        picture_deviation=mirror.pictures.deviation(),
        sound_deviation=mirror.sounds.deviation(),
        strikes=mirror.strikes,
    )


def _frames(video: Path) -> Generator[Frame, None, None]:
    """Every picture of a video at its full size."""
    for index, (time_s, picture) in enumerate(iterate_frames(video)):
        yield Frame(picture, round(time_s * 1e9), index, video.name)


def _timed(frames: Iterator[Frame], watch: _Stopwatch) -> Iterator[Frame]:
    while True:
        with watch.measure("decoding"):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _tracked(frames: Iterable[Frame], name: str, limit: int | None) -> Iterable[Frame]:
    return track(
        frames,
        f"previewing {name}",
        total=limit,
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    )


def _draw_inset(screen: Pixels, picture: Pixels) -> None:
    """Put the camera's picture, flipped as in a mirror, into the top right corner."""
    width = int(WIDTH * INSET_SHARE)
    height = min(round(width * picture.shape[0] / picture.shape[1]), HEIGHT // 3)
    small = cv2.resize(picture[:, ::-1], (width, height), interpolation=cv2.INTER_AREA)
    margin = WIDTH // 40
    screen[margin : margin + height, WIDTH - margin - width : WIDTH - margin] = small


def _write_sheet(path: Path, pairs: list[tuple[Pixels, Pixels]]) -> None:
    """A contact sheet: what the encoder saw, and below it the mirror's answer, both flipped."""
    chosen = np.linspace(0, len(pairs) - 1, min(SHEET_COLUMNS, len(pairs))).astype(int)
    columns = [np.concatenate(pairs[index])[:, ::-1] for index in chosen]
    with replacing(path) as temporary:
        Image.fromarray(np.concatenate(columns, axis=1)).save(temporary)
