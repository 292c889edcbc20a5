"""Bytes of unknown encoding as text, piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Protocol

CHUNK_BYTES = 1 << 18
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Readable(Protocol):
    """What can be read in pieces."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


def _latin(error: UnicodeError) -> tuple[str, int]:
    """Read bytes that are no UTF-8 as Latin-1 would, and units that are no UTF-16 as unknown."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return bad.decode("latin-1") if error.encoding == "utf-8" else "\ufffd", error.end


codecs.register_error("ytm-latin", _latin)


def encoding_of(head: bytes) -> tuple[str, int]:
    """The encoding of text that begins with `head`, and the length of its mark."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    if len(head) >= 2 and 0 in head[:2] and any(head[:2]):
        return ("utf-16-be" if head[0] == 0 else "utf-16-le"), 0
    return "utf-8", 0


def texts(file: Readable) -> Iterator[str]:
    """The text of `file` in pieces of about `CHUNK_BYTES`; nothing in it is an error."""
    head = file.read(CHUNK_BYTES)
    name, mark = encoding_of(head)
    decoder = codecs.getincrementaldecoder(name)("ytm-latin")
    chunk = head[mark:]
    while chunk:
        yield decoder.decode(chunk)
        chunk = file.read(CHUNK_BYTES)
    yield decoder.decode(b"", final=True)
