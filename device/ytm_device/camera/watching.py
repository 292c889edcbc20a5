"""Whether what a camera sends is alive and whole, judged on its buffers before decoding.

A frozen camera sends pictures that are equal bit by bit, which the noise of a sensor never lets
happen. A cut JPEG decodes to a picture that is grey below, and nobody says so.
"""

from __future__ import annotations

import time
import zlib

from ytm_device.gstreamer import RawBuffer

FROZEN_AFTER_S = 2.0
FROZEN_PICTURES = 20
"""Fewest equal pictures that count as frozen: a slow camera has longer to show another."""
DAMAGED_AFTER_S = 2.0
"""So long nothing but damaged pictures is a failure; before, each is dropped."""
_JPEG = "image/jpeg"
_MAX_JPEG_BYTES = 16 << 20
_START, _SCAN, _END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_SLICES = 16
_SLICE_BYTES = 4096
_NS_PER_S = 1_000_000_000


class PictureWatch:
    """Judges each buffer in turn, in GStreamer's thread; `trouble` may be read in any other."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        """What is wrong with the pictures, in words."""
        self.damaged = 0
        """Pictures that were dropped because part of them was missing."""
        self._damaged_since_ns: int | None = None
        self._mark: int | None = None
        self._equal = 0
        self._equal_since_ns = 0
        self._changed = False

    def inspect(self, buffer: RawBuffer) -> bool:
        """Whether `buffer` may go on: it is whole, and the camera has shown that it is alive."""
        return self.judge(buffer, time.monotonic_ns())

    def judge(self, buffer: RawBuffer, now_ns: int) -> bool:
        """As `inspect`, at a time on CLOCK_MONOTONIC."""
        if buffer.media == _JPEG:
            data = buffer.read(0, min(buffer.size, _MAX_JPEG_BYTES))
            if not is_whole(data):
                self._count_damaged(now_ns)
                return False
            mark = zlib.crc32(data)
        else:
            mark = _mark_of_slices(buffer)
        self._damaged_since_ns = None
        self._compare(mark, now_ns)
        return self._changed

    def _count_damaged(self, now_ns: int) -> None:
        self.damaged += 1
        self._damaged_since_ns = self._damaged_since_ns or now_ns
        if now_ns - self._damaged_since_ns > DAMAGED_AFTER_S * _NS_PER_S:
            self.trouble = f"nothing but damaged pictures for {DAMAGED_AFTER_S:g} s"

    def _compare(self, mark: int, now_ns: int) -> None:
        if mark == self._mark:
            self._equal += 1
        else:
            # Two that differ show that it is alive. Until then none goes on, so that a camera that
            # is frozen whenever it is opened does not seem to recover each time.
            self._changed = self._mark is not None
            self._mark, self._equal, self._equal_since_ns = mark, 1, now_ns
        long_ago = now_ns - self._equal_since_ns > FROZEN_AFTER_S * _NS_PER_S
        frozen = long_ago and self._equal >= FROZEN_PICTURES
        self.trouble = f"frozen: the same picture for {FROZEN_AFTER_S:g} s" if frozen else None


def is_whole(jpeg: bytes) -> bool:
    """Whether a JPEG begins as one and ends after its last scan (cameras may add padding)."""
    end = jpeg.rfind(_END)
    scanned = 0 < jpeg.find(_SCAN) < end
    # What ends before another scan begins is a thumbnail in the header.
    return jpeg.startswith(_START) and scanned and jpeg.find(_SCAN, end) < 0


def _mark_of_slices(buffer: RawBuffer) -> int:
    """A checksum over slices spread from the first byte to the last: 64 KiB, whatever the size."""
    mark = 0
    last = max(0, buffer.size - _SLICE_BYTES)
    for i in range(_SLICES):
        mark = zlib.crc32(buffer.read(last * i // (_SLICES - 1), _SLICE_BYTES), mark)
    return mark
