"""YouTube's Data API v3, `videos.list`: which of many videos are still there, and what they are.

https://developers.google.com/youtube/v3/docs/videos/list: 50 ids a call, a call costs one unit of
the 10,000 that a project has each day. The key is sent in a header, so it stands in no address.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

KEY_VARIABLE = "YTM_YOUTUBE_API_KEY"
URL_VARIABLE = "YTM_YOUTUBE_API_URL"
IDS_A_CALL = 50
UNITS_A_DAY = 10_000

_URL = "https://www.googleapis.com/youtube/v3"
_MAX_BYTES = 8 << 20
_TIMEOUT_S = 30.0
_TRIES = 4
_QUOTA = frozenset({"quotaExceeded", "dailyLimitExceeded"})
_SLOWER = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "backendError"})
_LENGTH = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_UNITS_S = (604_800, 86_400, 3_600, 60, 1)
_CATEGORIES = {
    "1": "film & animation",
    "2": "autos & vehicles",
    "10": "music",
    "15": "pets & animals",
    "17": "sports",
    "19": "travel & events",
    "20": "gaming",
    "22": "people & blogs",
    "23": "comedy",
    "24": "entertainment",
    "25": "news & politics",
    "26": "howto & style",
    "27": "education",
    "28": "science & technology",
    "29": "nonprofits & activism",
}


@dataclass(frozen=True)
class VideoFacts:
    """What the API says of a video that is there."""

    length_s: float | None
    category: str | None
    """In small letters, as YouTube calls it in English."""
    live: bool
    """On now, or to come."""
    age_restricted: bool
    made_for_kids: bool
    embeddable: bool
    processed: bool
    """Whether it can be played at all."""

    def reason_against(self) -> str | None:
        """Why it cannot be fetched; None if it can, as far as is known."""
        if not self.processed:
            return "removed"
        if self.live:
            return "live"
        return "age-restricted" if self.age_restricted else None


@dataclass
class Answer:
    """What was found out about many videos."""

    known: dict[str, VideoFacts] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Asked for and not there: removed, or private."""
    units: int = 0
    """Calls made, each of one unit."""
    stopped: str | None = None
    """Why the rest was not asked for; None if all was."""


class _StopError(Exception):
    """No more calls; the message may be shown."""


class _AgainError(Exception):
    """The same call once more, after a while; the message may be shown."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow nothing: the key is for one host."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        """No."""


class DataApi:
    """The API with a key."""

    def __init__(
        self, key: str, url: str | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._key, self._url, self._sleep = key, (url or _URL).rstrip("/"), sleep
        self._opener = urllib.request.build_opener(_NoRedirect)

    def look_up(self, ids: Sequence[str], tell: Callable[[int], None] | None = None) -> Answer:
        """Ask for videos, 50 at a time, until all are known or the API gives no more.

        Args:
            ids: of YouTube.
            tell: told how many have been asked for, after every call.
        """
        answer = Answer()
        for begin in range(0, len(ids), IDS_A_CALL):
            some = ids[begin : begin + IDS_A_CALL]
            try:
                known = self._patiently(some, answer)
            except _StopError as stop:
                answer.stopped = str(stop)
                return answer
            answer.known |= known
            answer.gone |= set(some) - set(known)
            if tell is not None:
                tell(begin + len(some))
        return answer

    def _patiently(self, ids: Sequence[str], answer: Answer) -> dict[str, VideoFacts]:
        why = ""
        for number in range(_TRIES):
            if number:
                self._sleep(2.0 ** (number - 1))
            if answer.units >= UNITS_A_DAY:
                raise _StopError(f"the day's {UNITS_A_DAY} units are used up")
            answer.units += 1
            try:
                return dict(_facts(self._call(ids)))
            except _AgainError as again:
                why = str(again)
        raise _StopError(why)

    def _call(self, ids: Sequence[str]) -> Any:
        query = urlencode({"part": "status,contentDetails,snippet", "id": ",".join(ids)})
        request = urllib.request.Request(  # noqa: S310
            f"{self._url}/videos?{query}",
            headers={"X-Goog-Api-Key": self._key, "Accept": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                return _parsed(response.read(_MAX_BYTES))
        except urllib.error.HTTPError as error:
            raise _refusal(error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _AgainError(f"the API cannot be reached ({type(error).__name__})") from None


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise _AgainError("the API's answer is no JSON") from None


def _refusal(error: urllib.error.HTTPError) -> _StopError | _AgainError:
    """What an error reply means: https://developers.google.com/youtube/v3/docs/errors."""
    try:
        details = json.loads(error.read(_MAX_BYTES))["error"]["errors"]
        reasons = {str(each["reason"]) for each in details}
    except (OSError, http.client.HTTPException, ValueError, RecursionError, KeyError, TypeError):
        reasons = set()
    if reasons & _QUOTA:
        return _StopError("the day's quota is used up; it is new at midnight, Pacific time")
    if error.code >= 500 or error.code == 429 or reasons & _SLOWER:
        return _AgainError(f"the API answers {error.code}")
    named = next(iter(sorted(reasons)), "no reason given")
    return _StopError(f"the API refuses ({error.code}, {named}); see to the key in {KEY_VARIABLE}")


def _facts(reply: Any) -> Iterator[tuple[str, VideoFacts]]:
    """The videos of a reply; items that are not as documented are passed over."""
    items = reply.get("items") if isinstance(reply, Mapping) else None
    if not isinstance(items, list):
        raise _AgainError("the API's answer has no items")
    for item in items:
        if isinstance(item, Mapping) and isinstance(item.get("id"), str):
            yield item["id"], _video(item)


def _video(item: Mapping[str, Any]) -> VideoFacts:
    status, details, snippet = (_part(item, key) for key in ("status", "contentDetails", "snippet"))
    return VideoFacts(
        length_s=_seconds(details.get("duration")),
        category=_CATEGORIES.get(str(snippet.get("categoryId"))),
        live=snippet.get("liveBroadcastContent") in ("live", "upcoming"),
        age_restricted=_part(details, "contentRating").get("ytRating") == "ytAgeRestricted",
        made_for_kids=bool(status.get("madeForKids")),
        embeddable=bool(status.get("embeddable", True)),
        processed=status.get("uploadStatus", "processed") in ("processed", "uploaded"),
    )


def _part(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = item.get(key)
    return part if isinstance(part, Mapping) else {}


def _seconds(text: Any) -> float | None:
    """The length that an ISO 8601 duration states, such as PT1H2M3S."""
    found = _LENGTH.fullmatch(text) if isinstance(text, str) and len(text) < 40 else None
    if found is None:
        return None
    parts = zip(found.groups(), _UNITS_S, strict=True)
    return float(sum(int(part or 0) * unit_s for part, unit_s in parts))
