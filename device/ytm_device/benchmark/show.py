"""A report as tables for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from ytm_device.benchmark.comparison import Compared
from ytm_device.benchmark.report import Hops, Machine, SoundReport


def show(report: SoundReport) -> None:
    """Print a report to standard output."""
    console = Console(highlight=False)
    console.print(_of_machine(report.machine), markup=False, soft_wrap=True)
    console.print(_costs(report), _hops(report.hop))
    for name, reason in report.left_out.items():
        console.print(f"{name}: left out, {reason}", markup=False, soft_wrap=True)


def show_comparison(compared: dict[str, Compared]) -> None:
    """Print two reports, beside each other, to standard output."""
    table = Table("figure", title="then and now", title_justify="left")
    for heading in ("old", "new", "new / old"):
        table.add_column(heading, justify="right")
    for name, each in compared.items():
        table.add_row(name, f"{each.old:.4f}", f"{each.new:.4f}", f"{each.ratio:.2f}")
    Console(highlight=False).print(table)


def _of_machine(machine: Machine) -> str:
    kernel = "compiled kernel" if machine.kernel_compiled else "no compiled kernel"
    return (
        f"youtube-mirror {machine.youtube_mirror}, {kernel}, Python {machine.python},"
        f" numpy {machine.numpy}; {machine.cpu}, {machine.cores} cores,"
        f" load {machine.load_1_min:.2f}"
    )


def _costs(report: SoundReport) -> Table:
    title = f"CPU seconds per second of sound: {report.bundle.name}"
    table = Table("method", title=title, title_justify="left")
    for heading in ("median", "least", "most"):
        table.add_column(heading, justify="right")
    for name, cost in report.cpu_s_per_s.items():
        table.add_row(name, *(f"{each:.4f}" for each in (cost.median, cost.least, cost.most)))
    return table


def _hops(hops: Hops) -> Table:
    title = f"{hops.count} hops of {hops.samples} samples, {hops.budget_ms:.2f} ms"
    table = Table("wall time", title=title, title_justify="left")
    for heading in ("ms", "of the hop"):
        table.add_column(heading, justify="right")
    for name, value in hops.ms.items():
        table.add_row(name, f"{value:.3f}", f"{hops.share[name]:.1%}")
    return table
