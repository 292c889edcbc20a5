"""`ytm-collect`: videos in, wherever they are; a dataset of one-second segments out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ytm_device.console import command, say
from ytm_training.collect.collection import LeftOut, check_folder, gather
from ytm_training.collect.executors import open_hands
from ytm_training.collect.flags import Flags
from ytm_training.collect.histories import show_history
from ytm_training.collect.origins import Origin, origin_of
from ytm_training.collect.report import Report
from ytm_training.collect.showing import Shown, spoken
from ytm_training.fetch.manners import Manners
from ytm_training.fetch.wish import Access

_LINES_SHOWN = 200
_DAY = ["%Y-%m-%d"]


def run(
    out: Annotated[
        Path | None, typer.Option(help="The dataset: a folder, made or continued.")
    ] = None,
    takeout: Annotated[
        Path | None,
        typer.Option(help="Watch history: an export of Google Takeout, packed or unpacked."),
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="Folder of videos, searched with its subfolders.")
    ] = None,
    urls: Annotated[
        Path | None,
        typer.Option(help="List of videos elsewhere: a YouTube id or an address a line."),
    ] = None,
    per_video: Annotated[
        int, typer.Option(min=1, max=10000, help="Seconds to take of each video, at random.")
    ] = 1,
    seed: Annotated[
        int, typer.Option(min=0, help="Another seed takes other seconds, and other videos.")
    ] = 0,
    share: Annotated[
        float | None, typer.Option(help="Take this share of the videos, drawn at random.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Take so many of the videos, drawn at random.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=_DAY, help="Only watched on this day or later.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_DAY, help="Only watched on this day or earlier.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="Only of this channel; may repeat.")
    ] = None,
    not_channel: Annotated[
        list[str] | None, typer.Option(help="None of this channel; may repeat.")
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(help="Only of this category, as YouTube calls it, such as Music; may repeat."),
    ] = None,
    min_length: Annotated[
        float | None, typer.Option(min=0, help="Only videos of at least so many seconds.")
    ] = None,
    max_length: Annotated[
        float | None, typer.Option(min=1, help="Only videos of at most so many seconds.")
    ] = None,
    per_hour: Annotated[
        float, typer.Option(min=1, max=36000, help="Ask for so many videos an hour at most.")
    ] = Manners.per_hour,
    cookies: Annotated[
        Path | None, typer.Option(help="File of cookies (Netscape format); only read.")
    ] = None,
    cookies_from_browser: Annotated[
        str | None, typer.Option(metavar="NAME", help="Use the cookies of firefox, chrome, ...")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.5, max=600, help="Give up on a server silent for so long, in s.")
    ] = Access.timeout_s,
    keep_titles: Annotated[
        bool, typer.Option("--keep-titles", help="Write the titles of videos into the dataset.")
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=1, max=256, help="Videos to work on at once, each in a process.")
    ] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Work on the Dask cluster of this scheduler."),
    ] = None,
    categories: Annotated[
        Path | None,
        typer.Option(
            help="Table (CSV) with a column `file`, and any of category, title, licence, origin,"
            " rights. Default: categories.csv or manifest.csv in or above the folder."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE", help="Take only videos whose row in the table says so."
        ),
    ] = None,
    rate: Annotated[
        int, typer.Option(min=16000, max=96000, help="Sampling rate of the sound kept, in Hz.")
    ] = 48000,
    validation_share: Annotated[
        float | None,
        typer.Option(
            help="Share of the videos that decide when to stop training: 0.1 unless given."
        ),
    ] = None,
    test_share: Annotated[
        float | None,
        typer.Option(help="Share of the videos that are only measured on: 0.1 unless given."),
    ] = None,
    split_seed: Annotated[
        int | None, typer.Option(min=0, help="Another seed keeps other videos apart.")
    ] = None,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Show what the history holds, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Collect random seconds of videos into a dataset for ytm-train.

    Of each video: a second at random, the sound of it, and the picture at its strongest onset. Run
    the same command again to continue after an interruption or to add what is new.
    """
    flags = Flags(**locals())
    flags.check()
    if flags.report_only:
        show_history(flags)
        return
    check_folder(flags.dataset, flags.settings())
    origin = origin_of(flags)
    report = _collected(flags, origin)
    text = report.as_text() if len(report.outcomes) <= _LINES_SHOWN else report.summary()
    typer.echo(report.as_json() if as_json else text.rstrip("\n"))


def _collected(flags: Flags, origin: Origin) -> Report:
    manners = flags.manners()
    asking = sum(work.asks for work in origin.works)
    if asking:
        for warning in origin.warnings:
            say(f"warning: {warning}")
        least_s = asking * manners.mean_wait_s
        say(f"{asking} videos, at most {manners.per_hour:g} an hour: {spoken(least_s)} for all")
    left_out = LeftOut(origin.left_out, "choice" if asking else "--only")
    with open_hands(flags.jobs, flags.scheduler) as hands, Shown() as shown:
        return gather(
            origin.works,
            flags.settings(),
            flags.rule(),
            left_out,
            flags.dataset,
            hands,
            manners,
            shown.tell,
        )


main = command(run)
