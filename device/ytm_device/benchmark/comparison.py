"""Two reports beside each other."""

from __future__ import annotations

from dataclasses import dataclass

from ytm_device.benchmark.report import Report


@dataclass(frozen=True)
class Compared:
    """One figure, then and now."""

    old: float
    new: float

    @property
    def ratio(self) -> float:
        """`new` over `old`: below 1 is faster."""
        return self.new / self.old


def compare(old: Report, new: Report) -> dict[str, Compared]:
    """The figures that both have, by name."""
    before = old.figures()
    return {
        name: Compared(before[name], value)
        for name, value in new.figures().items()
        if name in before
    }


def differences(old: Report, new: Report) -> list[str]:
    """What besides the program is not the same, so that ratios say less."""
    then, now = _circumstances(old), _circumstances(new)
    # What only one of them measured is not compared.
    both = [name for name in then if name in now]
    return [f"{name} was {then[name]}, is {now[name]}" for name in both if then[name] != now[name]]


def _circumstances(report: Report) -> dict[str, object]:
    found: dict[str, object] = {
        "bundle": report.bundle.id[:12],
        "CPU": report.machine.cpu,
        "cores": report.machine.cores,
        "Python": report.machine.python,
        "numpy": report.machine.numpy,
        "seconds": report.seconds,
        "power mode": report.board.before.power_mode,
    }
    found |= dict(report.versions)
    found |= report.devices
    if report.mind is not None:
        found |= {"backend": report.mind.backend, "engines": report.mind.key}
    return found
