"""Entries of a history in HTML, read by its cells: classes and links, no words.

outer-cell
├── header-cell                   YouTube, or YouTube Music
├── content-cell                  Watched <a>title</a><br><a>channel</a><br>date
├── content-cell ... text-right   empty
└── content-cell ... caption      <b>Products:</b> ... <b>Details:</b> ... <b>Why?</b> ...
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice, pairwise
from typing import Literal, NamedTuple

from ytm_training.takeout.dates import read_date
from ytm_training.takeout.entry import Entry, shortened
from ytm_training.takeout.links import MAX_CHARACTERS, parse_link
from ytm_training.takeout.text import Readable, texts

MAX_CELL = 1 << 16
"""Characters of the largest cell that is read."""
_MAX_DETAIL = 40
_TAIL = 64
_DIV = re.compile(r"<div\b([^<>]*)>", re.IGNORECASE)
_DIV_END = re.compile(r"</div", re.IGNORECASE)
_PAGE_END = re.compile(r"</(?:body|html)", re.IGNORECASE)
# The name ends before what follows, so that a tag without end is given up in one go.
_TOKEN = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)(?![a-zA-Z0-9])([^<>]*)>|([^<]+)|<[^<>]*>")
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_Role = Literal["entry", "header", "body", "caption"]
_TOO_LARGE, _CUT_OFF = "\0too large", "\0cut off"
"""In the place of what a cell holds."""


class _Line(NamedTuple):
    """A line of a cell: the text of its first link, or all of it where there is none."""

    text: str
    bold: bool
    """Whether some of it is."""
    url: str | None


class HtmlEntries:
    """The entries of a file; one that is cut off is a malformed entry."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._end = ""
        self.complete = False
        """Whether the end of the page was there; known once all entries have been read."""

    def __iter__(self) -> Iterator[Entry]:
        cells: dict[_Role, str] = {}
        for role, content in _cells(self._pieces()):
            if "body" in cells and role in ("entry", "body"):
                yield _entry(cells)
            cells = {} if role == "entry" or role in cells else cells
            cells[role] = content
        if "body" in cells:
            yield _entry(cells)
        self.complete = _PAGE_END.search(self._end) is not None

    def _pieces(self) -> Iterator[str]:
        for piece in texts(self._file):
            self._end = (self._end + piece)[-_TAIL:]
            yield piece.replace("\0", "") if "\0" in piece else piece


def _cells(pieces: Iterable[str]) -> Iterator[tuple[_Role, str]]:
    """What each cell holds, and the beginnings of entries; at most a piece and a cell in memory."""
    text = ""
    for piece, is_last in chain(((piece, False) for piece in pieces), [("", True)]):
        text, at = text + piece, 0
        while start := _DIV.search(text, at):
            role, at = _role(start[1]), start.end()
            if role == "entry":
                yield role, ""
            if role is None or role == "entry":
                continue
            end = _DIV_END.search(text, at)
            length = (end.start() if end else len(text)) - at
            if end is None and length <= MAX_CELL and not is_last:
                at = start.start()
                break
            yield role, _held(text, at, length, cut_off=end is None)
            at += length
        else:
            # A tag may have begun.
            last = text.rfind("<", at)
            at = last if last >= 0 and len(text) - last <= MAX_CELL else len(text)
        text = text[at:]


def _held(text: str, at: int, length: int, *, cut_off: bool) -> str:
    if length > MAX_CELL:
        return _TOO_LARGE
    return _CUT_OFF if cut_off else text[at : at + length]


@lru_cache(maxsize=256)
def _role(attributes: str) -> _Role | None:
    if "outer-cell" in attributes:
        return "entry"
    if "header-cell" in attributes:
        return "header"
    if "content-cell" not in attributes or "text-right" in attributes:
        return None
    return "caption" if "caption" in attributes else "body"


def _address(attributes: str) -> str:
    found = _HREF.search(attributes[: 2 * MAX_CHARACTERS])
    return next(filter(None, found.groups()), "")[: MAX_CHARACTERS + 1] if found else ""


def _lines(content: str) -> list[_Line]:
    """The lines of a cell that hold something, with their character references resolved."""
    lines: list[_Line] = []
    text, link_text, url, bold, linked = "", "", None, False, False
    for closing, tag, attributes, between in _TOKEN.findall(f"{content}<br>"):
        if between:
            text += between
            link_text += between if linked else ""
        elif tag in ("a", "A"):
            linked = not closing and url is None
            url = _address(attributes) if linked else url
        elif tag in ("b", "B"):
            bold = True
        elif tag in ("br", "BR"):
            if url or text.strip():
                lines.append(_line(text, bold, url, link_text))
            text, link_text, url, bold, linked = "", "", None, False, False
    return lines


def _line(text: str, bold: bool, url: str | None, link_text: str) -> _Line:
    told = link_text if url else text
    return _Line((html.unescape(told) if "&" in told else told).strip(), bold, url or None)


def _entry(cells: dict[_Role, str]) -> Entry:
    if _TOO_LARGE in cells.values():
        return Entry(unreadable="too large")
    lines = [] if _CUT_OFF in cells.values() else _lines(cells["body"])
    if not lines:
        return Entry(unreadable="malformed")
    first = lines[0]
    return Entry(
        url=first.url,
        title=shortened(first.text),
        channel=_channel(lines[1:]),
        watched=_date(lines[1:]),
        ad=_has_details(cells.get("caption", "")),
        music=_names_music(cells.get("header", "")),
    )


def _channel(lines: list[_Line]) -> str | None:
    for line in lines:
        if line.url and parse_link(line.url).kind == "channel":
            return shortened(line.text)
    return None


def _date(lines: list[_Line]) -> datetime | None:
    """The last date among lines without links."""
    dates = (read_date(line.text) for line in reversed(lines) if not line.url)
    return next((date for date in dates if date is not None), None)


@lru_cache(maxsize=256)
def _has_details(caption: str) -> bool:
    """Whether a caption holds more than products, places and why it is there.

    The first heading is that of the products; places and the reason have links. What is left is
    short and says that it came from Google Ads.
    """
    lines = _lines(caption)
    headings = [number for number, line in enumerate(lines) if line.bold]
    for start, end in islice(pairwise([*headings, len(lines)]), 1, None):
        section = lines[start + 1 : end]
        if section and all(not line.url and len(line.text) <= _MAX_DETAIL for line in section):
            return True
    return False


@lru_cache(maxsize=256)
def _names_music(header: str) -> bool:
    """Whether a header is that of YouTube Music, a name that no language translates."""
    return any("music" in line.text.casefold() for line in _lines(header))
