"""Marks by which a segment is known again, though its video was renamed or collected once more.

A run and a bundle carry the marks of all they learned from, so that nobody measures them on it.
A mark says nothing of what is in the segment.
"""

from __future__ import annotations

import hashlib

from ytm_training.dataset import pcm
from ytm_training.segment import Segment

MARK_DIGITS = 16


def segment_marks(segment: Segment) -> tuple[str, ...]:
    """Two marks of `MARK_DIGITS` hexadecimal digits: one of its source's name, one of its content.

    Two segments of one video share the first; copies of one segment share the second, whatever
    they are called. Both survive being written to a dataset.
    """
    content = (
        repr((segment.image.shape, segment.rate_hz)).encode(),
        segment.image.tobytes(),
        pcm(segment.sound).astype("<i2").tobytes(),
    )
    return (
        _mark("source", segment.source.encode()),
        _mark("content", *content),
    )


def _mark(domain: str, *parts: bytes) -> str:
    """A digest that no mark of another domain can equal but by chance."""
    digest = hashlib.sha256(f"ytm {domain}\n".encode())
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:MARK_DIGITS]
