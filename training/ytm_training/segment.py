"""One second of a video: what the models learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Segment:
    """The picture at the strongest onset of one second of a video, and the sound of that second."""

    segment_id: str
    """Unique in a dataset: the source, `@`, and the start in seconds."""
    source: str
    """The video, as its path inside the folder it was collected from."""
    start_s: float
    """Seconds from the start of the video."""
    onset_s: float
    """Seconds from the start of the segment to its strongest onset, 0 to 1."""
    image: npt.NDArray[np.uint8]
    """uint8 (height, width, 3), RGB, upright, square pixels."""
    sound: npt.NDArray[np.float32]
    """float32 (rate_hz,), mono, 1.0 is full scale: exactly one second."""
    rate_hz: int
    category: str | None = None
    title: str | None = None
    licence: str | None = None
    origin: str | None = None
    """Where the video came from."""
    rights: str | None = None
    """Class of rights, as the sidecar table states it."""
