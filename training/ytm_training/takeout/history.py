"""The watch history in an export of Google Takeout, whatever its language, format and packing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path

from ytm_bundle.errors import TakeoutError
from ytm_training.takeout.archives import is_archive
from ytm_training.takeout.entry import Entry
from ytm_training.takeout.htmlfile import HtmlEntries
from ytm_training.takeout.jsonfile import JsonEntries
from ytm_training.takeout.ledger import Ledger, Video
from ytm_training.takeout.links import Kind, parse_link
from ytm_training.takeout.report import (
    MAX_IGNORED,
    TOP_CHANNELS,
    FileIgnored,
    FileRead,
    Format,
    HistoryReport,
    VideoKind,
)
from ytm_training.takeout.sources import streams
from ytm_training.takeout.streams import Meter, Stream
from ytm_training.takeout.text import encoding_of

_HEAD_BYTES = 1 << 16
_STYLE_BYTES = 1 << 20
"""Before the first entry in HTML stands a long style sheet."""
_PROBED = 20_000
"""Entries among which a history has at least one view."""
_VIEWS: tuple[Kind, ...] = ("video", "short", "live", "post", "story")


@dataclass(frozen=True)
class WatchedVideo:
    """A video of a history."""

    id: str
    """11 characters."""
    watched: datetime | None
    """The newest time, in UTC to the second; None where no date could be read."""
    times: int
    """How many kept entries it has."""
    channel: str | None
    title: str | None
    music: bool
    """Watched in YouTube Music, at least once."""
    short: bool
    """Watched as a short, at least once."""


@dataclass(frozen=True)
class History:
    """A history without doubles."""

    videos: tuple[WatchedVideo, ...]
    """Newest first; those without a date last; of the same time by id."""
    report: HistoryReport


def read_history(path: Path, progress: Callable[[int], None] | None = None) -> History:
    """Read the watch history at `path`: a file, an archive, a part of one, or a folder of these.

    Args:
        path: An export as downloaded or unpacked.
        progress: Told the number of unpacked bytes read so far.

    Raises:
        TakeoutError: nothing there is a watch history, or it cannot be read safely.
    """
    ledger, ignored, files = Ledger(), _Ignored(), list[FileRead]()
    alone = path.is_file() and not is_archive(path)
    for stream in streams(path, Meter(progress), ignored.add):
        file = _read(stream, ledger, ignored.add, alone=alone)
        if file is not None:
            files.append(file)
    if ledger.entries == 0:
        raise TakeoutError(
            f"{path}: holds no watch history{ignored.told()}; in Google Takeout choose YouTube,"
            " and of its data the history"
        )
    videos = sorted(ledger.videos.items(), key=lambda item: (-(item[1].newest_s or 0), item[0]))
    return History(
        tuple(_watched(video_id, video, ledger) for video_id, video in videos),
        _report(ledger, files, ignored),
    )


class _Ignored:
    """What was left out."""

    def __init__(self) -> None:
        self.files: list[FileIgnored] = []
        self.count = 0

    def add(self, name: str, why: str) -> None:
        self.count += 1
        if self.count <= MAX_IGNORED:
            self.files.append(FileIgnored(name, why))

    def told(self) -> str:
        first = [f"{file.name}: {file.why}" for file in self.files[:3]]
        return f" ({'; '.join(first)})" if first else ""


def _read(
    stream: Stream, ledger: Ledger, ignore: Callable[[str, str], None], *, alone: bool
) -> FileRead | None:
    """Add a stream to the ledger if it is a watch history; `alone` if it was asked for by name."""
    format_ = _format(stream, alone=alone)
    if format_ is None:
        if stream.damage is not None:
            ignore(stream.name, f"damaged: {stream.damage}")
        elif alone:
            ignore(stream.name, "neither a list in JSON nor a page in HTML")
        return None
    source = JsonEntries(stream) if format_ == "json" else HtmlEntries(stream)
    rest = iter(source)
    first, what = _probe(rest)
    if what is not None and not (alone and first and what != "a search history"):
        ignore(stream.name, what)
        return None
    before = ledger.entries
    ledger.begin_file()
    for entry in chain(first, rest):
        ledger.add(entry)
    stream.drain()
    ledger.end_file(titles_in_sentences=format_ == "json")
    complete = source.complete and stream.damage is None
    return FileRead(stream.name, format_, ledger.entries - before, complete, stream.damage)


def _format(stream: Stream, *, alone: bool) -> Format | None:
    """What a stream is; None if it cannot be a history."""
    text = _text(stream.peek(_HEAD_BYTES))
    if text.startswith("["):
        named = any(f'"{key}"' in text for key in ("titleUrl", "title", "header"))
        return "json" if alone or named else None
    if text.startswith("<"):
        cells = "content-cell" in _text(stream.peek(_STYLE_BYTES))
        return "html" if alone or cells else None
    return None


def _text(head: bytes) -> str:
    encoding, mark = encoding_of(head)
    return head[mark:].decode(encoding, "replace").lstrip(" \t\r\n\0")


def _probe(entries: Iterator[Entry]) -> tuple[list[Entry], str | None]:
    """The first entries up to a view, and what the file is if it is no watch history."""
    first: list[Entry] = []
    kinds: Counter[Kind] = Counter()
    for entry in entries:
        first.append(entry)
        kind = parse_link(entry.url).kind if entry.url else None
        if kind in _VIEWS:
            return first, None
        if kind is not None:
            kinds[kind] += 1
        if len(first) == _PROBED:
            break
    if kinds and kinds.most_common(1)[0][0] == "search":
        return first, "a search history"
    return first, "no watch history" if first else "without entries"


def _watched(video_id: str, video: Video, ledger: Ledger) -> WatchedVideo:
    title = ledger.sentences[video.told_by].title(video.title) if video.title else None
    return WatchedVideo(
        id=video_id,
        watched=_moment(video.newest_s),
        times=video.times,
        channel=video.channel,
        title=title or None,
        music=video.music,
        short=video.short,
    )


def _report(ledger: Ledger, files: list[FileRead], ignored: _Ignored) -> HistoryReport:
    videos = ledger.videos.values()
    channels: Counter[str] = Counter()
    for video in videos:
        if video.channel is not None:
            channels[video.channel] += video.times
    top = sorted(channels.items(), key=lambda item: (-item[1], item[0]))[:TOP_CHANNELS]
    return HistoryReport(
        entries=ledger.entries,
        kept=ledger.kept,
        unique_videos=len(ledger.videos),
        dropped=dict(sorted(ledger.dropped.items())),
        kinds=dict(sorted(Counter(map(_kind, videos)).items())),
        undated=sum(video.undated for video in videos),
        first=_moment(ledger.first_s),
        last=_moment(ledger.last_s),
        channels=tuple(top),
        distinct_channels=len(channels),
        without_channel=sum(video.channel is None for video in videos),
        files=tuple(files),
        ignored=tuple(ignored.files),
        ignored_count=ignored.count,
    )


def _kind(video: Video) -> VideoKind:
    if video.music:
        return "music"
    if video.short:
        return "short"
    return "live" if video.live else "video"


def _moment(time_s: int | None) -> datetime | None:
    return None if time_s is None else datetime.fromtimestamp(time_s, timezone.utc)
