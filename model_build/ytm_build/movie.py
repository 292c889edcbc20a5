"""Writing an MP4 with PyAV: H.264 pictures and AAC sound in step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from ytm_bundle.files import replacing

SOUND_RATE_HZ = 48000


class Movie:
    """An MP4 being written. Use `writing_movie`."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        size: tuple[int, int],
        frames_per_second: int,
        sound_rate_hz: int,
    ) -> None:
        self._container = container
        self._pictures = container.add_stream("libx264", rate=frames_per_second)
        self._pictures.width, self._pictures.height = size
        self._pictures.pix_fmt = "yuv420p"
        self._pictures.options = {"preset": "veryfast", "crf": "20"}
        self._sound = container.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono")
        self._sound.bit_rate = 160_000
        self._resampler = av.AudioResampler("fltp", "mono", SOUND_RATE_HZ)
        self._rate_hz = sound_rate_hz
        self._shown, self._played = 0, 0

    def show(self, picture: npt.NDArray[np.uint8]) -> None:
        """Add one picture: uint8 (height, width, 3), RGB."""
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = self._shown
        self._shown += 1
        self._container.mux(self._pictures.encode(frame))

    def play(self, samples: npt.NDArray[np.float32]) -> None:
        """Add sound: float32 (n,) in [-1, 1]."""
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = self._rate_hz
        frame.time_base = Fraction(1, self._rate_hz)
        frame.pts = self._played
        self._played += len(samples)
        for part in self._resampler.resample(frame):
            self._container.mux(self._sound.encode(part))

    def finish(self) -> None:
        """Write what the encoders still hold."""
        for part in self._resampler.resample(None):
            self._container.mux(self._sound.encode(part))
        self._container.mux(self._pictures.encode(None))
        self._container.mux(self._sound.encode(None))


@contextmanager
def writing_movie(
    path: Path, size: tuple[int, int], frames_per_second: int, sound_rate_hz: int
) -> Iterator[Movie]:
    """Open an MP4 for writing; it takes its place at `path` when it is whole.

    Args:
        path: replaced on success, untouched otherwise.
        size: (width, height), even numbers of pixels.
        frames_per_second: of the pictures.
        sound_rate_hz: of the samples given; written as 48 kHz.
    """
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        movie = Movie(container, size, frames_per_second, sound_rate_hz)
        yield movie
        movie.finish()
