"""A figure: what was found, how sure that is, and what else would have been found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Wanted = Literal["high", "low", "one", "neither"]


@dataclass(frozen=True)
class Estimate:
    """A number and the interval that holds it with 95 %; not a number where it means nothing."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def as_json(self) -> dict[str, float | None]:
        """What is not a number becomes null."""
        return {name: value if math.isfinite(value) else None for name, value in vars(self).items()}


@dataclass(frozen=True)
class Figure:
    """One thing that was measured."""

    key: str
    """Name in `figures.json`: group, dot, name."""
    title: str
    """What it is, in a few words."""
    definition: str
    """How it is computed, for somebody who doubts it."""
    unit: str
    """`share` is 0 to 1 and shown as per cent; empty: a plain number."""
    found: Estimate
    count: int
    """Rows it was computed on."""
    beside: Mapping[str, Estimate] = field(default_factory=dict)
    """What chance, shuffled pairs, averages and simpler means give."""
    wanted: Wanted = "high"

    def as_json(self) -> dict[str, Any]:
        """The figure, without its key."""
        return {
            **self.found.as_json(),
            "unit": self.unit,
            "wanted": self.wanted,
            "rows": self.count,
            "title": self.title,
            "definition": self.definition,
            "beside": {name: estimate.as_json() for name, estimate in self.beside.items()},
        }
