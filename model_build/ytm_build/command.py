"""`ytm-build-engine`: a run becomes a bundle."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ytm_build.export import FLOAT16_TOLERANCE, FLOAT32_TOLERANCE, build_bundle
from ytm_bundle.bundle import open_bundle
from ytm_device.console import command, messages, say
from ytm_training.learn.run import Run


def _build(
    run: Annotated[Path, typer.Argument(help="The folder that ytm-train made.")],
    out: Annotated[
        Path, typer.Option(help="The bundle: a folder, or one file if the name ends in .ytm.")
    ],
    name: Annotated[str | None, typer.Option(help="The bundle's name; else that of --out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Turn a finished run into a bundle: everything the mirror needs, in one place.

    Each graph is compared with the network it came from, and again after its body is made float16;
    a difference over the tolerance is an error, and then nothing is written.
    """
    reports = build_bundle(
        Run(run), out, name or _name_of(out), lambda report: say(f"{report.name} done")
    )
    with open_bundle(out) as bundle:
        identity = bundle.id
    if as_json:
        print(
            json.dumps(
                {
                    "bundle": str(out),
                    "id": identity,
                    "float32_tolerance": FLOAT32_TOLERANCE,
                    "float16_tolerance": FLOAT16_TOLERANCE,
                    "graphs": [asdict(report) for report in reports],
                }
            )
        )
        return
    table = Table("graph", "float32 vs torch", "float16 vs float32", "MB")
    for report in reports:
        table.add_row(
            report.name,
            f"{report.float32_error:.1e}",
            f"{report.float16_error:.1e}",
            f"{report.size_bytes / 1e6:.2f}",
        )
    messages.print(table)
    say(f"{out}: bundle {identity[:12]}; see it with ytm-preview VIDEO --bundle {out} --out X.mp4")


def _name_of(out: Path) -> str:
    """A name that a manifest accepts, from a file name."""
    return re.sub(r"[^A-Za-z0-9 ._-]", "-", out.absolute().stem).lstrip("-. _")[:64] or "mirror"


main = command(_build)
