"""Which video a line means: a YouTube id, one of the forms of its address, or another address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

from ytm_bundle.errors import UsageError

_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_HOSTS = frozenset(
    {"youtube.com", "youtube-nocookie.com", "www.youtube-nocookie.com", "youtu.be"}
    | {f"{part}.youtube.com" for part in ("www", "m", "music")}
)
_FOLDERS = frozenset({"shorts", "embed", "live", "v", "e"})
_MAX_BYTES = 64 << 20
_MAX_LINE = 2048
_SHOWN = 60


class BadAddressError(ValueError):
    """A text that names no video; the message says why and may be shown."""


@dataclass(frozen=True)
class BadLine:
    """A line of a list that names no video."""

    number: int
    """From 1."""
    why: str


@dataclass(frozen=True)
class Links:
    """What a list of addresses holds."""

    sources: tuple[str, ...]
    """Each video once, in the order of the list."""
    repeated: int
    """Lines that name a video once more."""
    bad: tuple[BadLine, ...]


def is_youtube(source: str) -> bool:
    """Whether a source is a YouTube id."""
    return _ID.fullmatch(source) is not None


def address_of(source: str) -> str:
    """The address under which a source is fetched."""
    return f"https://www.youtube.com/watch?v={source}" if is_youtube(source) else source


def source_of(text: str) -> str:
    """The source that a line names: a YouTube id of 11 characters, else an http(s) address.

    Raises:
        BadAddressError: it names no single video.
    """
    if is_youtube(text):
        return text
    if len(text) > _MAX_LINE:
        raise BadAddressError(f"longer than {_MAX_LINE} characters")
    try:
        parts = urlsplit(text)
        host, named = (parts.hostname or "").lower(), parts.username or parts.password
    except ValueError as error:
        raise BadAddressError("not an address") from error
    if parts.scheme not in ("http", "https") or not host:
        raise BadAddressError(f"{_shortened(text)}: neither a YouTube id nor an http(s) address")
    if named:
        raise BadAddressError("an address with a name or password in it; give it without")
    if any(not character.isprintable() or character.isspace() for character in text):
        raise BadAddressError(f"{_shortened(text)}: has a space or a control character in it")
    if host in _HOSTS:
        return _youtube_id(host, parts.path, parts.query, text)
    return urlunsplit(parts._replace(fragment=""))


def _youtube_id(host: str, path: str, query: str, text: str) -> str:
    pieces = [piece for piece in path.split("/") if piece]
    candidates = parse_qs(query).get("v", [])
    if host == "youtu.be":
        candidates = pieces[:1]
    elif len(pieces) >= 2 and pieces[0] in _FOLDERS:
        candidates = pieces[1:2]
    if candidates and is_youtube(candidates[0]):
        return candidates[0]
    if pieces[:1] == ["playlist"] or (pieces and pieces[0].startswith(("@", "channel", "c"))):
        raise BadAddressError(f"{_shortened(text)}: a playlist or channel; give its videos")
    raise BadAddressError(f"{_shortened(text)}: no video's address")


def _shortened(text: str) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return repr(shown)


def read_links(path: Path) -> Links:
    """Read a list: an id or address a line; blank lines and what follows `#` at a start count not.

    Raises:
        UsageError: the file cannot be read, is no text, or names no video.
    """
    sources: dict[str, None] = {}
    repeated, bad = 0, []
    for number, line in enumerate(_lines(path), start=1):
        text = line.partition(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        try:
            source = source_of(text)
        except BadAddressError as error:
            bad.append(BadLine(number, str(error)))
            continue
        repeated += source in sources
        sources[source] = None
    if not sources:
        why = f" (line {bad[0].number}: {bad[0].why})" if bad else ""
        raise UsageError(f"--urls {path}: names no video{why}; write an id or address a line")
    return Links(tuple(sources), repeated, tuple(bad))


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"--urls {path}: larger than {_MAX_BYTES >> 20} MB; not such a list")
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"--urls {path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--urls {path}: not a text in UTF-8") from error
