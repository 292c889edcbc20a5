"""The one module that imports yt-dlp: looking a video up, and reading pieces of its files.

Every byte goes through yt-dlp's own network code, so cookies, headers, proxies and certificates
are as it has them. What yt-dlp would print is dropped: it holds titles.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yt_dlp
import yt_dlp.version
from yt_dlp.networking import Request
from yt_dlp.networking.exceptions import HTTPError, RequestError
from yt_dlp.utils import YoutubeDLError

from ytm_bundle.errors import UsageError
from ytm_training.fetch.faults import FetchError, fault_of_status, fault_of_text
from ytm_training.fetch.wish import Access

__all__ = ["YTDLP_VERSION", "Listing", "Piece", "Site", "Stream", "open_site"]

YTDLP_VERSION: str = yt_dlp.version.__version__
"""The day it was made: year, month and day, with dots."""
JAVASCRIPT_RUNTIMES = ("deno", "node", "bun", "quickjs")
_HEIGHT_PX = 480
_PLAIN = "[protocol~='^https?$']"
# Only files that can be read in pieces; pictures are kept at no more than 512 pixels.
_FORMAT = f"bv*{_PLAIN}+ba{_PLAIN}/b{_PLAIN}"
_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class Stream:
    """A file to read from."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Listing:
    """What is known of a video before any of it is read."""

    streams: tuple[Stream, ...]
    """One file with picture and sound, or one of each."""
    duration_s: float | None
    category: str | None
    title: str | None
    licence: str | None
    ready_s: float
    """Seconds to wait before the files may be read."""


@dataclass(frozen=True)
class Piece:
    """Bytes of a file."""

    data: bytes
    total: int | None
    """Bytes of the whole file, if the server says."""
    whole: bool
    """Whether the server does not give pieces, and this is the beginning of everything."""


class _Silent:
    """A logger that says nothing."""

    def debug(self, message: str) -> None:
        """Drop it."""

    info = warning = error = debug


class Site:
    """A connection to wherever videos are; use it in one thread."""

    def __init__(self, downloader: Any, timeout_s: float) -> None:
        self._downloader, self._timeout_s = downloader, timeout_s

    def look_up(self, url: str) -> Listing:
        """Ask for what is known of a video.

        Raises:
            FetchError: it cannot be had.
        """
        try:
            info = self._downloader.extract_info(url, download=False)
        except (YoutubeDLError, RequestError) as error:
            raise _fault_of(error) from None
        except Exception as error:
            # yt-dlp's extractors read what strangers wrote; anything may come of that.
            raise FetchError("not understood", "final") from error
        return _listing(_single(info))

    def read(self, stream: Stream, begin: int, length: int) -> Piece:
        """Read `length` bytes of a file, from `begin` on; fewer at its end.

        Raises:
            FetchError: they cannot be had.
        """
        headers = {**stream.headers, "Range": f"bytes={begin}-{begin + length - 1}"}
        request = Request(stream.url, headers=headers, extensions={"timeout": self._timeout_s})
        try:
            with self._downloader.urlopen(request) as response:
                return _piece(response, length)
        except HTTPError as error:
            if error.status == 416:
                return Piece(b"", None, whole=False)
            raise _fault_of(error) from None
        except (RequestError, OSError) as error:
            raise FetchError("unreachable", "again") from error

    @contextmanager
    def whole(self, stream: Stream) -> Iterator[Any]:
        """Open a whole file for reading from its beginning.

        Raises:
            FetchError: it cannot be had, or breaks off.
        """
        extensions = {"timeout": self._timeout_s}
        try:
            with self._downloader.urlopen(
                Request(stream.url, headers=stream.headers, extensions=extensions)
            ) as response:
                yield response
        except HTTPError as error:
            raise _fault_of(error) from None
        except (RequestError, OSError) as error:
            raise FetchError("unreachable", "again") from error


@contextmanager
def open_site(access: Access) -> Iterator[Site]:
    """Connect.

    Raises:
        UsageError: the cookies cannot be read.
    """
    try:
        downloader = yt_dlp.YoutubeDL(_parameters(access))
        # Read at once, so that bad cookies are an error of their own.
        _ = downloader.cookiejar
    except UsageError:
        raise
    except Exception as error:
        which = access.cookies or access.browser
        raise UsageError(f"cookies of {which}: cannot be used ({type(error).__name__})") from None
    with downloader:
        yield Site(downloader, access.timeout_s)


def _parameters(access: Access) -> dict[str, Any]:
    return {
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "logger": _Silent(),
        "noplaylist": True,
        "format": _FORMAT,
        "format_sort": [f"res:{_HEIGHT_PX}"],
        "socket_timeout": access.timeout_s,
        "extractor_retries": 1,
        "js_runtimes": {name: {} for name in JAVASCRIPT_RUNTIMES},
        "cookiefile": _cookies(access.cookies),
        "cookiesfrombrowser": (access.browser,) if access.browser else None,
    }


def _cookies(path: Path | None) -> io.StringIO | None:
    """The cookies as a text in memory: to a file, yt-dlp would write them back."""
    if path is None:
        return None
    try:
        return io.StringIO(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text"
        raise UsageError(f"--cookies {path}: cannot be read ({why})") from None


def _single(info: Any) -> dict[str, Any]:
    """The one video of an answer; a page with several is none that somebody watched."""
    if info and info.get("_type", "video") in ("playlist", "multi_video"):
        entries = list(info.get("entries") or ())
        if len(entries) != 1:
            raise FetchError("not one video", "final")
        info = entries[0]
    if not info:
        raise FetchError("not a video", "final")
    return dict(info)


def _listing(info: dict[str, Any]) -> Listing:
    if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming", "post_live"):
        raise FetchError("live", "final")
    formats = info.get("requested_formats") or [info]
    categories = info.get("categories") or ()
    ready = max(float(each.get("available_at") or 0) for each in formats) - time.time()
    return Listing(
        tuple(Stream(each["url"], dict(each.get("http_headers") or {})) for each in formats),
        float(info["duration"]) if info.get("duration") else None,
        str(categories[0]).lower() if categories else None,
        info.get("title"),
        info.get("license"),
        min(max(ready, 0.0), _LONGEST_WAIT_S),
    )


def _piece(response: Any, length: int) -> Piece:
    data = b"".join(_read(response, length))
    _, _, total = (response.get_header("Content-Range") or "").rpartition("/")
    return Piece(data, int(total) if total.isdigit() else None, whole=response.status == 200)


def _read(response: Any, length: int) -> Iterator[bytes]:
    while length > 0 and (data := response.read(length)):
        yield data
        length -= len(data)


def _fault_of(error: BaseException) -> FetchError:
    """The fault behind an error of yt-dlp, looked for in all that caused it."""
    seen: list[BaseException] = []
    pending: list[Any] = [error]
    while pending:
        each = pending.pop(0)
        if not isinstance(each, BaseException) or each in seen:
            continue
        seen.append(each)
        if isinstance(each, HTTPError):
            return fault_of_status(each.status, each.response.headers.get("Retry-After"))
        causes = getattr(each, "exc_info", None) or (None, None)
        pending += [getattr(each, "cause", None), causes[1]]
    fault = fault_of_text(str(error))
    if fault.reason == "not understood" and any(isinstance(each, RequestError) for each in seen):
        return FetchError("unreachable", "again")
    return fault
