"""A file on a server, read in pieces as they are needed."""

from __future__ import annotations

import io
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ytm_training.fetch.connection import Piece, Site, Stream
from ytm_training.fetch.faults import FetchError

PIECE_BYTES = 256 << 10
"""Asked for at once: a second of 480p and its sound are about 150 KB."""
MAX_BYTES = 512 << 20
"""Read of one video at most, whichever way."""
_KEPT = 32


@dataclass
class Allowance:
    """What reading one video may cost, all its files together; what it did cost."""

    ends_s: float
    """On the monotonic clock."""
    max_bytes: int = MAX_BYTES
    bytes_read: int = field(default=0)

    def spend(self, count: int) -> None:
        """Note that `count` bytes came.

        Raises:
            FetchError: that is too much, or it took too long.
        """
        self.bytes_read += count
        if self.bytes_read > self.max_bytes:
            raise FetchError("too large", "final")
        if time.monotonic() > self.ends_s:
            raise FetchError("unreachable", "again")


class RangedFile:
    """What PyAV reads: `read`, `seek` and `tell` over pieces of a file elsewhere."""

    def __init__(self, read: Callable[[int, int], Piece], allowance: Allowance) -> None:
        """`read` gives the piece at an offset, of a length or shorter at the file's end."""
        self._read_piece, self._allowance = read, allowance
        self._pieces: OrderedDict[int, bytes] = OrderedDict()
        self._at = 0
        self.fault: FetchError | None = None
        """What went wrong while FFmpeg read, which may take it for the end of the file."""
        first = self._load(0)
        self.whole = first.whole
        """Whether the server gives no pieces, so that the file must be read from its beginning."""
        self.size = len(first.data) if first.total is None else first.total

    def read(self, count: int) -> bytes:
        """Up to `count` bytes from where reading stands; none at the end."""
        begin = self._at - self._at % PIECE_BYTES
        if self._at >= self.size or count <= 0:
            return b""
        try:
            data = self._pieces.get(begin)
            if data is None:
                data = self._load(begin).data
        except FetchError as fault:
            self.fault = fault
            raise
        self._pieces.move_to_end(begin)
        part = data[self._at - begin : self._at - begin + count]
        self._at += len(part)
        return part

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go somewhere else; the new place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Where reading stands."""
        return self._at

    def seekable(self) -> bool:
        """It can."""
        return True

    def _load(self, begin: int) -> Piece:
        piece = self._read_piece(begin, PIECE_BYTES)
        self._allowance.spend(len(piece.data))
        self._pieces[begin] = piece.data
        while len(self._pieces) > _KEPT:
            self._pieces.popitem(last=False)
        return piece


def ranged(site: Site, stream: Stream, allowance: Allowance) -> RangedFile:
    """Open a file of a video.

    Raises:
        FetchError: it cannot be read.
    """
    return RangedFile(lambda begin, length: site.read(stream, begin, length), allowance)


def save_whole(site: Site, stream: Stream, allowance: Allowance, path: Path) -> None:
    """Read a whole file to `path`.

    Raises:
        FetchError: it cannot be read to its end.
    """
    with site.whole(stream) as response, path.open("wb") as file:
        while data := response.read(PIECE_BYTES):
            allowance.spend(len(data))
            file.write(data)
