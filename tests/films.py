"""What the camera of an installation sees: a ball that moves, and plain pictures at known times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from small_videos import run

RATE_HZ = 30
BALL, WHITE, BLACK = "ball", "white", "black"
Part = tuple[str, float]
"""A pattern of GStreamer's videotestsrc, and for how many seconds."""


def film(path: Path, parts: Sequence[Part], rate_hz: int = RATE_HZ, side: int = 128) -> Path:
    """A video of these parts, one after the other, in which every picture can be sought."""
    sources = " ".join(
        f"videotestsrc pattern={pattern} num-buffers={round(seconds * rate_hz)} !"
        f" video/x-raw,format=I420,width={side},height={side},framerate={rate_hz}/1 ! joined."
        for pattern, seconds in parts
    )
    return run(
        path,
        f"concat name=joined ! x264enc speed-preset=ultrafast tune=zerolatency"
        f" key-int-max={rate_hz} ! mp4mux ! filesink name=file {sources}",
    )
