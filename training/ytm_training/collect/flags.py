"""The flags of ytm-collect, checked, and what they come to."""

from __future__ import annotations

import datetime
import math
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ytm_bundle.errors import UsageError
from ytm_training.collect.choice import Draw
from ytm_training.collect.sidecar import parse_condition
from ytm_training.dataset import Settings
from ytm_training.fetch.data_api import KEY_VARIABLE, URL_VARIABLE, DataApi
from ytm_training.fetch.manners import Manners
from ytm_training.fetch.wish import Access, Limits
from ytm_training.splitting import SplitRule

_ORIGINS = ("takeout", "urls", "videos")
_FOLDER = ("categories", "only")
_LINKS = ("category", "min_length", "max_length", "cookies", "cookies_from_browser", "keep_titles")
_HISTORY = ("since", "until", "channel", "not_channel", "report_only")
_MEANINGLESS = {
    "takeout": _FOLDER,
    "urls": (*_FOLDER, *_HISTORY),
    "videos": (*_LINKS, *_HISTORY),
}
"""Flags that say nothing, by what the videos come from."""


@dataclass(frozen=True)
class Flags:
    """The flags, by their names; `docs/commands.md` says what each means."""

    out: Path | None
    takeout: Path | None
    videos: Path | None
    urls: Path | None
    per_video: int
    seed: int
    share: float | None
    count: int | None
    since: datetime.datetime | None
    until: datetime.datetime | None
    channel: list[str] | None
    not_channel: list[str] | None
    category: list[str] | None
    min_length: float | None
    max_length: float | None
    per_hour: float
    cookies: Path | None
    cookies_from_browser: str | None
    timeout: float
    keep_titles: bool
    jobs: int
    scheduler: str | None
    categories: Path | None
    only: list[str] | None
    rate: int
    validation_share: float | None
    test_share: float | None
    split_seed: int | None
    report_only: bool
    as_json: bool

    def check(self) -> None:
        """See that the flags fit one another.

        Raises:
            UsageError: they do not.
        """
        given = [name for name in _ORIGINS if getattr(self, name) is not None]
        if len(given) != 1:
            raise UsageError("give one of --takeout PATH, --urls FILE and --videos DIR")
        for name in _MEANINGLESS[given[0]]:
            if getattr(self, name):
                raise UsageError(f"--{_dashed(name)}: has no meaning with --{given[0]}")
        if self.out is None and not self.report_only:
            raise UsageError("give --out DATASET, the folder to make or continue")
        if self.out and self.videos and self.out.absolute() == self.videos.absolute():
            raise UsageError(f"--out {self.out}: is the folder of videos; give another")
        if self.share is not None and self.count is not None:
            raise UsageError("give --share or --count, not both")
        if self.share is not None and not (math.isfinite(self.share) and 0 < self.share <= 1):
            raise UsageError(f"--share {self.share}: give more than 0 and at most 1, such as 0.5")
        self.rule()

    @property
    def dataset(self) -> Path:
        """The dataset's folder; `check` has seen to it that there is one, where one is needed."""
        assert self.out is not None
        return self.out

    def settings(self) -> Settings:
        """What the dataset is collected with."""
        conditions = sorted(str(parse_condition(text)) for text in self.only or ())
        return Settings(self.per_video, self.seed, self.rate, tuple(conditions))

    def draw(self) -> Draw:
        """Which videos to choose."""
        categories = tuple(sorted(name.strip().lower() for name in self.category or ()))
        return Draw(
            seed=self.seed,
            share=self.share,
            count=self.count,
            since=self.since and self.since.date(),
            until=self.until and self.until.date(),
            channels=tuple(sorted(self.channel or ())),
            not_channels=tuple(sorted(self.not_channel or ())),
            limits=Limits(self.min_length, self.max_length, categories),
        )

    def draws(self) -> bool:
        """Whether the videos are a choice that is written down, and kept when there are more."""
        return self.takeout is not None or self.share is not None or self.count is not None

    def access(self) -> Access:
        """By what right to fetch."""
        return Access(self.cookies, self.cookies_from_browser, self.timeout)

    def manners(self) -> Manners:
        """How to ask."""
        return Manners(per_hour=self.per_hour)

    def rule(self) -> SplitRule:
        """The rule of the flags given; those that are None keep their defaults.

        Raises:
            UsageError: a share is out of range.
        """
        flags = {
            "validation_share": self.validation_share,
            "test_share": self.test_share,
            "seed": self.split_seed,
        }
        try:
            return SplitRule.model_validate({k: v for k, v in flags.items() if v is not None})
        except ValidationError as error:
            first = error.errors()[0]
            flag = _dashed(str(first["loc"][0]))
            raise UsageError(f"--{flag} {first['input']}: {first['msg']}") from error


def data_api() -> DataApi | None:
    """The Data API, if there is a key for it in the environment."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    return DataApi(key, os.environ.get(URL_VARIABLE)) if key else None


def _dashed(name: str) -> str:
    return name.replace("_", "-")
