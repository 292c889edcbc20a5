"""A run becomes a bundle, and its figures are told."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from ytm_build.export import FLOAT16_TOLERANCE, FLOAT32_TOLERANCE, GraphReport, build_bundle
from ytm_bundle.bundle import open_bundle
from ytm_device.console import messages, say
from ytm_training.learn.run import Run


def bundle_run(run: Path, out: Path, name: str | None, as_json: bool) -> None:
    """Make the bundle `out` of the run at `run`, and tell its figures.

    Raises:
        YtmError: as `build_bundle`.
    """
    reports = build_bundle(
        Run(run), out, name or _name_of(out), lambda report: say(f"{report.name} done")
    )
    with open_bundle(out) as bundle:
        identity = bundle.id
    if as_json:
        print(_json(out, identity, reports))
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


def _json(out: Path, identity: str, reports: Sequence[GraphReport]) -> str:
    return json.dumps(
        {
            "bundle": str(out),
            "id": identity,
            "float32_tolerance": FLOAT32_TOLERANCE,
            "float16_tolerance": FLOAT16_TOLERANCE,
            "graphs": [asdict(report) for report in reports],
        }
    )


def _name_of(out: Path) -> str:
    """A name that a manifest accepts, from a file name."""
    return re.sub(r"[^A-Za-z0-9 ._-]", "-", out.absolute().stem).lstrip("-. _")[:64] or "mirror"
