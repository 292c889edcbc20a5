"""What would get in the way of fetching, before it does."""

from __future__ import annotations

import datetime
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from ytm_training.fetch.connection import JAVASCRIPT_RUNTIMES, YTDLP_VERSION

OLD_DAYS = 60
BYTES_A_SECOND_KEPT = 500_000
"""A row of a dataset: its picture and its second of sound."""
_SPARE_BYTES = 1 << 30


def warnings(out: Path, seconds: int, *, youtube: bool, today: datetime.date) -> Iterator[str]:
    """Say what may go wrong, and what to do about it.

    Args:
        out: where the dataset goes.
        seconds: seconds of video that are to be kept.
        youtube: whether any of the videos are YouTube's.
        today: the date.
    """
    if youtube and not any(shutil.which(name) for name in JAVASCRIPT_RUNTIMES):
        yield (
            "no JavaScript runtime: YouTube gives few videos without one; install deno (see"
            " https://deno.com) or node"
        )
    if youtube and (age := _age_days(YTDLP_VERSION, today)) is not None and age > OLD_DAYS:
        yield (
            f"yt-dlp {YTDLP_VERSION} is {age} days old, and YouTube changes faster:"
            " .venv/bin/pip install --upgrade 'yt-dlp[default]'"
        )
    needed = seconds * BYTES_A_SECOND_KEPT + _SPARE_BYTES
    free = shutil.disk_usage(_existing(out)).free
    if free < needed:
        yield (
            f"{out}: {free / 1e9:.1f} GB are free, and this may take {needed / 1e9:.1f} GB; make"
            " room, or ask for fewer (--count, --per-video)"
        )


def _age_days(version: str, today: datetime.date) -> int | None:
    found = re.match(r"(\d{4})\.(\d{1,2})\.(\d{1,2})", version)
    if found is None:
        return None
    year, month, day = map(int, found.groups())
    return (today - datetime.date(year, month, day)).days


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.absolute().parents) if parent.exists())
