"""`ytm-evaluate`: how distinct and how faithful a mirror's pictures and sounds are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from ytm_device.console import command, messages, say
from ytm_training.evaluation.evaluate import evaluate
from ytm_training.evaluation.report import PAGE_NAME
from ytm_training.evaluation.table import table


def _evaluate(
    run_or_bundle: Annotated[
        Path, typer.Argument(help="The folder that ytm-train made, or a bundle.")
    ],
    dataset: Annotated[Path, typer.Argument(help="The folder that ytm-collect made.")],
    out: Annotated[Path, typer.Option(help="The report: a folder, made or replaced.")],
    limit: Annotated[
        int, typer.Option(min=2, max=20_000, help="Measure at most so many segments.")
    ] = 2000,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the segments drawn, shuffles and intervals.")
    ] = 0,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Measure a mirror that does not say what it learned from."),
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads to compute with.")] = (
        os.cpu_count() or 1
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure a run or a bundle on the segments of a dataset that it did not learn from.

    Every figure stands beside chance, shuffled pairs and averages, with the interval that holds it
    with 95 %. REPORT/index.html shows and plays examples.
    """
    report = evaluate(run_or_bundle, dataset, out, limit, seed, trust=trust, threads=threads)
    if as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False))
    else:
        messages.print(table(report.figures))
        say(f"{out / PAGE_NAME}: open it in a browser; it plays the sounds")


main = command(_evaluate)
