"""The stages of one video, from wherever it is to encoded rows.

A work may be done in any process or on any machine that has this project, and again without harm:
what comes out depends on the video and the settings alone.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from ytm_training.collect.events import Event, StageDone
from ytm_training.collect.extract import Extracted, extract, extract_section, first_starts_s
from ytm_training.collect.files import Found
from ytm_training.collect.sidecar import Facts
from ytm_training.dataset import Outcome, Settings, encode_shard
from ytm_training.fetch.addresses import address_of
from ytm_training.fetch.faults import FetchError
from ytm_training.fetch.section import Section, section_folder
from ytm_training.fetch.wish import Wish


@dataclass(frozen=True)
class Done:
    """What came of the work on one video."""

    outcome: Outcome
    part: bytes
    """A shard of this video alone."""
    events: list[Event] = field(default_factory=list)
    fault: FetchError | None = None
    """Why it could not be fetched; what is not `final` may be tried again."""


class Work(Protocol):
    """A video to be worked on; it can be pickled."""

    @property
    def source(self) -> str:
        """What the video is called in the dataset; no two works share it."""

    @property
    def stamp(self) -> tuple[int, int]:
        """Size and time of change, by which a file that was skipped is looked at again."""

    @property
    def asks(self) -> bool:
        """Whether somebody else's server is asked."""

    def perform(self, settings: Settings) -> Done:
        """Do all stages."""


@dataclass(frozen=True)
class FileWork:
    """A file that is here."""

    found: Found
    facts: Facts
    asks: bool = False

    @property
    def source(self) -> str:
        """Its path inside the folder of videos."""
        return self.found.source

    @property
    def stamp(self) -> tuple[int, int]:
        """Size and time of change."""
        return self.found.size_bytes, self.found.modified_ns

    def perform(self, settings: Settings) -> Done:
        """Cut, find the onsets, encode."""
        found = self.found
        outcome = Outcome(
            found.source, 0, found.reason, found.note, found.size_bytes, found.modified_ns
        )
        if found.reason is not None:
            return Done(outcome, encode_shard(settings, [], [outcome]))
        return _encoded(extract(found.path, found.source, self.facts, settings), outcome, settings)


@dataclass(frozen=True)
class LinkWork:
    """A video that is elsewhere."""

    wish: Wish
    sections: Path
    """The folder in which fetched seconds wait until their rows are safe."""
    asks: bool = True

    @property
    def source(self) -> str:
        """Its YouTube id, else its address."""
        return self.wish.source

    @property
    def stamp(self) -> tuple[int, int]:
        """Nothing: an address does not tell."""
        return 0, 0

    def perform(self, settings: Settings) -> Done:
        """Fetch, cut, find the onsets, encode."""
        # Here, since yt-dlp takes a second to import and only this needs it.
        from ytm_training.fetch.fetching import fetch

        outcome, began_s = Outcome(self.source, 0, None), time.monotonic()
        with _reachable(self.sections) as sections:
            try:
                section = fetch(
                    self.wish,
                    lambda extent: first_starts_s(extent, self.source, settings),
                    section_folder(sections, self.source, settings.seed, settings.per_video),
                )
            except FetchError as fault:
                outcome = replace(outcome, reason=fault.reason)
                return Done(outcome, encode_shard(settings, [], [outcome]), fault=fault)
            spent_s = time.monotonic() - began_s
            extracted = extract_section(section, self.source, self._facts(section), settings)
        # Where it lay for a moment is of no interest.
        note = extracted.note.replace(str(section.path), self.source)
        done = _encoded(replace(extracted, note=note), outcome, settings)
        fetched = StageDone(self.source, "fetch", spent_s, section.bytes_read)
        return replace(done, events=[fetched, *done.events])

    def _facts(self, section: Section) -> Facts:
        # A bundle names its sources by these, and must not list what somebody watched.
        site = urlsplit(address_of(self.source)).hostname
        title = section.title or f"videos of {site}"
        return Facts(section.category, title, section.licence, site)


def _encoded(extracted: Extracted, outcome: Outcome, settings: Settings) -> Done:
    outcome = replace(
        outcome, kept=len(extracted.segments), reason=extracted.reason, note=extracted.note
    )
    began_s = time.monotonic()
    part = encode_shard(settings, extracted.segments, [outcome])
    spent_s = {**extracted.spent_s, "encode": time.monotonic() - began_s}
    events: list[Event] = [
        StageDone(outcome.file, stage, seconds)
        for stage in ("cut", "onset", "encode")
        if (seconds := spent_s.get(stage, 0.0))
    ]
    return Done(outcome, part, events)


@contextmanager
def _reachable(sections: Path) -> Iterator[Path]:
    """The folder itself; on a machine that does not have it, one that goes again."""
    if sections.is_dir():
        yield sections
        return
    own = Path(tempfile.mkdtemp(prefix="ytm-sections-"))
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def perform(work: Work, settings: Settings) -> Done:
    """Do a work: a function of this module, so that executors can send it."""
    return work.perform(settings)
