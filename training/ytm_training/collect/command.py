"""`ytm-collect`: a folder of videos in, a dataset of one-second segments out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from ytm_bundle.errors import UsageError
from ytm_device.console import command, say
from ytm_training.collect.collection import collect
from ytm_training.collect.files import find_files
from ytm_training.collect.report import printable
from ytm_training.collect.sidecar import find_sidecar, parse_condition
from ytm_training.dataset import Settings
from ytm_training.splitting import SplitRule


def run(
    videos: Annotated[Path, typer.Option(help="Folder of videos, searched with its subfolders.")],
    out: Annotated[Path, typer.Option(help="The dataset: a folder, made or continued.")],
    per_video: Annotated[
        int, typer.Option(min=1, max=10000, help="Seconds to take of each video, at random.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Another seed takes other seconds.")] = 0,
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
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Collect random seconds of videos into a dataset for ytm-train.

    Of each video: a second at random, the sound of it, and the picture at its strongest onset. Run
    the same command again to continue after an interruption or to add files.
    """
    if out.absolute() == videos.absolute():
        raise UsageError(f"--out {out}: is the folder of videos; give another")
    rule = _rule(validation_share, test_share, split_seed)
    sidecar = find_sidecar(videos, categories)
    conditions = [parse_condition(text) for text in only or ()]
    sidecar.check(conditions)
    beside = frozenset(path for path in (out, sidecar.path) if path is not None)
    found = find_files(videos, beside)
    files = [file for file in found if sidecar.matches(file.source, conditions)]
    if sidecar.path is not None:
        say(f"table: {printable(str(sidecar.path))}")
    settings = Settings(per_video, seed, rate, tuple(sorted(map(str, conditions))))
    report = collect(files, sidecar, settings, rule, len(found) - len(files), out)
    typer.echo(report.as_json() if as_json else report.as_text(), nl=as_json)


def _rule(validation_share: float | None, test_share: float | None, seed: int | None) -> SplitRule:
    """The rule of the flags given; those that are None keep their defaults.

    Raises:
        UsageError: a share is out of range.
    """
    flags = {"validation_share": validation_share, "test_share": test_share, "seed": seed}
    try:
        return SplitRule.model_validate({k: v for k, v in flags.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        flag = str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"--{flag} {first['input']}: {first['msg']}") from error


main = command(run)
