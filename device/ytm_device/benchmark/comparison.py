"""Two reports beside each other."""

from __future__ import annotations

from dataclasses import dataclass

from ytm_device.benchmark.report import SoundReport


@dataclass(frozen=True)
class Compared:
    """One figure, then and now."""

    old: float
    new: float

    @property
    def ratio(self) -> float:
        """`new` over `old`: below 1 is faster."""
        return self.new / self.old


def compare(old: SoundReport, new: SoundReport) -> dict[str, Compared]:
    """The figures that both have, by name."""
    before = old.figures()
    return {
        name: Compared(before[name], value)
        for name, value in new.figures().items()
        if name in before
    }


def differences(old: SoundReport, new: SoundReport) -> list[str]:
    """What besides the program is not the same, so that ratios say less."""
    pairs = {
        "bundle": (old.bundle.id[:12], new.bundle.id[:12]),
        "CPU": (old.machine.cpu, new.machine.cpu),
        "cores": (old.machine.cores, new.machine.cores),
        "Python": (old.machine.python, new.machine.python),
        "numpy": (old.machine.numpy, new.machine.numpy),
        "seconds": (old.seconds, new.seconds),
    }
    return [f"{name} was {then}, is {now}" for name, (then, now) in pairs.items() if then != now]
