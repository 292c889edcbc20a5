"""What a collection tells while it runs, for whoever shows it: a terminal, or a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ytm_training.dataset import Outcome

Stage = Literal["fetch", "cut", "onset", "encode"]


@dataclass(frozen=True)
class Started:
    """A video's turn has come."""

    source: str


@dataclass(frozen=True)
class StageDone:
    """A stage of a video is finished."""

    source: str
    stage: Stage
    seconds: float
    bytes_read: int = 0
    """Fetched from elsewhere."""


@dataclass(frozen=True)
class Settled:
    """It is known for good, or for this run, what became of a video."""

    outcome: Outcome
    left: int
    """Videos still to come."""
    left_s: float | None
    """Seconds that they will take, waiting included; None as long as that is not known."""


@dataclass(frozen=True)
class PutOff:
    """A video is asked for again later."""

    source: str
    reason: str


@dataclass(frozen=True)
class Waiting:
    """Nothing is done for a while, so as not to ask too often."""

    seconds: float
    left_s: float | None
    """As in `Settled`."""


Event = Started | StageDone | Settled | PutOff | Waiting
Tell = Callable[[Event], None]


def silent(event: Event) -> None:
    """Tell nobody."""
    del event
