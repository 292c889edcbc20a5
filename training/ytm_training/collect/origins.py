"""Where the videos come from: a folder, a list of addresses, or a watch history."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ytm_bundle.errors import UsageError
from ytm_device.console import say
from ytm_training.collect.choice import (
    Candidate,
    Choice,
    Draw,
    askable,
    choose,
    store_choice,
    stored_choice,
)
from ytm_training.collect.files import find_files
from ytm_training.collect.flags import Flags, data_api
from ytm_training.collect.histories import watched
from ytm_training.collect.report import printable
from ytm_training.collect.sidecar import find_sidecar, parse_condition
from ytm_training.collect.store import sections_folder
from ytm_training.collect.work import FileWork, LinkWork, Work
from ytm_training.fetch.addresses import is_youtube, read_links
from ytm_training.fetch.data_api import Answer, DataApi
from ytm_training.fetch.wish import Wish

Candidates = Callable[[], Sequence[Candidate]]
"""Read only if they are needed: a choice that stands needs none."""

_BAD_SHOWN = 10


@dataclass(frozen=True)
class Origin:
    """Videos to collect."""

    works: Sequence[Work]
    left_out: int
    """Videos that conditions leave out."""
    warnings: Sequence[str] = ()
    """What may get in the way."""


def origin_of(flags: Flags) -> Origin:
    """The videos that the flags name.

    Raises:
        UsageError: they name none, or wrongly.
        DatasetError: another choice stands in the dataset's folder.
    """
    if flags.videos is not None:
        return _folder(flags, flags.videos)
    if flags.takeout is not None:
        return _links(flags, partial(watched, flags.takeout))
    assert flags.urls is not None
    return _links(flags, partial(_listed, flags.urls))


def _folder(flags: Flags, videos: Path) -> Origin:
    sidecar = find_sidecar(videos, flags.categories)
    conditions = [parse_condition(text) for text in flags.only or ()]
    sidecar.check(conditions)
    beside = frozenset(path for path in (flags.dataset, sidecar.path) if path is not None)
    found = find_files(videos, beside)
    files = [file for file in found if sidecar.matches(file.source, conditions)]
    if sidecar.path is not None:
        say(f"table: {printable(str(sidecar.path))}")
    if flags.draws():
        candidates = [Candidate(file.source) for file in files]
        drawn = set(_chosen(flags, lambda: candidates).sources)
        files = [file for file in files if file.source in drawn]
    works = [FileWork(file, sidecar.facts(file.source)) for file in files]
    return Origin(works, len(found) - len(files))


def _links(flags: Flags, candidates: Candidates) -> Origin:
    access, draw = flags.access(), flags.draw()
    if access.cookies is not None and not access.cookies.is_file():
        raise UsageError(f"--cookies {access.cookies}: not a file")
    choice = _chosen(flags, candidates) if flags.draws() else _drawn(draw, candidates())
    sections = sections_folder(flags.dataset)
    works = [
        LinkWork(Wish(source, access, draw.limits, flags.keep_titles), sections)
        for source in choice.sources
    ]
    return Origin(works, sum(choice.left_out.values()), _warnings(flags, choice))


def _drawn(draw: Draw, candidates: Sequence[Candidate]) -> Choice:
    return choose(candidates, draw, _looked_up(candidates, data_api()))


def _warnings(flags: Flags, choice: Choice) -> list[str]:
    # Here, since yt-dlp takes a second to import and only this needs it.
    from ytm_training.fetch.preflight import warnings

    youtube = any(map(is_youtube, choice.sources))
    seconds = len(choice.sources) * flags.per_video
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return list(warnings(flags.dataset, seconds, youtube=youtube, today=today))


def _listed(urls: Path) -> list[Candidate]:
    """The videos of a list of addresses; lines that name none are told.

    Raises:
        UsageError: the list cannot be read or names no video.
    """
    links = read_links(urls)
    for line in links.bad[:_BAD_SHOWN]:
        say(f"{printable(str(urls))}, line {line.number}: {line.why}; passed over")
    if len(links.bad) > _BAD_SHOWN:
        say(f"{printable(str(urls))}: {len(links.bad) - _BAD_SHOWN} more such lines")
    if links.repeated:
        say(f"{printable(str(urls))}: {links.repeated} lines name a video once more")
    return [Candidate(source) for source in links.sources]


def _chosen(flags: Flags, candidates: Candidates) -> Choice:
    """The choice that stands, else one that is drawn and written down.

    Raises:
        DatasetError: another one stands.
        UsageError: there is nothing to choose from.
    """
    draw = flags.draw()
    choice = stored_choice(flags.dataset, draw)
    if choice is None:
        choice = _drawn(draw, candidates())
        store_choice(flags.dataset, draw, choice)
    counts = "".join(f", {count} {reason}" for reason, count in sorted(choice.left_out.items()))
    say(f"chosen: {len(choice.sources)} videos{counts}")
    return choice


def _looked_up(candidates: Sequence[Candidate], api: DataApi | None) -> Answer | None:
    """What the Data API says of candidates; nothing without a key."""
    ids = askable(candidates)
    if api is None or not ids:
        return None
    answer = api.look_up(ids)
    facts = answer.known.values()
    say(
        f"Data API: {answer.units} units; {len(answer.known)} of {len(ids)} videos are there,"
        f" {len(answer.gone)} removed or private; {sum(f.made_for_kids for f in facts)} made for"
        f" children, {sum(not f.embeddable for f in facts)} not to be embedded"
    )
    if answer.stopped is not None:
        say(f"Data API: {answer.stopped}; the others are found out about while fetching")
    return answer
