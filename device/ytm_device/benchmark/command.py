"""`ytm-benchmark`: how long every stage of a frame's way takes on this machine."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from ytm_bundle.errors import UsageError
from ytm_device.benchmark.budgets import BUDGETS, read_budgets
from ytm_device.benchmark.busy import check_not_running
from ytm_device.benchmark.comparison import compare, differences
from ytm_device.benchmark.measuring import ALL, Wanted, measured
from ytm_device.benchmark.report import Report, read_report
from ytm_device.benchmark.show import show, show_comparison
from ytm_device.benchmark.stages import PARTS
from ytm_device.bundles import DATA
from ytm_device.console import EXIT_FAILURE, EXIT_INTERRUPTED, command, say
from ytm_device.run_dirs import SYSTEM
from ytm_device.settings.source import BASE, SettingsSource, Value
from ytm_device.stopping import SIGNALS

MIN_S, MAX_S = 0.1, 600.0
DEMO = "demo"
"""The drawn visitor, as `--camera` names it."""


def _benchmark(
    part: Annotated[
        str, typer.Argument(metavar="[all|sound|reflect|screen]", help="What to measure.")
    ] = ALL,
    bundle: Annotated[
        Path | None,
        typer.Option(help="A bundle, folder or .ytm. Without it: the installed one, else a demo."),
    ] = None,
    seconds: Annotated[float, typer.Option(help=f"Of each part; {MIN_S:g} to {MAX_S:g}.")] = 10.0,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE|FILE|demo",
            help="As for ytm-mirror. Without it: as the settings say.",
        ),
    ] = None,
    pcm: Annotated[
        str | None, typer.Option(metavar="NAME", help="The sound card, as `aplay -L` names it.")
    ] = None,
    no_devices: Annotated[
        bool,
        typer.Option(
            "--no-devices", help="Computing only: open no camera, card or display, beside a show."
        ),
    ] = False,
    budgets: Annotated[
        Path, typer.Option(metavar="FILE", help="What each stage may take, instead of ours.")
    ] = BUDGETS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    compare_with: Annotated[
        Path | None,
        typer.Option("--compare", metavar="OLD.json", help="What --json printed earlier."),
    ] = None,
    settings: Annotated[
        Path, typer.Option(metavar="FILE", help="The settings; flags are over them.")
    ] = BASE,
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="What lasts: settings, bundle and engines.")
    ] = DATA,
    run_dir: Annotated[
        Path, typer.Option(help="Where a mirror may be running that must not be disturbed.")
    ] = SYSTEM,
    root: Annotated[Path, typer.Option(hidden=True)] = Path("/"),
) -> None:
    """Measure every stage of a frame's way to the screen and to the sound card.

    Exits with 1 if a stage takes longer than its budget.
    """
    if part not in (ALL, *PARTS):
        raise UsageError(f"{part}: nothing that can be measured; give {ALL}, {', '.join(PARTS)}")
    if not MIN_S <= seconds <= MAX_S:
        raise UsageError(f"--seconds {seconds:g}: give {MIN_S:g} to {MAX_S:g}")
    if no_devices:
        _check_no_devices(camera, pcm)
    source = _source(settings, data, {"camera.device": camera, "sound.pcm": pcm})
    chosen = source.load()
    wanted = Wanted(
        part=part,
        bundle=bundle or source.bundle(chosen),
        settings=chosen,
        data=data,
        seconds=seconds,
        budgets=read_budgets(budgets),
        devices=not no_devices,
        run_dir=run_dir,
        root=root,
    )
    old = read_report(compare_with) if compare_with else None
    if wanted.devices:
        check_not_running(root, run_dir)
    report = _measured(wanted)
    if as_json:
        print(json.dumps(_data(report, old)))
    else:
        _tell(report, old)
    _judge(report)


def _check_no_devices(camera: str | None, pcm: str | None) -> None:
    if pcm is not None:
        raise UsageError(f"--pcm {pcm}: means nothing with --no-devices; leave one of them out")
    if camera not in (None, DEMO) and not Path(str(camera)).is_file():
        raise UsageError(
            f"--camera {camera}: no video file; with --no-devices give one, or {DEMO}, or nothing"
        )


def _source(settings: Path, data: Path, flags: dict[str, str | None]) -> SettingsSource:
    if settings != BASE and not settings.exists():
        raise UsageError(f"--settings {settings}: no such file")
    typed: dict[str, Value] = {key: value for key, value in flags.items() if value is not None}
    return SettingsSource(settings, data, typed)


def _measured(wanted: Wanted) -> Report:
    asked: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        # Noted as well: what is raised in a library's call back to Python may be lost there.
        asked.append(number)
        raise KeyboardInterrupt

    # Whoever ends it otherwise wants the devices released as well; nohup stays what it is.
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, on_signal)
    try:
        return measured(wanted, lambda: bool(asked))
    except KeyboardInterrupt:
        say("interrupted: nothing is reported; camera, card and display are released")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _data(report: Report, old: Report | None) -> dict[str, object]:
    data: dict[str, object] = report.model_dump(mode="json")
    if old is None:
        return data
    compared = {
        name: {"old": each.old, "new": each.new, "ratio": each.ratio}
        for name, each in compare(old, report).items()
    }
    return data | {"compared": compared, "differences": differences(old, report)}


def _tell(report: Report, old: Report | None) -> None:
    show(report)
    if old is not None:
        show_comparison(compare(old, report))
        for line in differences(old, report):
            say(f"not the same as then: {line}")


def _judge(report: Report) -> None:
    """Say what takes longer than it may, and fail if anything does."""
    over = report.over_budget()
    for name, stage in over.items():
        at, most_ms = stage.budget.at, stage.budget.ms
        gaps = ": there will be gaps" if name in ("invert", "write") else ""
        say(f"{name}: {at} is {stage.ms[at]:.2f} ms, at most {most_ms:.2f} ms is wanted{gaps}")
    for name, why in report.failed.items():
        say(f"{name}: {why}")
    if over or report.failed:
        raise typer.Exit(EXIT_FAILURE)


main = command(_benchmark)
