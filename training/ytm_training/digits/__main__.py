"""`python -m ytm_training.digits DATA`: association measured on labelled digits, as a table."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import torch
import typer

from ytm_device.console import command, messages, say
from ytm_training.dataset import shard_paths
from ytm_training.digits.comparison import as_json, by_key, table
from ytm_training.digits.pairs import write_pairs
from ytm_training.digits.recipe import continuous_recipe, paper_recipe
from ytm_training.evaluation.evaluate import evaluate
from ytm_training.evaluation.figure import Figure
from ytm_training.learn.run import Run
from ytm_training.learn.training import train

_LIMIT = 2000
_SHARED_STAGES = ("image_vae", "sound_vae")


def _digits(
    data: Annotated[
        Path, typer.Argument(help="The folder with fsdd_recordings.zip and MNIST's two t10k files.")
    ],
    work: Annotated[Path, typer.Option(help="Where dataset, runs and reports are kept.")] = Path(
        "build/digits"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Of pairs, weights and noise.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads to compute with.")] = (
        os.cpu_count() or 1
    ),
    json_wanted: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Learn written and spoken digits from pairs that share only the digit; measure the answers.

    Two mirrors with the same VAEs are compared, ours and one with the artwork's associators, on
    pictures and recordings that neither learned from. Interrupted, it goes on where it was.
    """
    torch.set_num_threads(threads)
    work = work / f"seed-{seed}"
    dataset = work / "dataset"
    if not shard_paths(dataset):
        say(f"{write_pairs(data, dataset, seed)} pairs written")
    ours = train(dataset, work / "continuous", continuous_recipe(seed))
    ours.branch(work / "paper", paper_recipe(seed), _SHARED_STAGES)
    paper = train(dataset, work / "paper", paper_recipe(seed))
    figures = [_measured(run, dataset, work, seed, threads) for run in (ours, paper)]
    if json_wanted:
        print(json.dumps(as_json(*figures)))
    else:
        messages.print(table(*figures))


def _measured(run: Run, dataset: Path, work: Path, seed: int, threads: int) -> dict[str, Figure]:
    report = work / f"report-{run.folder.name}"
    return by_key(evaluate(run.folder, dataset, report, _LIMIT, seed, threads=threads).figures)


main = command(_digits)

if __name__ == "__main__":
    main()
