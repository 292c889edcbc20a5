"""Which of many watched videos a dataset is made of: drawn once, written down, kept for good."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ytm_bundle.errors import DatasetError, UsageError
from ytm_bundle.files import replacing
from ytm_training.fetch.addresses import is_youtube
from ytm_training.fetch.data_api import Answer
from ytm_training.fetch.faults import FetchError
from ytm_training.fetch.wish import Limits

CHOICE_NAME = "choice.json"
_VERSION = 1


@dataclass(frozen=True)
class Candidate:
    """A video that may be chosen."""

    source: str
    watched: tuple[datetime.datetime, ...] = ()
    """Each time it was watched, as far as is known."""
    channel: str | None = None


@dataclass(frozen=True)
class Draw:
    """How many to choose, and of which."""

    seed: int = 0
    share: float | None = None
    count: int | None = None
    since: datetime.date | None = None
    until: datetime.date | None = None
    """Both days count."""
    channels: tuple[str, ...] = ()
    """If any: only these, whatever their letters' size."""
    not_channels: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def stated(self) -> dict[str, Any]:
        """As it is written down; of channels only how many are named."""
        return {
            **asdict(self),
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "channels": len(self.channels),
            "not_channels": len(self.not_channels),
            "limits": {**asdict(self.limits), "categories": list(self.limits.categories)},
        }

    def wants(self, candidate: Candidate) -> bool:
        """Whether a video fulfils what can be told without asking for it."""
        channel = (candidate.channel or "").casefold()
        if self.channels and channel not in {each.casefold() for each in self.channels}:
            return False
        if channel in {each.casefold() for each in self.not_channels}:
            return False
        if self.since is None and self.until is None:
            return True
        days = [when.date() for when in candidate.watched]
        return any(
            (self.since is None or day >= self.since) and (self.until is None or day <= self.until)
            for day in days
        )


@dataclass(frozen=True)
class Choice:
    """The videos chosen."""

    sources: tuple[str, ...]
    left_out: Mapping[str, int]
    """Videos that were not to choose from, by reason."""


def choose(candidates: Sequence[Candidate], draw: Draw, answer: Answer | None) -> Choice:
    """Choose at random among the candidates that the draw wants and that are there.

    Each video has its place in an order that the seed and its name alone decide, so a choice of
    fewer is part of a choice of more.

    Raises:
        UsageError: none is left.
    """
    left_out: dict[str, int] = {}
    pool = []
    for candidate in candidates:
        reason = _against(candidate, draw, answer)
        if reason is None:
            pool.append(candidate.source)
        else:
            left_out[reason] = left_out.get(reason, 0) + 1
    if not pool:
        counts = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise UsageError(f"no video is left to choose from ({counts or 'there are none'})")
    wanted = len(pool) if draw.count is None else min(draw.count, len(pool))
    if draw.share is not None:
        wanted = max(1, round(draw.share * len(pool)))
    if wanted == len(pool):
        return Choice(tuple(pool), left_out)
    left_out["not drawn"] = len(pool) - wanted
    drawn = sorted(pool, key=lambda source: _place(draw.seed, source))[:wanted]
    return Choice(tuple(drawn), left_out)


def _against(candidate: Candidate, draw: Draw, answer: Answer | None) -> str | None:
    """Why not to choose a video."""
    if not draw.wants(candidate):
        return "other date or channel"
    if answer is None:
        return None
    if candidate.source in answer.gone:
        return "removed or private"
    facts = answer.known.get(candidate.source)
    if facts is None:
        return None
    try:
        draw.limits.refuse(facts.length_s, facts.category)
    except FetchError as fault:
        return fault.reason
    return facts.reason_against()


def _place(seed: int, source: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{source}".encode("utf-8", "surrogateescape")).digest()


def stored_choice(out: Path, draw: Draw) -> Choice | None:
    """The choice that the dataset at `out` was begun with; None if there is none yet.

    Raises:
        DatasetError: it was drawn otherwise, or its file is damaged.
    """
    path = out / CHOICE_NAME
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        drawn, sources, left_out = fields["draw"], fields["ids"], fields["left_out"]
        if fields["version"] != _VERSION or not all(isinstance(each, str) for each in sources):
            raise ValueError("not as this version writes it")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path}: cannot be used ({error}); put it back, or delete it to choose anew"
        ) from error
    if drawn != json.loads(json.dumps(draw.stated())):
        different = sorted(key for key, value in draw.stated().items() if drawn.get(key) != value)
        raise DatasetError(
            f"{path}: these videos were chosen with another {' and '.join(different)}; use the same"
            " flags, or give another --out"
        )
    return Choice(tuple(sources), left_out)


def store_choice(out: Path, draw: Draw, choice: Choice) -> None:
    """Write a choice down: ids, and counts of what was left out.

    Raises:
        DatasetError: it cannot be written.
    """
    fields = {
        "version": _VERSION,
        "draw": draw.stated(),
        "left_out": dict(choice.left_out),
        "ids": list(choice.sources),
    }
    try:
        with replacing(out / CHOICE_NAME) as temporary:
            temporary.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{out / CHOICE_NAME}: cannot be written ({error.strerror})") from error


def askable(candidates: Sequence[Candidate]) -> list[str]:
    """The candidates that the Data API knows of."""
    return [candidate.source for candidate in candidates if is_youtube(candidate.source)]
