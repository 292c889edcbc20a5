"""The figures of two mirrors on digits, side by side with what was hoped for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from ytm_training.evaluation.figure import Figure


@dataclass(frozen=True)
class Row:
    """One line of the table: which figure, or which of the values beside it, and what is wanted."""

    title: str
    key: str
    wanted: float
    aim: float | None = None
    beside: str | None = None
    """Which value beside the figure is meant; None: the figure itself."""

    def value(self, figures: Mapping[str, Figure]) -> float:
        """What was measured."""
        figure = figures[self.key]
        return (figure.beside[self.beside] if self.beside else figure.found).value

    def is_reached(self, figures: Mapping[str, Figure]) -> bool:
        """Whether it is as good as wanted."""
        return self.value(figures) >= self.wanted


_SOUND, _PICTURE = "classes.sound_made", "classes.picture_made"
ROWS = (
    Row("picture to sound, digit heard", _SOUND, 0.95, 0.97),
    Row("variance of the sounds over real", "distinctness.sound_variance_total", 0.6, 0.7),
    Row("sharpness of the sounds over real", "distinctness.sound_sharpness", 0.9, 0.95),
    Row("sound to picture, digit seen", _PICTURE, 0.85, 0.92),
    Row("judge of sounds, on real ones", _SOUND, 0.97, beside="real"),
    Row("judge of sounds, on remembered ones", _SOUND, 0.95, beside="rebuilt"),
)


def by_key(figures: Sequence[Figure]) -> dict[str, Figure]:
    """Figures by their names."""
    return {figure.key: figure for figure in figures}


def table(ours: Mapping[str, Figure], paper: Mapping[str, Figure]) -> Table:
    """The table of `ROWS`."""
    shown = Table("on digits never seen", "ours", "paper's associators", "wanted", "aim")
    for row in ROWS:
        shown.add_row(
            row.title,
            f"{row.value(ours):.3f}" + ("" if row.is_reached(ours) else " (missed)"),
            f"{row.value(paper):.3f}",
            f"{row.wanted:g}",
            "" if row.aim is None else f"{row.aim:g}",
        )
    return shown


def as_json(ours: Mapping[str, Figure], paper: Mapping[str, Figure]) -> list[dict[str, object]]:
    """The same for machines."""
    return [
        {
            "title": row.title,
            "ours": row.value(ours),
            "paper": row.value(paper),
            "wanted": row.wanted,
            "aim": row.aim,
            "reached": row.is_reached(ours),
        }
        for row in ROWS
    ]
