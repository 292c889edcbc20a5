"""Why a video cannot be fetched: one table from what YouTube, yt-dlp and servers say to a reason.

The texts are those that YouTube's player and yt-dlp (`extractor/youtube/_video.py`) give; the first
that matches counts. A text that no row knows becomes "not understood", and is not repeated to
anybody: it may hold a title.
"""

from __future__ import annotations

import re
from typing import Literal

from ytm_bundle.errors import MediaError

Kind = Literal["final", "again", "limited", "blocked"]
"""final: the video is as it is. again: perhaps a moment later. limited: too many requests, so wait.
blocked: refused, and if that goes on, all of them."""

_NOT_A_BOT, _REFUSED, _LIMITED = "not a bot", "refused (403)", "too many requests"

_TEXTS: tuple[tuple[str, str, Kind], ...] = (
    (r"not a bot|captcha", _NOT_A_BOT, "blocked"),
    (r"rate-limited|try again later|too many requests", _LIMITED, "limited"),
    (r"live event (will|has)|live stream|premieres|premiere|is offline|not currently live",
     "live", "final"),
    (r"members.only|channel.?s members|join this channel", "members only", "final"),
    (r"requires payment|rent(al)?\b|purchase|premium", "paid", "final"),
    (r"confirm your age|age.restricted|inappropriate for some", "age-restricted", "final"),
    (r"in your country|from your location|geo.?restrict", "region-locked", "final"),
    (r"\bprivate\b", "private", "final"),
    (r"removed|terminated|no longer available|closed their|copyright|deleted|unavailable"
     r"|does not exist", "removed", "final"),
    (r"\bdrm\b", "protected (DRM)", "final"),
    (r"format is not available|no video formats|only images", "nothing to download", "final"),
    (r"unsupported url|not a valid url", "not a video", "final"),
    (r"sign in|log ?in|cookies", "needs an account", "final"),
    (r"timed out|timeout|connection|remote end|reset by peer|resolve|temporar|incomplete"
     r"|bytes read", "unreachable", "again"),
)  # fmt: skip
_STATUS: dict[int, tuple[str, Kind]] = {
    401: ("private", "final"),
    402: ("paid", "final"),
    403: (_REFUSED, "blocked"),
    404: ("removed", "final"),
    408: ("unreachable", "again"),
    410: ("removed", "final"),
    429: (_LIMITED, "limited"),
    451: ("region-locked", "final"),
}
_COMPILED = tuple((re.compile(text, re.IGNORECASE), reason, kind) for text, reason, kind in _TEXTS)


class FetchError(MediaError):
    """A video that cannot be fetched, or not yet."""

    def __init__(self, reason: str, kind: Kind, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind: Kind = kind
        self.retry_after_s = retry_after_s
        """Seconds after which the server says that it will answer; None if it does not say."""

    def __reduce__(self) -> tuple[type[FetchError], tuple[str, Kind, float | None]]:
        """Faults travel between processes."""
        return type(self), (self.reason, self.kind, self.retry_after_s)


def fault_of_text(text: str) -> FetchError:
    """What an error text means."""
    for pattern, reason, kind in _COMPILED:
        if pattern.search(text):
            return FetchError(reason, kind)
    return FetchError("not understood", "final")


def fault_of_status(status: int, retry_after: str | None = None) -> FetchError:
    """What an HTTP status means; `retry_after` is the header of that name."""
    if status in _STATUS:
        reason, kind = _STATUS[status]
    elif status >= 500:
        reason, kind = "unreachable", "again"
    else:
        reason, kind = "not a video", "final"
    seconds = float(retry_after) if retry_after and retry_after.strip().isdigit() else None
    return FetchError(reason, kind, seconds)
