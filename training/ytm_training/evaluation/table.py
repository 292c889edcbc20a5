"""The figures that matter most, on one screen."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.table import Table

from ytm_training.evaluation.figure import Estimate, Figure

_SHOWN = (
    ("image_to_sound.mel.r_at_10", "its sound in first 10", "chance"),
    ("image_to_sound.mel.source_r_at_1", "its video's sound first", "chance"),
    ("image_to_sound.latent.source_r_at_1", "the same, by latents", "chance"),
    ("sound_to_image.picture.source_r_at_1", "its video's picture first", "chance"),
    ("classes.sound_made", "sound in its class", "rebuilt"),
    ("classes.picture_made", "picture in its class", "rebuilt"),
    ("mixture.50_as_picture", "mixture: as the picture", "chance"),
    ("mixture.50_as_sound", "mixture: as the sound", "chance"),
    ("distinctness.sound_variance_total", "sounds' variance", "rebuilt"),
    ("distinctness.sound_sharpness", "sounds' sharpness", "rebuilt"),
    ("distinctness.unsteadiness", "change by camera noise", ""),
    ("attributes.loudness_spearman", "loudness, correlation", "mean_colour_ridge"),
    ("attributes.pitch_spearman", "pitch, correlation", "mean_colour_ridge"),
    ("attributes.centroid_spearman", "brightness, correlation", "mean_colour_ridge"),
    ("frechet.sound", "sounds' distribution", "known"),
    ("frechet.picture", "pictures' distribution", "known"),
    ("fidelity.picture_psnr", "remembered pictures", "components_128"),
    ("fidelity.picture_edges", "their edges", "components_128"),
    ("fidelity.sound_error_rebuilt", "remembered sounds' error", "average"),
)
"""Key, a name short enough for a line, and the most telling of what stands beside it."""
GROUP_TITLES = {
    "image_to_sound": "picture to sound",
    "sound_to_image": "sound to picture",
}


def table(figures: Iterable[Figure]) -> Table:
    """A chosen few of `figures`, those that there are; 80 columns wide at most."""
    by_key = {figure.key: figure for figure in figures}
    made = Table("not learned from", "found", "95 %", "beside")
    for column in made.columns:
        column.no_wrap = True
    for key, title, beside in _SHOWN:
        if key in by_key:
            made.add_row(*_row(by_key[key], title, beside))
    return made


def _row(figure: Figure, title: str, beside: str) -> tuple[str, str, str, str]:
    other = ""
    if beside in figure.beside:
        name = beside.replace("_", " ").removesuffix(" ridge")
        other = f"{name} {shown(figure.beside[beside], figure.unit)}"
    return title, shown(figure.found, figure.unit), interval(figure.found, figure.unit), other


def shown(estimate: Estimate, unit: str) -> str:
    """A value as people read it."""
    return number(estimate.value, unit) + (f" {unit}" if unit not in ("", "share") else "")


def interval(estimate: Estimate, unit: str) -> str:
    """Its interval; empty if there is none."""
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return ""
    low, high = number(estimate.low, unit), number(estimate.high, unit)
    return f"{low.removesuffix(' %')} to {high}"


def number(value: float, unit: str) -> str:
    """Three digits that matter; a share as per cent."""
    if not math.isfinite(value):
        return "-"
    if unit == "share":
        return f"{100 * value:.1f} %"
    return (
        f"{value:.0f}"
        if abs(value) >= 100
        else f"{value:.2g}"
        if abs(value) < 1
        else f"{value:.3g}"
    )
