"""A figure as a small drawing: its interval, and what stands beside it."""

from __future__ import annotations

import math
from html import escape

from ytm_training.evaluation.figure import Figure
from ytm_training.evaluation.table import shown

_WIDTH, _HEIGHT, _MARGIN = 260.0, 22.0, 6.0


def bar(figure: Figure) -> str:
    """The figure as inline SVG; shares are drawn from 0 to at least 1, others over their range."""
    numbers = [figure.found.value, figure.found.low, figure.found.high]
    numbers += [estimate.value for estimate in figure.beside.values()]
    finite = [value for value in numbers if math.isfinite(value)]
    if not finite or not math.isfinite(figure.found.value):
        return ""
    lowest, highest = min(finite), max(finite)
    if figure.unit == "share":
        lowest, highest = min(0.0, lowest), max(1.0, highest)
    if highest <= lowest:
        lowest, highest = lowest - 0.5, highest + 0.5

    def place(value: float) -> float:
        return _MARGIN + (value - lowest) / (highest - lowest) * (_WIDTH - 2 * _MARGIN)

    middle = _HEIGHT / 2
    parts = [_line("axis", _MARGIN, _WIDTH - _MARGIN, middle, middle)]
    for name, estimate in figure.beside.items():
        if math.isfinite(estimate.value):
            x = place(estimate.value)
            title = f"{name.replace('_', ' ')} {shown(estimate, figure.unit)}"
            parts.append(_line("other", x, x, 3, _HEIGHT - 3, title))
    if math.isfinite(figure.found.low) and math.isfinite(figure.found.high):
        ends = place(figure.found.low), place(figure.found.high)
        parts.append(_line("range", *ends, middle, middle))
    parts.append(f"<circle class=found cx={place(figure.found.value):.1f} cy={middle} r=4 />")
    return f"<svg viewBox='0 0 {_WIDTH:g} {_HEIGHT:g}'>{''.join(parts)}</svg>"


def _line(kind: str, x1: float, x2: float, y1: float, y2: float, title: str = "") -> str:
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f"<line class={kind} x1={x1:.1f} x2={x2:.1f} y1={y1:g} y2={y2:g}>{inside}</line>"
