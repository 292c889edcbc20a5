"""Files of an export as streams that end early rather than fail, and fail rather than never end."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from ytm_bundle.errors import TakeoutError
from ytm_training.takeout.text import CHUNK_BYTES, Readable

MAX_BYTES = 16 << 30
"""Of all files together, unpacked."""
MAX_RATIO = 200
"""Unpacked over packed bytes; histories reach about 20."""
FREE_BYTES = 32 << 20
"""Unpacked before the ratio counts."""
DAMAGE = (
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged, encrypted or exotic archive raises."""


def check_ratio(name: str, unpacked_bytes: int, packed_bytes: int) -> None:
    """See that something does not unpack to far more than it is.

    Raises:
        TakeoutError: it does.
    """
    if unpacked_bytes > FREE_BYTES and unpacked_bytes > MAX_RATIO * max(packed_bytes, 1):
        raise TakeoutError(
            f"{name}: unpacks to more than {MAX_RATIO} times its size, which no export of Google"
            " does; download it again"
        )


class Meter:
    """The bytes read from all files, told to `progress` and limited."""

    def __init__(self, progress: Callable[[int], None] | None) -> None:
        self._progress, self._bytes = progress, 0

    def count(self, name: str, size: int) -> None:
        """Count `size` bytes of the file `name`.

        Raises:
            TakeoutError: there are more than `MAX_BYTES`.
        """
        self._bytes += size
        if self._bytes > MAX_BYTES:
            raise TakeoutError(
                f"{name}: more than {MAX_BYTES >> 30} GiB of history; give the one file of it"
            )
        if self._progress is not None:
            self._progress(self._bytes)


class Stream:
    """A file that is read once, from its beginning."""

    def __init__(self, name: str, file: Readable, packed_bytes: int, meter: Meter) -> None:
        self.name = name
        self.damage: str | None = None
        """Why it ended early, if it did."""
        self._file, self._packed_bytes, self._meter = file, packed_bytes, meter
        self._head, self._bytes = b"", 0

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end; they stay to be read."""
        while len(self._head) < size and (more := self._more(size - len(self._head))):
            self._head += more
        return self._head[:size]

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end, or where the file is damaged.

        Raises:
            TakeoutError: there are more bytes than there can be.
        """
        if self._head:
            read, self._head = self._head[:size], self._head[size:]
            return read
        return self._more(size)

    def drain(self) -> None:
        """Read to the end, where archives keep their check sums."""
        while self.read(CHUNK_BYTES):
            pass

    def _more(self, size: int) -> bytes:
        if self.damage is not None:
            return b""
        try:
            read = self._file.read(size)
        except DAMAGE as error:
            self.damage = str(error) or type(error).__name__
            return b""
        self._bytes += len(read)
        check_ratio(self.name, self._bytes, self._packed_bytes)
        self._meter.count(self.name, len(read))
        return read
