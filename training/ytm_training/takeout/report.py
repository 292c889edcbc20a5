"""What became of a history, for people and for programs. Names stay out unless asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from ytm_training.takeout.entry import Reason

TOP_CHANNELS = 10
MAX_IGNORED = 50
"""Files that are left out and named; the others are counted."""
Format = Literal["json", "html"]
VideoKind = Literal["video", "short", "live", "music"]
_WHY: dict[Reason, str] = {
    "ad": "advertisements",
    "removed": "removed or private: nothing tells which video it was",
    "post": "posts",
    "playlist": "playlists",
    "channel": "channels",
    "search": "searches",
    "story": "stories",
    "page": "other pages of YouTube",
    "elsewhere": "links to other sites",
    "no id": "links without the id of a video",
    "malformed": "damaged entries",
    "too large": "entries too large to be any",
    "duplicate": "told twice: also in another file, or in the same second",
    "beyond the limit": "beyond what is read of one history",
}


@dataclass(frozen=True)
class FileRead:
    """A file that was read as a history."""

    name: str
    """Its path in the export; that of an archive stands before it."""
    format: Format
    entries: int
    complete: bool
    """Whether its end was there."""
    damage: str | None
    """What was wrong with it where it ended early."""


@dataclass(frozen=True)
class FileIgnored:
    """A file that looked like a part of an export, and why it was not read."""

    name: str
    why: str


@dataclass(frozen=True)
class HistoryReport:
    """What was found and what became of it; `entries == kept + sum(dropped.values())`."""

    entries: int
    kept: int
    unique_videos: int
    dropped: Mapping[Reason, int]
    """Only reasons that occurred."""
    kinds: Mapping[VideoKind, int]
    """Of the unique videos, each counted once: music before short, live and video."""
    undated: int
    """Kept entries without a readable date."""
    first: datetime | None
    """Of the kept entries with a date, in UTC."""
    last: datetime | None
    channels: tuple[tuple[str, int], ...]
    """The most watched, with the number of kept entries, most first."""
    distinct_channels: int
    without_channel: int
    """Unique videos whose channel is not known."""
    files: tuple[FileRead, ...]
    ignored: tuple[FileIgnored, ...]
    """At most `MAX_IGNORED`."""
    ignored_count: int

    def to_json(self, channels: bool = False) -> dict[str, Any]:
        """Everything, ready for `json.dumps`; the names of channels only where asked for."""
        return {
            "entries": self.entries,
            "kept": self.kept,
            "unique_videos": self.unique_videos,
            "dropped": dict(self.dropped),
            "kinds": dict(self.kinds),
            "undated": self.undated,
            "first": _iso(self.first),
            "last": _iso(self.last),
            "channels": {
                "distinct": self.distinct_channels,
                "videos_without": self.without_channel,
                "top": [
                    {"name": name, "watched": times} if channels else {"watched": times}
                    for name, times in self.channels
                ],
            },
            "files": [
                {
                    "name": file.name,
                    "format": file.format,
                    "entries": file.entries,
                    "complete": file.complete,
                    "damage": file.damage,
                }
                for file in self.files
            ],
            "ignored": [{"name": file.name, "why": file.why} for file in self.ignored],
            "ignored_count": self.ignored_count,
        }


def report_table(report: HistoryReport, channels: bool = False) -> RenderableType:
    """The report for people, 80 columns wide at most; channels by name only where asked for."""
    parts: list[RenderableType] = [_summary(report)]
    if report.dropped:
        parts.append(_dropped(report))
    if channels and report.channels:
        parts.append(_channels(report))
    parts.append(_files(report))
    return Group(*parts)


def _summary(report: HistoryReport) -> Table:
    table = Table("history", "", show_header=False)
    table.add_row("entries", str(report.entries))
    table.add_row("kept", str(report.kept))
    table.add_row("different videos", str(report.unique_videos))
    table.add_row("of these", ", ".join(f"{count} {kind}" for kind, count in report.kinds.items()))
    table.add_row("channels", str(report.distinct_channels))
    table.add_row("from", _day(report.first))
    table.add_row("to", _day(report.last))
    table.add_row("without a date", str(report.undated))
    return table


def _dropped(report: HistoryReport) -> Table:
    table = Table("left out", "why")
    for reason, count in sorted(report.dropped.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(str(count), _WHY[reason])
    return table


def _channels(report: HistoryReport) -> Table:
    table = Table("watched", "channel")
    for name, times in report.channels:
        table.add_row(str(times), escape(name))
    return table


def _files(report: HistoryReport) -> Table:
    table = Table("file", "found")
    for file in report.files:
        found = f"{file.entries} entries as {file.format.upper()}"
        if not file.complete:
            found += f"; cut off ({file.damage})" if file.damage else "; cut off"
        table.add_row(escape(file.name), escape(found))
    for ignored in report.ignored:
        table.add_row(escape(ignored.name), escape(ignored.why))
    if report.ignored_count > len(report.ignored):
        table.add_row(f"{report.ignored_count - len(report.ignored)} more", "not read")
    return table


def _day(moment: datetime | None) -> str:
    return "-" if moment is None else moment.strftime("%Y-%m-%d")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
