"""A report as tables for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from ytm_device.benchmark.comparison import Compared
from ytm_device.benchmark.report import Board, BoardState, Report
from ytm_device.benchmark.stages import PERCENTILES

_NOT_TOLD = (" p99, ms", " max, ms")
"""Figures that swing from one run to the next: of two runs, only the JSON has them."""
_MANY = 1000


def show(report: Report) -> None:
    """Print a report to standard output."""
    console = Console(highlight=False)
    for line in _about(report):
        console.print(line, markup=False, soft_wrap=True)
    console.print(_stages(report))
    if report.cpu_s_per_s:
        console.print(_costs(report))
    for line in _rest(report):
        console.print(line, markup=False, soft_wrap=True)


def show_comparison(compared: dict[str, Compared]) -> None:
    """Print two reports, beside each other, to standard output."""
    table = _table("then and now", "old", "new", "new / old")
    for name, each in compared.items():
        if not name.endswith(_NOT_TOLD):
            table.add_row(name, f"{each.old:.4f}", f"{each.new:.4f}", f"{each.ratio:.2f}")
    Console(highlight=False).print(table)


def _table(first: str, *headings: str) -> Table:
    """Narrow enough for a terminal of 80 columns, and without a line more than it takes."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _about(report: Report) -> list[str]:
    machine = report.machine
    kernel = "compiled kernel" if machine.kernel_compiled else "no compiled kernel"
    there = [f"{name} {version}" for name, version in report.versions.items() if version]
    lines = [
        f"youtube-mirror {machine.youtube_mirror}, {kernel}, Python {machine.python},"
        f" numpy {machine.numpy}; {', '.join(there)}",
        f"{machine.cpu}, {machine.cores} cores, load {machine.load_1_min:.2f} before,"
        f" {report.board.load_1_min:.2f} after",
        f"bundle {report.bundle.name} ({report.bundle.id[:12]})",
    ]
    if report.mind is not None:
        lines.append(f"answers: {report.mind.backend} ({report.mind.reason})")
    if report.devices:
        lines.append("; ".join(f"{name}: {device}" for name, device in report.devices.items()))
    return lines


def _stages(report: Report) -> Table:
    table = _table("wall time, ms", "count", *PERCENTILES, "budget", "")
    for name, stage in report.stages.items():
        limit = f"{stage.budget.at} {stage.budget.ms:.1f}"
        cells = [_ms(stage.ms[at]) for at in PERCENTILES]
        table.add_row(name, str(stage.count), *cells, limit, "" if stage.within else "over")
    return table


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < _MANY else f"{value:.0f}"


def _costs(report: Report) -> Table:
    table = _table("CPU s per s of sound", "median", "least", "most")
    for name, cost in report.cpu_s_per_s.items():
        table.add_row(name, *(f"{each:.4f}" for each in (cost.median, cost.least, cost.most)))
    return table


def _rest(report: Report) -> list[str]:
    counts = ", ".join(f"{name} {value:g}" for name, value in report.counts.items())
    lines = [counts] if counts else []
    lines += [f"{name}: left out, {reason}" for name, reason in report.left_out.items()]
    return lines + _board(report.board)


def _board(board: Board) -> list[str]:
    lines = [_state("before", board.before), _state("after", board.after)]
    lines += [f"throttling: {what}" for what in board.throttled]
    return [line for line in lines if line]


def _state(when: str, state: BoardState) -> str:
    """Heat and clocks in a line; empty where the kernel says nothing."""
    parts = []
    if state.temperatures_c:
        hottest = max(state.temperatures_c, key=lambda name: state.temperatures_c[name])
        parts.append(f"hottest {hottest} {state.temperatures_c[hottest]:.1f} C")
    cores = [mhz for name, mhz in state.clocks_mhz.items() if name.startswith("cpu")]
    if cores:
        parts.append(f"cores {min(cores):.0f} to {max(cores):.0f} MHz")
    others = {name: mhz for name, mhz in state.clocks_mhz.items() if not name.startswith("cpu")}
    parts += [f"{name} {mhz:.0f} MHz" for name, mhz in others.items()]
    if state.power_mode is not None:
        parts.append(f"power mode {state.power_mode}")
    return f"{when}: {', '.join(parts)}" if parts else ""
