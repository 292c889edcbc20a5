"""A collection as the person at the terminal sees it."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ytm_device.console import messages, say
from ytm_training.collect.events import Event, Settled, Waiting

_LINE_EVERY_S = 600.0
_LONG_WAIT_S = 300.0


class Shown:
    """A bar at a terminal; elsewhere, a line now and then."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("collecting"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rest]}"),
            console=messages,
            disable=not messages.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("collecting", total=None, rest="")
        self._settled, self._said_s = 0, time.monotonic()

    def __enter__(self) -> Shown:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def tell(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Settled):
            self._settled += 1
            total, rest = self._settled + event.left, left_text(event.left_s)
            self._progress.update(self._task, completed=self._settled, total=total, rest=rest)
            self._line(f"{self._settled} of {total} settled, {rest}", _LINE_EVERY_S)
        elif isinstance(event, Waiting):
            rest = f"waiting {spoken(event.seconds)}, {left_text(event.left_s)}"
            self._progress.update(self._task, rest=rest)
            if event.seconds >= _LONG_WAIT_S:
                self._line(rest, 0.0)

    def _line(self, text: str, every_s: float) -> None:
        now_s = time.monotonic()
        if not messages.is_terminal and now_s - self._said_s >= every_s:
            self._said_s = now_s
            say(text)


def left_text(left_s: float | None) -> str:
    """How long the rest takes, in words."""
    return "" if left_s is None else f"about {spoken(left_s)} left"


def spoken(seconds: float) -> str:
    """A length of time in its two largest units."""
    rest, parts = round(seconds), []
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, unit)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"
