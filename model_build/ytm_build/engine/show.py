"""A build on the terminal: where it is, how long it will take, and a line for each graph."""

from __future__ import annotations

import time

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from ytm_build.engine.events import MAX_SAID, Begun, Done, Event
from ytm_bundle.engines import GraphReport
from ytm_device.console import messages, say
from ytm_device.owner import Owner

_MEGABYTE = 1e6


class BuildDisplay(Owner):
    """Shows events; where there is no terminal, only what is finished and what is said."""

    def __init__(self) -> None:
        """Begin to show."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), _Left())
        self._progress = Progress(
            *columns, console=messages, transient=True, disable=not messages.is_terminal
        )
        self._progress.start()
        self._task = self._progress.add_task("", total=None, ends_s=None)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def tell(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Begun):
            self._progress.update(
                self._task,
                description=f"{event.name} ({event.number} of {event.count})",
                total=event.count,
                completed=event.number - 1,
                ends_s=None if event.left_s is None else time.monotonic() + event.left_s,
            )
        elif isinstance(event, Done):
            say(line(event.report, event.kept))
        else:
            say(printable(event.text))

    def moved(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` bytes of something are there."""
        self._progress.update(
            self._task, description=what, total=total, completed=done, ends_s=None
        )


class _Left(ProgressColumn):
    """Time left, while it is known."""

    def render(self, task: Task) -> Text:
        """Called by rich."""
        ends_s = task.fields["ends_s"]
        if ends_s is None:
            return Text("")
        return Text(f"about {duration(max(0.0, ends_s - time.monotonic()))} left")


def line(report: GraphReport, kept: bool) -> str:
    """What was found of one graph."""
    built = "finished before" if kept else f"built in {duration(report.build_s)}"
    return (
        f"{report.name}: {report.size_bytes / _MEGABYTE:.1f} MB, {built}, off by"
        f" {report.error:.1e} (allowed {report.tolerance:.0e}), {report.latency_ms:.2f} ms"
    )


def duration(seconds: float) -> str:
    """As people say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def printable(text: str) -> str:
    """What another machine says, without what would move the cursor or colour the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text.strip()[:MAX_SAID])
