"""Seconds of a video, as a file on disk: what fetching gives and cutting takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ytm_training.media import Extent

REACH_S = 1.0
"""How far from the second wanted another may be taken, if that one is silent or damaged."""
SETTLE_S = 1.0
"""Fetched before and after what may be taken: decoders need it to settle."""


@dataclass(frozen=True)
class Section:
    """Seconds of a video, on disk."""

    path: Path
    origin_s: float | None
    """Where 0 of the video is on the file's clock; None if the file is the whole video."""
    extent: Extent | None
    """What the whole video has; None if the file is the whole video and says so itself."""
    category: str | None
    title: str | None
    licence: str | None
    bytes_read: int
    """Bytes that were fetched for it."""

    @classmethod
    def of_whole(cls, path: Path) -> Section:
        """A file that was there already."""
        return cls(path, None, None, None, None, None, 0)


def section_folder(sections: Path, source: str, seed: int, count: int) -> Path:
    """Where `count` seconds of a source, drawn by a seed, are kept: any file system takes it."""
    key = f"{seed}\0{count}\0{source}".encode("utf-8", "surrogateescape")
    return sections / hashlib.sha256(key).hexdigest()[:24]
