"""`ytm-benchmark`: how much of this machine the mirror needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import UsageError
from ytm_device.benchmark import costs, hops
from ytm_device.benchmark.comparison import compare, differences
from ytm_device.benchmark.machine import this_machine
from ytm_device.benchmark.report import BundleName, SoundReport, read_report
from ytm_device.benchmark.show import show, show_comparison
from ytm_device.bundles import default_bundle
from ytm_device.console import EXIT_FAILURE, command, messages, say

PARTS = ("sound",)
MIN_S, MAX_S = 0.1, 600.0


def _benchmark(
    part: Annotated[str, typer.Argument(metavar="[sound]", help="What to measure.")] = "sound",
    bundle: Annotated[
        Path | None,
        typer.Option(help="A bundle, folder or .ytm. Without it: the installed one, else a demo."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help=f"Of sound, from each method; {MIN_S:g} to {MAX_S:g}.")
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    compare_with: Annotated[
        Path | None,
        typer.Option("--compare", metavar="OLD.json", help="What --json printed earlier."),
    ] = None,
) -> None:
    """Measure how long sound takes to make here, against how long it lasts.

    Exits with 1 if more than one hop in a hundred takes longer than it lasts.
    """
    if part not in PARTS:
        raise UsageError(f"{part}: nothing that can be measured; give {', '.join(PARTS)}")
    if not MIN_S <= seconds <= MAX_S:
        raise UsageError(f"--seconds {seconds:g}: give {MIN_S:g} to {MAX_S:g}")
    old = read_report(compare_with) if compare_with else None
    report = _measured(bundle or default_bundle(), seconds)
    if as_json:
        print(json.dumps(_data(report, old)))
    else:
        _tell(report, old)
    if report.hop.late:
        say(
            f"one hop in a hundred takes {report.hop.ms['p99']:.2f} ms or more, and it lasts"
            f" {report.hop.budget_ms:.2f} ms: there will be gaps"
        )
        raise typer.Exit(EXIT_FAILURE)


def _measured(path: Path, seconds: float) -> SoundReport:
    machine = this_machine()
    with open_bundle(path) as bundle:
        hop = hops.measure(bundle, seconds)
        methods, left_out = costs.methods_for(bundle)
        rounds = track(
            range(max(1, round(seconds / costs.ROUND_S))),
            "measuring",
            console=messages,
            transient=True,
            disable=not messages.is_terminal,
        )
        rate_hz = bundle.manifest.sound.playback_rate_hz
        return SoundReport(
            machine=machine,
            bundle=BundleName(name=bundle.manifest.name, id=bundle.id),
            seconds=seconds,
            cpu_s_per_s=costs.measure(methods, rate_hz, rounds),
            left_out=left_out,
            hop=hop,
        )


def _data(report: SoundReport, old: SoundReport | None) -> dict[str, object]:
    data: dict[str, object] = report.model_dump(mode="json")
    if old is None:
        return data
    compared = {
        name: {"old": each.old, "new": each.new, "ratio": each.ratio}
        for name, each in compare(old, report).items()
    }
    return data | {"compared": compared, "differences": differences(old, report)}


def _tell(report: SoundReport, old: SoundReport | None) -> None:
    show(report)
    if old is not None:
        show_comparison(compare(old, report))
        for line in differences(old, report):
            say(f"not the same as then: {line}")


main = command(_benchmark)
