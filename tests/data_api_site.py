"""YouTube's Data API v3, on this machine: `videos.list` with its documented replies and errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "AIzaSecretKeyOfNobody"


@dataclass
class DataApiSite:
    """What it knows, and what it was asked."""

    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    quota: int = 10_000
    units: int = 0
    calls: list[list[str]] = field(default_factory=list)
    replies: list[tuple[int, bytes]] = field(default_factory=list)
    """Given first, one a call, instead of an answer."""
    paths: list[str] = field(default_factory=list)
    url: str = ""


def video(
    duration: str = "PT4M13S",
    category: str = "10",
    live: str = "none",
    kids: bool = False,
    embeddable: bool = True,
    adult: bool = False,
    upload: str = "processed",
) -> dict[str, Any]:
    """The parts of a video resource that are asked for."""
    return {
        "kind": "youtube#video",
        "status": {
            "uploadStatus": upload,
            "privacyStatus": "public",
            "embeddable": embeddable,
            "madeForKids": kids,
        },
        "contentDetails": {
            "duration": duration,
            "contentRating": {"ytRating": "ytAgeRestricted"} if adult else {},
        },
        "snippet": {
            "title": "Secret title",
            "channelTitle": "Secret channel",
            "categoryId": category,
            "liveBroadcastContent": live,
        },
    }


def error(code: int, reason: str) -> tuple[int, bytes]:
    """An error reply, in its documented form."""
    entry = {"message": "why", "domain": "youtube.quota", "reason": reason}
    told = {"error": {"code": code, "message": "why", "errors": [entry]}}
    return code, json.dumps(told).encode()


@contextmanager
def open_data_api() -> Iterator[DataApiSite]:
    """Serve it until it is no longer wanted."""
    site = DataApiSite()

    class Handler(_Handler):
        api = site

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}/youtube/v3"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    api: DataApiSite

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        ids = query.get("id", [""])[0].split(",")
        self.api.paths.append(self.path)
        self.api.calls.append(ids)
        if self.headers.get("X-Goog-Api-Key") != KEY:
            self._reply(*error(400, "badRequest"))
        elif self.api.replies:
            self._reply(*self.api.replies.pop(0))
        elif self.api.units >= self.api.quota:
            self._reply(*error(403, "quotaExceeded"))
        elif parts.path != "/youtube/v3/videos" or len(ids) > 50:
            self._reply(*error(400, "invalidParameter"))
        else:
            self.api.units += 1
            items = [
                {**self.api.videos[each], "id": each} for each in ids if each in self.api.videos
            ]
            answer = {"kind": "youtube#videoListResponse", "items": items}
            self._reply(200, json.dumps(answer).encode())

    def _reply(self, code: int, body: bytes) -> None:
        self.send_response(code)
        if code == 302:
            self.send_header("Location", f"{self.api.url}/elsewhere")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
