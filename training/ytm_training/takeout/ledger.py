"""What is kept of the entries of all files: videos, how often each was watched, and what was not.

Several files may tell of the same views: the same history as JSON and as HTML, or two exports that
overlap. HTML gives local times, perhaps in a zone that is not known. So a time of the same video in
another file that differs by quarters of an hour, as the clocks of zones do, is the same view.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ytm_training.takeout.entry import Entry, Reason
from ytm_training.takeout.links import Kind, Link, parse_link, same_link
from ytm_training.takeout.titles import SAMPLE, Sentence, common_sentence, sentence_around

MAX_KEPT = 2_000_000
"""Views kept at most: a hundred a day for fifty years, in about a gigabyte."""
_QUARTER_S = 900
_MOST_QUARTERS = 15 * 4
"""Zones differ from UTC by 14 hours at most, and an hour in summer."""
_REASONS: dict[Kind, Reason] = {
    "post": "post",
    "playlist": "playlist",
    "channel": "channel",
    "search": "search",
    "story": "story",
    "page": "page",
    "elsewhere": "elsewhere",
}
"""Of links that lead to no video."""


@dataclass(slots=True)
class Video:
    """A video and its views. Times are seconds since 1970."""

    newest_s: int | None = None
    times: int = 0
    undated: int = 0
    """Views of these without a date."""
    title: str | None = None
    told_s: int = -1
    """When the view was that told the title, and in which file."""
    told_by: int = 0
    channel: str | None = None
    music: bool = False
    short: bool = False
    live: bool = False
    file: int = -1
    """The file of the latest entry, and how many views it has told of so far."""
    in_file: int = 0


class Ledger:
    """Counts entries, file by file; `entries == kept + sum(dropped)` at any time."""

    def __init__(self) -> None:
        self.entries = self.kept = 0
        self.dropped: Counter[Reason] = Counter()
        self.videos: dict[str, Video] = {}
        self.sentences: list[Sentence] = []
        """Around the titles of each file."""
        self.first_s: int | None = None
        """The oldest and the newest view."""
        self.last_s: int | None = None
        self._file = -1
        self._sightings: dict[tuple[str, int], int] = {}
        """What was seen when -> the files that told of it, a bit each."""
        self._titles: dict[str, str] = {}
        """One of each channel: those of a series begin alike."""

    def begin_file(self) -> None:
        """What is added from here on is of another file."""
        self._file += 1
        self._titles = {}
        self.sentences.append(Sentence())

    def end_file(self, *, titles_in_sentences: bool) -> None:
        """Learn the sentence around the titles of the file that ends, if it has one."""
        if titles_in_sentences and self.sentences[-1] == Sentence():
            self.sentences[-1] = common_sentence(list(self._titles.values()))

    def add(self, entry: Entry) -> None:
        """Count an entry of the file that was begun."""
        self.entries += 1
        link = parse_link(entry.url) if entry.url else None
        reason = self._why_not(entry, link)
        time_s = None if entry.watched is None else int(entry.watched.timestamp())
        if reason is None and link is not None and link.id is not None:
            reason = self._keep(entry, link, link.id, time_s)
        elif time_s is not None and self._was_told(f"{reason} {entry.url or entry.title}", time_s):
            reason = "duplicate"
        if reason is not None:
            self.dropped[reason] += 1

    def _why_not(self, entry: Entry, link: Link | None) -> Reason | None:
        if entry.unreadable is not None:
            return entry.unreadable
        if entry.ad:
            return "ad"
        if link is None:
            return "removed"
        if link.kind in _REASONS:
            return _REASONS[link.kind]
        if link.id is None:
            return "no id"
        return "removed" if entry.channel is None and self._is_own_link(entry) else None

    def _is_own_link(self, entry: Entry) -> bool:
        """Whether the title is but the link, as where YouTube knows no title any more."""
        if entry.url is None or entry.title is None or "/" not in entry.title:
            return False
        sentence = sentence_around(entry.title, entry.url)
        if sentence is not None and self.sentences[-1] == Sentence():
            self.sentences[-1] = sentence
        return sentence is not None or same_link(entry.title, entry.url)

    def _keep(self, entry: Entry, link: Link, video_id: str, time_s: int | None) -> Reason | None:
        if self.kept >= MAX_KEPT:
            return "beyond the limit"
        video = self.videos.setdefault(video_id, Video())
        if video.file != self._file:
            video.file, video.in_file = self._file, 0
            if entry.title and entry.channel and len(self._titles) < SAMPLE:
                self._titles.setdefault(entry.channel, entry.title)
        self._describe(video, entry, link, time_s)
        known = self._is_known(video, video_id, time_s)
        video.in_file += 1
        if known:
            return "duplicate"
        video.times += 1
        video.undated += time_s is None
        self.kept += 1
        if time_s is not None:
            self.first_s = min(time_s, self.first_s or time_s)
            self.last_s = max(time_s, self.last_s or time_s)
        return None

    def _describe(self, video: Video, entry: Entry, link: Link, time_s: int | None) -> None:
        if time_s is not None:
            video.newest_s = max(time_s, video.newest_s or time_s)
        told_s = -1 if time_s is None else time_s
        newer = video.title is None or told_s > video.told_s
        if newer and entry.title and not self._is_own_link(entry):
            video.title, video.told_s, video.told_by = entry.title, told_s, self._file
        if entry.channel:
            video.channel = sys.intern(entry.channel)
        video.music |= entry.music or link.music
        video.short |= link.kind == "short"
        video.live |= link.kind == "live"

    def _is_known(self, video: Video, video_id: str, time_s: int | None) -> bool:
        """Whether this view was counted before, from this file or another."""
        more_elsewhere = video.in_file < video.times
        if time_s is None:
            return more_elsewhere
        if self._was_told(video_id, time_s):
            return True
        if more_elsewhere and video.undated:
            video.undated -= 1
            return True
        return False

    def _was_told(self, what: str, time_s: int) -> bool:
        """Whether `what` was seen at that time, to the second or by another file's clock."""
        bit = 1 << self._file
        for other_s in self._same_on_other_clocks(time_s):
            files = self._sightings.get((what, other_s), 0)
            if files and (other_s == time_s or not files & bit):
                self._sightings[what, other_s] = files | bit
                return True
        if len(self._sightings) < 2 * MAX_KEPT:
            self._sightings[what, time_s] = bit
        return False

    def _same_on_other_clocks(self, time_s: int) -> Iterator[int]:
        yield time_s
        if self._file:
            for quarters in range(1, _MOST_QUARTERS + 1):
                yield time_s - quarters * _QUARTER_S
                yield time_s + quarters * _QUARTER_S
