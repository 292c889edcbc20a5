"""What YouTube and yt-dlp say, as reasons: through yt-dlp's own extractor, with YouTube's words."""

from __future__ import annotations

import inspect
import io
import json
import pickle
import re
from typing import Any

import pytest
import yt_dlp
from yt_dlp.extractor.youtube import _video
from yt_dlp.networking import Response

from ytm_training.fetch import connection
from ytm_training.fetch.connection import open_site
from ytm_training.fetch.faults import FetchError, fault_of_status, fault_of_text
from ytm_training.fetch.wish import Access

ID = "dQw4w9WgXcQ"
TITLE = "Secret title"
PAGE = '<html><script>ytcfg.set({"INNERTUBE_CONTEXT": {"client": {}}});</script></html>'


class _Youtube(yt_dlp.YoutubeDL):
    """yt-dlp, for which YouTube is a player's answer."""

    player: dict[str, Any]

    def urlopen(self, req: Any) -> Response:
        url = req if isinstance(req, str) else req.url
        body = json.dumps(self.player) if "/youtubei/v1/player" in url else PAGE
        kind = "application/json" if body[0] == "{" else "text/html"
        return Response(io.BytesIO(body.encode()), url, {"Content-Type": kind}, 200)


def look_up(monkeypatch: pytest.MonkeyPatch, status: dict[str, Any], **more: Any) -> FetchError:
    details = {"videoId": ID, "title": TITLE, "lengthSeconds": "100", **more.pop("details", {})}
    _Youtube.player = {"playabilityStatus": status, "videoDetails": details, **more}
    monkeypatch.setattr(connection.yt_dlp, "YoutubeDL", _Youtube)
    with open_site(Access()) as site, pytest.raises(FetchError) as caught:
        site.look_up(f"https://www.youtube.com/watch?v={ID}")
    return caught.value


PLAYER = [
    ("LOGIN_REQUIRED", "Sign in to confirm you’re not a bot", "not a bot", "blocked"),
    ("LOGIN_REQUIRED", "Sign in to confirm your age", "age-restricted", "final"),
    ("LOGIN_REQUIRED", "This video is private", "private", "final"),
    (
        "LOGIN_REQUIRED",
        "Private video. Sign in if you've been granted access to this video",
        "private",
        "final",
    ),
    ("ERROR", "Video unavailable", "removed", "final"),
    ("ERROR", "This video has been removed by the uploader", "removed", "final"),
    (
        "ERROR",
        "This video is no longer available because the YouTube account associated with this video"
        " has been terminated.",
        "removed",
        "final",
    ),
    (
        "UNPLAYABLE",
        "This video contains content from SME, who has blocked it in your country on copyright"
        " grounds",
        "region-locked",
        "final",
    ),
    (
        "UNPLAYABLE",
        "Join this channel to get access to members-only content like this video, and other"
        " exclusive perks.",
        "members only",
        "final",
    ),
    ("UNPLAYABLE", "This video requires payment to watch.", "paid", "final"),
    ("UNPLAYABLE", "This video is only available to Music Premium members", "paid", "final"),
    ("LIVE_STREAM_OFFLINE", "This live event will begin in 3 hours.", "live", "final"),
    ("LIVE_STREAM_OFFLINE", "Premieres in 2 days", "live", "final"),
    ("UNPLAYABLE", "This live stream recording is not available.", "live", "final"),
    (
        "UNPLAYABLE",
        "This content isn't available, try again later.",
        "too many requests",
        "limited",
    ),
]


@pytest.mark.parametrize(("status", "said", "reason", "kind"), PLAYER)
def test_what_the_player_says_is_understood(monkeypatch, status, said, reason, kind) -> None:
    fault = look_up(monkeypatch, {"status": status, "reason": said})
    assert (fault.reason, fault.kind) == (reason, kind)
    assert TITLE not in str(fault)


def test_where_the_uploader_shows_it_is_understood(monkeypatch) -> None:
    said = "The uploader has not made this video available in your country"
    screen = {
        "playerErrorMessageRenderer": {
            "reason": {"simpleText": "Video unavailable"},
            "subreason": {"simpleText": said},
        }
    }
    status = {"status": "UNPLAYABLE", "reason": "Video unavailable", "errorScreen": screen}
    assert look_up(monkeypatch, status).reason == "region-locked"


def test_a_captcha_is_a_block(monkeypatch) -> None:
    status = {
        "status": "ERROR",
        "reason": "Please wait",
        "errorScreen": {"playerCaptchaViewModel": {"type": "x"}},
    }
    assert look_up(monkeypatch, status).kind == "blocked"


def test_what_nobody_foresaw_is_not_repeated(monkeypatch) -> None:
    fault = look_up(monkeypatch, {"status": "ERROR", "reason": f"{TITLE} is being remixed"})
    assert (fault.reason, fault.kind) == ("not understood", "final")


def test_every_sentence_of_yt_dlp_that_matters_is_still_there() -> None:
    """The table rests on these; an upgrade of yt-dlp that changes them shows here."""
    source = inspect.getsource(_video)
    for text in (
        "has been rate-limited by YouTube",
        "This content isn't available, try again later",
        "YouTube is requiring a captcha challenge",
        "The uploader has not made this video available in your country",
    ):
        assert text in source


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (yt_dlp.utils.GeoRestrictedError("x is not available from your location"), "region-locked"),
        (yt_dlp.utils.UnsupportedError("http://x/"), "not a video"),
        (yt_dlp.utils.UserNotLive(), "live"),
    ],
)
def test_errors_of_yt_dlp_are_understood(error, reason) -> None:
    assert fault_of_text(str(error)).reason == reason


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (403, "refused (403)", "blocked"),
        (404, "removed", "final"),
        (410, "removed", "final"),
        (429, "too many requests", "limited"),
        (451, "region-locked", "final"),
        (503, "unreachable", "again"),
        (418, "not a video", "final"),
    ],
)
def test_a_status_has_a_reason(status, reason, kind) -> None:
    fault = fault_of_status(status)
    assert (fault.reason, fault.kind, fault.retry_after_s) == (reason, kind, None)


@pytest.mark.parametrize(
    ("header", "seconds"), [("17", 17.0), ("Wed, 21 Oct 2026", None), ("-4", None), ("", None)]
)
def test_a_server_may_say_how_long_to_wait(header, seconds) -> None:
    assert fault_of_status(429, header).retry_after_s == seconds


def test_a_fault_travels_between_processes() -> None:
    fault = pickle.loads(pickle.dumps(FetchError("live", "final", 3.0)))
    assert (fault.reason, fault.kind, fault.retry_after_s) == ("live", "final", 3.0)
    assert re.fullmatch("live", str(fault))
