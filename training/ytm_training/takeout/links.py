"""What a link of a history leads to."""

from __future__ import annotations

import html
import re
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

Kind = Literal[
    "video", "short", "live", "post", "playlist", "channel", "search", "story", "page", "elsewhere"
]
MAX_CHARACTERS = 4096
_MAX_NESTING = 3
_ID = re.compile(r"([A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])")
_USUAL = re.compile(
    r"https?://(?:www|(music))\.youtube\.com/"
    r"(?:watch\?v=([A-Za-z0-9_-]{11})|(channel)/[A-Za-z0-9_-]{24})",
    re.ASCII,
)
_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com", "youtubekids.com")
_VIDEO_PATHS: dict[str, Kind] = {
    **dict.fromkeys(("embed", "v", "e", "vi"), "video"),
    "shorts": "short",
    "live": "live",
}
_OTHER_PATHS: dict[str, Kind] = {
    **dict.fromkeys(("playlist", "browse"), "playlist"),
    **dict.fromkeys(("channel", "c", "user"), "channel"),
    **dict.fromkeys(("results", "search"), "search"),
    **dict.fromkeys(("story", "stories", "reel"), "story"),
    "post": "post",
}
_NESTED = ("u", "url", "q", "continue", "next")
"""Arguments in which links that redirect carry the link they lead to."""


class Link(NamedTuple):
    """Where a link leads."""

    kind: Kind
    id: str | None
    """Of the video, 11 characters; None unless `kind` is video, short or live, or if it is bad."""
    music: bool


_ELSEWHERE = Link("elsewhere", None, music=False)


def parse_link(url: str) -> Link:
    """Tell what `url`, escaped or not, leads to; "elsewhere" if it is no link to YouTube."""
    usual = _USUAL.fullmatch(url)
    if usual is not None:
        music = usual[1] is not None
        return Link("channel", None, music) if usual[3] else Link("video", usual[2], music)
    return _ELSEWHERE if len(url) > MAX_CHARACTERS else _parse(url, _MAX_NESTING)


def same_link(text: str, url: str) -> bool:
    """Whether `text` is nothing but `url`."""
    return _bare(text) == _bare(url)


def _bare(url: str) -> str:
    return re.sub(r"^https?://", "", html.unescape(url.replace("\\u003d", "=")).strip())


def _parse(url: str, nesting: int) -> Link:
    url = html.unescape(url.strip()).replace("\\u003d", "=").replace("\\u0026", "&")
    if not re.match(r"(?i)https?://", url):
        url = f"https://{url.lstrip('/')}"
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".")
    except ValueError:
        return _ELSEWHERE
    arguments = dict(reversed(parse_qsl(parts.query or parts.fragment.lstrip("?"))))
    if not any(host == known or host.endswith(f".{known}") for known in _HOSTS):
        return _redirected(host, arguments, nesting)
    music = host.startswith("music.")
    first, _, rest = unquote(parts.path).strip("/").partition("/")
    if host.endswith("youtu.be") and first:
        return Link("video", _id(first), music)
    if first == "watch" or (not first and "v" in arguments):
        return Link("video", _id(arguments.get("v", rest)), music)
    if first in _VIDEO_PATHS:
        return Link(_VIDEO_PATHS[first], _id(rest), music)
    if first in ("attribution_link", "redirect", "m", "signin", "oops"):
        return _inner(arguments, nesting) or Link("page", None, music)
    return Link(_other(first, rest), None, music)


def _other(first: str, rest: str) -> Kind:
    if rest.rpartition("/")[2] in ("community", "posts"):
        return "post"
    return "channel" if first.startswith("@") else _OTHER_PATHS.get(first, "page")


def _redirected(host: str, arguments: dict[str, str], nesting: int) -> Link:
    google = re.fullmatch(r"(?:[\w-]+\.)*google(?:\.[a-z]{2,3}){1,2}", host)
    return (_inner(arguments, nesting) if google else None) or _ELSEWHERE


def _inner(arguments: dict[str, str], nesting: int) -> Link | None:
    """The link that a redirecting link carries; None if it carries none to YouTube."""
    for name in _NESTED if nesting else ():
        inner = arguments.get(name, "")
        if inner.startswith("/"):
            inner = f"https://www.youtube.com{inner}"
        if inner.startswith(("http:", "https:")):
            found = _parse(inner, nesting - 1)
            if found.kind != "elsewhere":
                return found
    return None


def _id(text: str) -> str | None:
    found = _ID.match(text)
    return found[1] if found else None
