"""`ytm-train`: a dataset becomes a run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from pydantic import ValidationError
from rich.table import Table

from ytm_bundle.errors import UsageError
from ytm_device.console import command, messages, say
from ytm_training.learn.config import RunConfig, preset
from ytm_training.learn.estimate import estimate
from ytm_training.learn.training import train


def settings(
    preset_name: str, seed: int | None, max_epochs: int | None, overrides: list[str]
) -> RunConfig:
    """The preset with what the command line changes.

    Args:
        preset_name: `paper` or `continuous`.
        seed: replaces the preset's.
        max_epochs: replaces that of every fit.
        overrides: `key.subkey=value`, the value as JSON.

    Raises:
        UsageError: a key is unknown or a value out of range.
    """
    values = preset(preset_name).model_dump(mode="json")
    if seed is not None:
        values["seed"] = seed
    if max_epochs is not None:
        for network in ("image_vae", "sound_vae", "associator"):
            for fit in {"fit", "bridge", "flow"} & values[network].keys():
                values[network][fit]["max_epochs"] = max_epochs
    for override in overrides:
        _override(values, override)
    try:
        return RunConfig.model_validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{key}: {first['msg']} (found {first['input']!r})") from error


def _override(values: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    *parents, last = path.split(".")
    place: Any = values
    for parent in parents:
        place = place.get(parent) if isinstance(place, dict) else None
    if not separator or not isinstance(place, dict) or last not in place:
        raise UsageError(
            f"--set {override}: no such setting; give KEY=VALUE with a key of config.json,"
            " such as image_vae.fit.learning_rate=0.0003"
        )
    try:
        place[last] = json.loads(text)
    except ValueError:
        place[last] = text


def _train(
    dataset: Annotated[Path, typer.Argument(help="The folder that ytm-collect made.")],
    out: Annotated[
        Path | None, typer.Option(help="The run: a new folder, or one to go on with.")
    ] = None,
    preset_name: Annotated[
        str, typer.Option("--preset", help="continuous (ours) or paper (as published).")
    ] = "continuous",
    seed: Annotated[
        int | None, typer.Option(help="Seed of first weights, order and noise.")
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(help="At most so many epochs for each network.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change any setting of config.json: KEY.SUBKEY=VALUE."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads to compute with.")] = (
        os.cpu_count() or 1
    ),
    only_estimate: Annotated[
        bool,
        typer.Option(
            "--estimate", help="Try every stage for a moment, say how long all will take."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Train a mirror on a dataset: two VAEs, then the associators between them.

    Interrupt it whenever you like: the same command goes on where it was, to the same weights.
    Watch it with `tensorboard --logdir OUT/tensorboard`. Several processes: run it under torchrun.
    """
    config = settings(preset_name, seed, max_epochs, override or [])
    torch.set_num_threads(threads)
    if only_estimate:
        _estimate(dataset, config, as_json)
        return
    if out is None:
        raise UsageError("--out is missing; give a folder for the run")
    run = train(dataset, out, config)
    if os.environ.get("RANK", "0") != "0":
        return
    metrics = run.metrics()
    if as_json:
        print(json.dumps({"run": str(out), **metrics}))
        return
    table = Table("on videos it never saw", "figure")
    for name, value in metrics.items():
        table.add_row(name.replace("_", " "), f"{value:.3f}")
    messages.print(table)
    say(f"{out}: trained; go on with ytm-build-engine {out} --out BUNDLE")


def _estimate(dataset: Path, config: RunConfig, as_json: bool) -> None:
    if "RANK" in os.environ:
        raise UsageError("--estimate: is for one process; run it without torchrun")
    say("trying a few batches of every stage")
    found = estimate(dataset, config)
    if as_json:
        print(json.dumps(found.as_values()))
        return
    messages.print(found.as_table())
    say("less if a stage stops early; the figures at the end come on top")


main = command(_train)
