"""Scenes as video files, with a table of what they show, for ytm-collect."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container.output import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from ytm_bundle.errors import DatasetError
from ytm_bundle.files import replacing
from ytm_training.scenes.drawing import Pixels, draw
from ytm_training.scenes.scene import Scene, random_scene
from ytm_training.scenes.sounding import Sound, sound

TABLE_NAME = "categories.csv"
COLUMNS = (
    *("file", "category", "title", "licence", "origin", "rights"),
    *("description", "kind", "count", "wall", "pitch_hz", "level_db", "across", "height", "size"),
)
FRAMES_PER_S = 25
RATE_HZ = 48000
SIZE = (320, 240)

_TITLE = "Scenes drawn and sounded by this project"
_LICENCE = "MIT"
_ORIGIN = "python -m ytm_training.scenes"


def write_videos(
    folder: Path, count: int, seed: int, seconds: float = 4.0, size: tuple[int, int] = SIZE
) -> Iterator[Path]:
    """Write scenes 0 to `count` of a seed as H.264 and AAC, then the table `categories.csv`.

    Args:
        folder: where to; made if need be.
        count: videos.
        seed: of the scenes.
        seconds: length of each.
        size: width and height in pixels, both even.

    Yields:
        Each video, when it is whole.

    Raises:
        DatasetError: the folder cannot be written to.
    """
    scenes = [random_scene(seed, number) for number in range(count)]
    try:
        for scene in scenes:
            path = folder / file_name(scene)
            with replacing(path) as temporary:
                write_video(temporary, scene, seconds, size)
            yield path
        with replacing(folder / TABLE_NAME) as temporary:
            _write_table(temporary, scenes, seconds)
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be written to ({error})") from error


def file_name(scene: Scene) -> str:
    """What the video of a scene is called."""
    return f"scene-{scene.seed}-{scene.number:05d}-{scene.category}.mp4"


def write_video(path: Path, scene: Scene, seconds: float, size: tuple[int, int]) -> None:
    """Write one scene as a video file."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=FRAMES_PER_S)
        picture.width, picture.height = size
        picture.pix_fmt = "yuv420p"
        picture.options = {"preset": "veryfast", "crf": "17"}
        hearing = container.add_stream("aac", rate=RATE_HZ, layout="mono", bit_rate=128000)
        for number in range(round(seconds * FRAMES_PER_S)):
            frame = _coded(draw(scene, number / FRAMES_PER_S, *size))
            frame.pts = number
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        _write_sound(container, hearing, sound(scene, seconds, RATE_HZ))


def _coded(pixels: Pixels) -> VideoFrame:
    """A picture as BT.601, limited range: what every reader assumes at this size."""
    return VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )


def _write_sound(container: OutputContainer, stream: AudioStream, samples: Sound) -> None:
    frame = AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = RATE_HZ, 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_table(path: Path, scenes: list[Scene], seconds: float) -> None:
    """The facts of every scene; pitch, level and place of its nearest thing, half-way through."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for scene in scenes:
            thing, half_s = scene.things[-1], seconds / 2
            places = (thing.across, thing.height, thing.size)
            table.writerow(
                [
                    *(file_name(scene), scene.category, _TITLE, _LICENCE, _ORIGIN, "own"),
                    *(scene.description, thing.kind, len(scene.things), scene.wall),
                    *(f"{value(half_s):.2f}" for value in (thing.pitch_hz, thing.level_db)),
                    *(f"{sway.at(half_s):.3f}" for sway in places),
                ]
            )
