"""A watch history as videos to choose from, and as a report."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from ytm_device.console import messages
from ytm_training.collect.choice import Candidate
from ytm_training.collect.flags import Flags
from ytm_training.takeout.history import History, read_history
from ytm_training.takeout.report import report_table


def watched(path: Path) -> list[Candidate]:
    """The videos of a history.

    Raises:
        TakeoutError: there is no history at `path`.
    """
    return [
        Candidate(video.id, () if video.watched is None else (video.watched,), video.channel)
        for video in _read(path).videos
    ]


def show_history(flags: Flags) -> None:
    """Print what a history holds; names of channels only with --keep-titles.

    Raises:
        TakeoutError: there is no history.
    """
    assert flags.takeout is not None
    report = _read(flags.takeout).report
    if flags.as_json:
        typer.echo(json.dumps(report.to_json(channels=flags.keep_titles), indent=2))
    else:
        Console(highlight=False).print(report_table(report, channels=flags.keep_titles))


def _read(path: Path) -> History:
    columns = (TextColumn("reading the history"), BarColumn(), DownloadColumn())
    quiet = not messages.is_terminal
    with Progress(*columns, console=messages, disable=quiet, transient=True) as progress:
        task = progress.add_task("reading", total=None)
        return read_history(path, lambda count: progress.update(task, completed=count))
