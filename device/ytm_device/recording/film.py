"""An MP4 of pictures and sound in step, written by GStreamer and never seen half-written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ytm_bundle.errors import MediaError, UsageError
from ytm_bundle.files import replacing
from ytm_device.gstreamer import Pipeline

WIDTH = 1080
HEIGHT = 1920
RATE_HZ = 30
"""Pictures a second."""
SOUND_RATE_HZ = 48000
CONSTANT_QUALITY = 20
SOUND_BITS_PER_S = 160_000
FINISH_S = 60.0
"""Longest wait for the encoders to write what they hold."""
_QUEUED_PICTURES = 4
_QUEUED_SOUND_BYTES = 16 << 20
_NS_PER_S = 1_000_000_000
# Nothing waits at the end: x264 looks dozens of pictures ahead while their sound is already here.
_QUEUE = "queue max-size-buffers=0 max-size-bytes=0 max-size-time=0"


class Film:
    """A film being written. Use `writing_film`."""

    def __init__(self, pipeline: Pipeline, sound_rate_hz: int) -> None:
        self._pipeline = pipeline
        self._rate_hz = sound_rate_hz
        self._pictures = self._samples = 0

    def samples_due(self) -> int:
        """Samples that belong to the next picture; over time they keep in step exactly."""
        return (self._pictures + 1) * self._rate_hz // RATE_HZ - self._samples

    def add(self, picture: npt.NDArray[np.uint8], samples: npt.NDArray[np.float32]) -> None:
        """Add one picture and its sound.

        Args:
            picture: uint8 (HEIGHT, WIDTH, 3) RGB.
            samples: float32 (samples_due(),) in [-1, 1].

        Raises:
            MediaError: it cannot be encoded or written.
        """
        start, end = (_at_ns(self._pictures + step, RATE_HZ) for step in (0, 1))
        queued = _QUEUED_PICTURES * picture.nbytes
        self._pipeline.push("picture", picture.tobytes(), start, end - start, queued)
        begin, until = (_at_ns(self._samples + step, self._rate_hz) for step in (0, samples.size))
        data = samples.astype("<f4").tobytes()
        self._pipeline.push("sound", data, begin, until - begin, _QUEUED_SOUND_BYTES)
        self._pictures += 1
        self._samples += samples.size


@contextmanager
def writing_film(path: Path, sound_rate_hz: int) -> Iterator[Film]:
    """Give a film to fill; on success it takes the place of `path`, else `path` is as it was.

    Raises:
        UsageError: nothing can be written at `path`.
        MediaError: it cannot be encoded or written.
    """
    check_writable(path)
    with replacing(path) as temporary:
        settings = {"file.location": str(temporary)}
        fix = "is there room, and may you write there?"
        with Pipeline(
            str(path), _description(sound_rate_hz), settings, MediaError, fix
        ) as pipeline:
            yield Film(pipeline, sound_rate_hz)
            pipeline.finish(("picture", "sound"), FINISH_S)


def check_writable(path: Path) -> None:
    """Refuse a place where no film can be written.

    Raises:
        UsageError: it is a folder, has no `.mp4` name, or its folder cannot be written to.
    """
    if path.is_dir() or path.suffix.lower() != ".mp4":
        raise UsageError(f"{path}: give the name of a file that ends in .mp4")
    ancestor = next(parent for parent in path.absolute().parents if parent.exists())
    if not ancestor.is_dir() or not os.access(ancestor, os.W_OK):
        raise UsageError(f"{path}: {ancestor} cannot be written to; give another place")


def _description(sound_rate_hz: int) -> str:
    pictures = f"video/x-raw,format=RGB,width={WIDTH},height={HEIGHT},framerate={RATE_HZ}/1"
    sound = f"audio/x-raw,format=F32LE,rate={sound_rate_hz},channels=1,layout=interleaved"
    return (
        f"appsrc name=picture format=time max-bytes=0 caps={pictures} !"
        " videoconvert dither=none ! video/x-raw,format=I420,colorimetry=bt709 !"
        f" x264enc speed-preset=veryfast pass=quant quantizer={CONSTANT_QUALITY} !"
        f" h264parse ! {_QUEUE} ! mux. "
        f"appsrc name=sound format=time max-bytes=0 caps={sound} !"
        f" audioconvert ! audioresample ! audio/x-raw,rate={SOUND_RATE_HZ},channels=2 !"
        f" avenc_aac bitrate={SOUND_BITS_PER_S} ! aacparse ! {_QUEUE} ! mux. "
        "mp4mux name=mux ! filesink name=file"
    )


def _at_ns(count: int, rate_hz: int) -> int:
    return count * _NS_PER_S // rate_hz
