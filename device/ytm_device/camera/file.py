"""A video file as a camera: played in real time and for ever, or read as fast as it decodes."""

from __future__ import annotations

import time
from collections.abc import Generator
from itertools import count, islice
from pathlib import Path

from ytm_bundle.errors import MediaError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.source import CameraSource, pixels, scaling, sink
from ytm_device.frame import Frame
from ytm_device.gstreamer import Pipeline, Sample

PICTURE_S = 5.0
"""Longest wait for a picture to be decoded.

It is also how long some damaged files take to be noticed: decodebin may swallow the error of a
demuxer that fails while it is being connected."""
_FIX = "give another video"
_TURN_S = 0.25


class FileCamera(CameraSource):
    """A `CameraSource` that plays a file in real time and begins again when it ends."""

    def __init__(self, path: Path, image: ImageSpec) -> None:
        """Begin to play `path`.

        Raises:
            MediaError: there is no such file, it cannot be decoded, or it holds no picture.
        """
        self.name = str(path)
        self._pipeline = _open(path, image, sink(realtime=True, newest_only=True))
        self._waiting: Sample | None = None
        self._seen = False
        try:
            self._waiting = _first(self._pipeline, self.name)
        except MediaError:
            self._pipeline.close()
            raise

    def close(self) -> None:
        """See `Owner.close`."""
        self._pipeline.close()

    def next_frame(self, timeout_s: float) -> Frame | None:
        """See `CameraSource.next_frame`."""
        sample, self._waiting = self._waiting, None
        if sample is None:
            sample = self._pipeline.pull(timeout_s)
        if sample is None:
            if self._pipeline.ended:
                self._begin_again()
            return None
        self._seen = True
        # A picture handed over early, while the pipeline fills, was not taken in the future.
        taken_ns = min(sample.clock_ns, time.monotonic_ns())
        return Frame(pixels(sample), taken_ns, sample.sequence, self.name)

    def _begin_again(self) -> None:
        if not self._seen:
            raise MediaError(f"{self.name}: ends before its first picture; {_FIX}")
        self._seen = False
        self._pipeline.rewind()


def read_frames(
    path: Path, image: ImageSpec, limit: int | None = None
) -> Generator[Frame, None, None]:
    """Decode a file as fast as possible through the elements that the mirror uses; drop nothing.

    Args:
        path: a video file.
        image: the size and fit wanted.
        limit: at most so many pictures; None for all.

    Yields:
        Each picture, with `taken_ns` its time within the video.

    Raises:
        MediaError: there is no such file, it cannot be decoded, or it holds no picture.
    """
    name = str(path)
    with _open(path, image, sink(realtime=False, newest_only=False)) as pipeline:
        sample: Sample | None = _first(pipeline, name)
        for sequence in islice(count(), limit):
            if sample is None:
                return
            yield Frame(pixels(sample), sample.position_ns, sequence, name)
            sample = _next(pipeline, name)


def _open(path: Path, image: ImageSpec, last: str) -> Pipeline:
    if not path.is_file():
        raise MediaError(f"{path}: no such video file; give a file that is there")
    description = f"filesrc name=file ! decodebin ! {scaling(image)} ! {last}"
    return Pipeline(str(path), description, {"file.location": str(path)}, MediaError, _FIX)


def _first(pipeline: Pipeline, name: str) -> Sample:
    sample = _next(pipeline, name)
    if sample is None:
        raise MediaError(f"{name}: ends before its first picture; {_FIX}")
    return sample


def _next(pipeline: Pipeline, name: str) -> Sample | None:
    """The next picture; None at the end."""
    deadline = time.monotonic() + PICTURE_S
    while time.monotonic() < deadline:
        sample = pipeline.pull(_TURN_S)
        if sample is not None or pipeline.ended:
            return sample
    raise MediaError(f"{name}: no picture could be decoded in {PICTURE_S:g} s; {_FIX}")
