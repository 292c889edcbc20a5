"""The builder's measurements of a machine, kept from build to build after their digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ytm_bundle.errors import EngineError
from ytm_bundle.files import replacing

MAX_BYTES = 256 << 20
_DIGEST_BYTES = 32


def read_cache(path: Path) -> bytes:
    """What `write_cache` wrote; empty if there is nothing.

    Raises:
        EngineError: the file is damaged, too large or cannot be read; the next one replaces it.
    """
    if not path.exists():
        return b""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise EngineError(f"{path}: cannot be read ({error.strerror}); measuring anew") from error
    digest, cache = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if len(content) > MAX_BYTES or hashlib.sha256(cache).digest() != digest:
        raise EngineError(f"{path}: damaged; measuring anew")
    return cache


def write_cache(path: Path, cache: bytes) -> None:
    """Keep `cache`, unless it is empty or what is there already."""
    content = hashlib.sha256(cache).digest() + cache
    if not cache or (path.is_file() and path.read_bytes() == content):
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)
