"""A site with videos, on this machine: it plays YouTube's part, faults included, and counts."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

Fault = Literal[
    "none",
    "missing",  # 404
    "gone",  # 410
    "forbidden",  # 403 on the file
    "limited once",  # 429 the first time
    "limited",  # 429 always
    "stalls",  # a file that stops in the middle, and never ends
    "resets",  # a connection that breaks off, always
    "resets once",
    "fails once",  # 503 the first time
    "truncated",  # a file of which the end is missing
    "text",  # a page without a video
    "noise",  # something that is called a video and is noise
]
TITLE = "Secret title of {}"
_STALL_S = 600.0


@dataclass
class Film:
    """A video of the site."""

    path: Path
    fault: Fault = "none"
    seconds: float | None = None
    """Length that its page states."""
    ranges: bool = True
    """Whether it is given in pieces."""


@dataclass
class Site:
    """What is shown, and what was asked for."""

    films: dict[str, Film] = field(default_factory=dict)
    pages: Counter[str] = field(default_factory=Counter)
    """Times that each film's page was asked for."""
    pieces: Counter[str] = field(default_factory=Counter)
    """Times that each film's file was asked for."""
    heads: Counter[str] = field(default_factory=Counter)
    """Times that only the head of an answer was asked for."""
    sent_bytes: Counter[str] = field(default_factory=Counter)
    headers: list[dict[str, str]] = field(default_factory=list)
    retry_after: str | None = "0"
    lock: threading.Lock = field(default_factory=threading.Lock)
    root: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def address(self, name: str) -> str:
        """Where the page of a film is."""
        return f"{self.root}/watch/{name}"

    def direct(self, name: str) -> str:
        """Where the file of a film is."""
        return f"{self.root}/media/{name}{self.films[name].path.suffix}"


@contextmanager
def open_site() -> Iterator[Site]:
    """Serve a site until it is no longer wanted."""
    site = Site()

    class Handler(_Handler):
        shown = site

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.root = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    shown: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        pass

    def handle(self) -> None:
        # Whoever asks may be killed at any moment.
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        part, _, name = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        stem = name.partition(".")[0] if part == "media" else name
        film = self.shown.films.get(stem)
        with self.shown.lock:
            self.shown.headers.append(dict(self.headers))
            asked = self.shown.pages if part == "watch" else self.shown.pieces
            asked = self.shown.heads if self.command == "HEAD" else asked
            asked[stem] += 1
            first = asked[stem] == 1
        if film is None or part not in ("watch", "media"):
            self._answer(404, b"")
        elif part == "watch":
            self._page(stem, film, first)
        else:
            self._file(stem, film, first)

    def _page(self, name: str, film: Film, first: bool) -> None:
        if film.fault in ("missing", "gone"):
            self._answer(404 if film.fault == "missing" else 410, b"")
        elif film.fault == "limited" or (film.fault == "limited once" and first):
            retry = {"Retry-After": self.shown.retry_after} if self.shown.retry_after else {}
            self._answer(429, b"", retry)
        elif film.fault == "fails once" and first:
            self._answer(503, b"")
        else:
            self._answer(200, self._html(name, film), {"Content-Type": "text/html"})

    def _html(self, name: str, film: Film) -> bytes:
        video = {
            "@context": "https://schema.org",
            "@type": "VideoObject",
            "name": TITLE.format(name),
            "uploadDate": "2020-01-01",
            "contentUrl": self.shown.direct(name),
        }
        if film.seconds is not None:
            video["duration"] = f"PT{film.seconds:.0f}S"
        text = "" if film.fault == "text" else json.dumps(video)
        script = f'<script type="application/ld+json">{text}</script>' if text else ""
        title = TITLE.format(name)
        return f"<html><head><title>{title}</title>{script}</head><body>.</body></html>".encode()

    def _file(self, name: str, film: Film, first: bool) -> None:
        if film.fault == "forbidden":
            self._answer(403, b"")
            return
        if film.fault == "resets" or (film.fault == "resets once" and first):
            self._reset()
            return
        data = b"\0no video" * 1000 if film.fault == "noise" else film.path.read_bytes()
        if film.fault == "truncated":
            data = data[: len(data) * 2 // 5]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        kind = {"Content-Type": "video/webm" if film.path.suffix == ".webm" else "video/mp4"}
        if wanted is None or not film.ranges:
            self._send(name, film, 200, data, kind)
            return
        begin, end = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
        if begin > end:
            self._answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        told = {"Content-Range": f"bytes {begin}-{end}/{len(data)}", "Accept-Ranges": "bytes"}
        self._send(name, film, 206, data[begin : end + 1], kind | told)

    def _send(self, name: str, film: Film, status: int, data: bytes, told: dict[str, str]) -> None:
        if film.fault != "stalls":
            self._answer(status, data, told)
        else:
            self._answer(status, data, told, sent=len(data) // 2)
            self.shown.closing.wait(_STALL_S)
        if self.command != "HEAD":
            with self.shown.lock:
                self.shown.sent_bytes[name] += len(data)

    def _answer(
        self, status: int, data: bytes, told: dict[str, str] | None = None, sent: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (told or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data if sent is None else data[:sent])
            self.wfile.flush()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionResetError
