"""The stage that fetches: of a video elsewhere, a folder with the seconds wanted.

It is done once for good: a folder that stands is whole, and is given back without asking anybody.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ytm_bundle.files import replacing_folder
from ytm_training.fetch.addresses import address_of
from ytm_training.fetch.connection import Listing, Site, open_site
from ytm_training.fetch.faults import FetchError
from ytm_training.fetch.ranged import Allowance, ranged, save_whole
from ytm_training.fetch.remote import ORIGIN_S, Remote, Window, open_remote
from ytm_training.fetch.section import REACH_S, SETTLE_S, Section
from ytm_training.fetch.wish import Limits, Wish
from ytm_training.media import Extent

VIDEO_DEADLINE_S = 600.0

_VIDEO, _WHOLE, _NOTE = "section.mkv", "whole", "section.json"

Starts = Callable[[Extent], list[float]]
"""Where the seconds to take begin, in seconds, ascending, given what there is."""


def fetch(wish: Wish, starts: Starts, folder: Path) -> Section:
    """Fetch the seconds of a video that `starts` names into `folder`, unless it is there.

    Raises:
        FetchError: they cannot be had.
        UsageError: the cookies cannot be used.
        OSError: they cannot be written.
    """
    if not folder.is_dir():
        with replacing_folder(folder) as temporary:
            note = _fetched(wish, starts, temporary)
            (temporary / _NOTE).write_text(json.dumps(note), encoding="utf-8")
    return _section(folder)


def _section(folder: Path) -> Section:
    note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
    extent = Extent(**note.pop("extent")) if note["extent"] else note.pop("extent")
    whole = folder / _WHOLE
    if whole.exists():
        return Section(whole, None, None, **note)
    return Section(folder / _VIDEO, ORIGIN_S, extent, **note)


def _fetched(wish: Wish, starts: Starts, folder: Path) -> dict[str, Any]:
    """Write the video's seconds into `folder`; what is to be noted of them."""
    allowance = Allowance(time.monotonic() + VIDEO_DEADLINE_S)
    with open_site(wish.access) as site:
        listing = site.look_up(address_of(wish.source))
        wish.limits.refuse(listing.duration_s, listing.category)
        time.sleep(listing.ready_s)
        extent = _read(site, listing, wish.limits, starts, folder, allowance)
    return {
        "extent": None if extent is None else asdict(extent),
        "category": listing.category,
        "title": listing.title if wish.keep_title else None,
        "licence": listing.licence,
        "bytes_read": allowance.bytes_read,
    }


def _read(
    site: Site,
    listing: Listing,
    limits: Limits,
    starts: Starts,
    folder: Path,
    allowance: Allowance,
) -> Extent | None:
    """Write windows of the video, else all of it; what it has, unless all of it was written."""
    files = [ranged(site, stream, allowance) for stream in listing.streams]
    if not any(file.whole for file in files):
        with open_remote(files) as remote:
            remote.check()
            if remote.in_pieces():
                return _windows_of(remote, limits, starts, folder / _VIDEO)
    if len(listing.streams) > 1:
        raise FetchError("nothing to download", "final")
    save_whole(site, listing.streams[0], allowance, folder / _WHOLE)
    return None


def _windows_of(remote: Remote, limits: Limits, starts: Starts, path: Path) -> Extent:
    extent = remote.extent()
    limits.refuse(extent.length_s, None)
    wanted = starts(extent)
    if not wanted:
        raise FetchError("too short", "final")
    remote.copy(windows(wanted), path)
    return extent


def windows(starts: Sequence[float]) -> list[Window]:
    """What to fetch for seconds that begin at `starts`: each with its margins, none twice."""
    joined: list[Window] = []
    for start in starts:
        begin, end = max(0.0, start - REACH_S - SETTLE_S), start + 1.0 + REACH_S + SETTLE_S
        if joined and begin <= joined[-1][1]:
            begin = joined.pop()[0]
        joined.append((begin, end))
    return joined
