"""`ytm-preview`: what visitors would see and hear if a video were the camera's picture."""

from __future__ import annotations

import itertools
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import numpy.typing as npt
import typer
from PIL import Image
from rich.progress import track

from ytm_build.movie import Movie, writing_movie
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.errors import MediaError, UsageError
from ytm_bundle.files import replacing
from ytm_device.bundles import default_bundle
from ytm_device.console import command, messages, say
from ytm_device.frame import Frame, Reflection
from ytm_device.reflecting.reflector import Reflector
from ytm_device.screen.picture import Enlarger
from ytm_device.sound.player import Player
from ytm_training.media import fit_image, iterate_frames

WIDTH, HEIGHT = 1080, 1920
FRAMES_PER_SECOND = 30
INSET_SHARE = 0.3
"""Width of the camera's picture in the corner, as a share of the whole."""
SHEET_COLUMNS = 6

Pixels = npt.NDArray[np.uint8]


class Stopwatch:
    """Adds up what each kind of work took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def measure(self, work: str) -> Iterator[None]:
        """Count the time until the end of the block as `work`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[work] += time.perf_counter() - began


def paced(path: Path, seconds: float | None) -> Iterator[tuple[int, Pixels]]:
    """Pictures of a video at a constant 30 a second: (index, uint8 (H, W, 3)).

    A moment shows the newest picture whose time has come, as a camera's would be.

    Raises:
        MediaError: it cannot be decoded, or holds no picture.
    """
    limit = None if seconds is None else round(seconds * FRAMES_PER_SECOND)
    shown: Pixels | None = None
    index = 0
    for time_s, picture in iterate_frames(path):
        while shown is not None and index / FRAMES_PER_SECOND < time_s - 1e-6:
            if index == limit:
                return
            yield index, shown
            index += 1
        shown = picture
    if shown is None:
        raise MediaError(f"{path}: holds no picture; give a video")
    if index != limit:
        yield index, shown


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


class _Preview:
    """The mirror without its devices: each frame in, a screen and a stretch of sound out."""

    def __init__(self, bundle: Bundle, inset: bool) -> None:
        self._spec, sound = bundle.manifest.image, bundle.manifest.sound
        self._reflector = Reflector(bundle)
        self._enlarger = Enlarger(self._spec, WIDTH, HEIGHT)
        self._player = Player(sound, bundle.mel_matrices())
        self._rate_hz = sound.playback_rate_hz
        self._inset = inset
        self._pulled = 0
        self.watch = Stopwatch()
        self.pictures, self.sounds = Spread(), Spread()

    def close(self) -> None:
        """Release the engines."""
        self._reflector.close()

    def answer(self, index: int, picture: Pixels, movie: Movie) -> Reflection:
        """Reflect one picture and add the answer to the movie."""
        with self.watch.measure("seeing"):
            pixels = fit_image(picture, self._spec)
        taken_ns = index * 1_000_000_000 // FRAMES_PER_SECOND
        with self.watch.measure("reflecting"):
            reflection = self._reflector.reflect(Frame(pixels, taken_ns, index, "preview"))
        with self.watch.measure("sounding"):
            self._player.play(reflection.mel)
            due = (index + 1) * self._rate_hz // FRAMES_PER_SECOND
            samples = self._player.pull(due - self._pulled)
            self._pulled = due
        with self.watch.measure("drawing"):
            screen = self._enlarger.render(reflection.image)
            if self._inset:
                _draw_inset(screen, picture)
        with self.watch.measure("encoding"):
            movie.show(screen)
            movie.play(samples)
        self.pictures.add(reflection.image)
        self.sounds.add(reflection.mel)
        return reflection


def _draw_inset(screen: Pixels, picture: Pixels) -> None:
    """Put the camera's picture, flipped as in a mirror, into the top right corner."""
    width = int(WIDTH * INSET_SHARE)
    height = min(round(width * picture.shape[0] / picture.shape[1]), HEIGHT // 3)
    small = cv2.resize(picture[:, ::-1], (width, height), interpolation=cv2.INTER_AREA)
    margin = WIDTH // 40
    screen[margin : margin + height, WIDTH - margin - width : WIDTH - margin] = small


def _write_sheet(path: Path, pairs: list[tuple[Pixels, Pixels]]) -> None:
    """A contact sheet: camera frames, and below each the mirror's answer, both flipped."""
    chosen = np.linspace(0, len(pairs) - 1, min(SHEET_COLUMNS, len(pairs))).astype(int)
    columns = [np.concatenate([pairs[index][0], pairs[index][1]])[:, ::-1] for index in chosen]
    with replacing(path) as temporary:
        Image.fromarray(np.concatenate(columns, axis=1)).save(temporary)


def render(
    video: Path, out: Path, bundle: Bundle, seconds: float | None, inset: bool, sheet: Path | None
) -> dict[str, float]:
    """Render the preview of one video.

    Returns:
        `frames`; the seconds of each kind of work; and, as standard deviations over time,
        `picture_deviation` (in 1/255) and `sound_deviation` (in scaled mel units).
    """
    spec = bundle.manifest.image
    preview = _Preview(bundle, inset)
    pairs = []
    frames = _timed(paced(video, seconds), preview.watch)
    first = next(frames)  # a file that cannot be decoded fails here, before anything is written
    rate_hz = bundle.manifest.sound.playback_rate_hz
    progress = track(
        itertools.chain([first], frames),
        f"previewing {video.name}",
        total=None,
        console=messages,
        disable=not messages.is_terminal,
    )
    try:
        with writing_movie(out, (WIDTH, HEIGHT), FRAMES_PER_SECOND, rate_hz) as movie:
            for index, picture in progress:
                reflection = preview.answer(index, picture, movie)
                if sheet:
                    pairs.append((fit_image(picture, spec), reflection.image))
    finally:
        preview.close()
    if sheet:
        _write_sheet(sheet, pairs)
    work = {f"{name}_s": seconds for name, seconds in preview.watch.seconds.items()}
    return {
        "frames": float(preview.pictures.count),
        **work,
        "picture_deviation": preview.pictures.deviation(),
        "sound_deviation": preview.sounds.deviation(),
    }


def _timed(frames: Iterator[tuple[int, Pixels]], watch: Stopwatch) -> Iterator[tuple[int, Pixels]]:
    while True:
        with watch.measure("decoding"):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _preview(
    video: Annotated[Path, typer.Argument(help="A video, as if a camera had taken it.")],
    out: Annotated[Path, typer.Option(help="The MP4 to write: 1080x1920, 30 frames a second.")],
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle; else the installed one, else the demo.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds.")] = None,
    inset: Annotated[
        bool, typer.Option("--inset", help="Show the camera's picture in a corner.")
    ] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Also write a contact sheet: frames above answers (PNG).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Show, offline, what visitors would see and hear: one video in, the mirror's answer out.

    The same video and bundle give the same pictures and samples each time.
    """
    if seconds is not None and not seconds > 0:
        raise UsageError(f"--seconds {seconds}: must be greater than 0")
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"--out {out}: give a name that ends in .mp4")
    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; give the name of a file")
    with open_bundle(bundle or default_bundle()) as opened:
        figures = render(video, out, opened, seconds, inset, sheet)
    length_s = figures["frames"] / FRAMES_PER_SECOND
    own_s = sum(
        seconds for name, seconds in figures.items() if name.endswith("_s") and "encod" not in name
    )
    if as_json:
        print(json.dumps({"out": str(out), "length_s": length_s, "own_s": own_s, **figures}))
        return
    say(
        f"{out}: {length_s:.1f} s; mirroring took {own_s:.1f} s ({length_s / own_s:.1f} times"
        f" faster than real time), video encoding {figures['encoding_s']:.1f} s"
    )


main = command(_preview)
