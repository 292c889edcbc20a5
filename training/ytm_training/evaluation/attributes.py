"""What a listener could tell: is the made sound as loud, as high and as bright as the true one?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import SoundSpec
from ytm_training.evaluation.baselines import ridge
from ytm_training.evaluation.evidence import Evidence
from ytm_training.evaluation.features import mean_colour
from ytm_training.evaluation.figure import Estimate, Figure
from ytm_training.evaluation.intervals import Resampling, spread
from ytm_training.evaluation.rows import Indices

Array = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Measure = Callable[[Doubles, Doubles], float]

_SHUFFLES = 100
_BATCH = 256


@dataclass(frozen=True)
class Attribute:
    """Something that a sound has one value of."""

    title: str
    unit: str
    definition: str


ATTRIBUTES = {
    "loudness": Attribute("loudness", "dB", "mean power of all bands, floor included"),
    "pitch": Attribute(
        "pitch", "semitones", "centre of the band that is strongest in power averaged over time"
    ),
    "centroid": Attribute(
        "brightness", "octaves", "centre of gravity, over bands, of power averaged over time"
    ),
    "flatness": Attribute(
        "noisiness",
        "dB",
        "geometric over arithmetic mean, over bands, of power averaged over time; 0 is noise",
    ),
}


def band_centres_hz(matrices: MelMatrices, sound: SoundSpec) -> Doubles:
    """Where each band of a filter bank lies: (n_mels,), > 0. Empty bands lie between others."""
    weights = matrices.forward.astype(np.float64)
    bins_hz = np.arange(sound.bins) * sound.analysis_rate_hz / sound.n_fft
    full = np.flatnonzero(weights.sum(1) > 0)
    centres = weights[full] @ bins_hz / weights[full].sum(1)
    every = np.interp(np.arange(len(weights)), full, centres)
    return np.asarray(np.maximum(every, bins_hz[1] / 2))


def attributes_of(mels: Array, sound: SoundSpec, centres_hz: Doubles) -> dict[str, Doubles]:
    """Each of `ATTRIBUTES` of scaled mels, (n, n_mels, frames): (n,) by name."""
    floor = 10.0 ** (sound.floor_db / 10)
    power = np.concatenate(
        [
            np.maximum(sound.unscale(mels[start : start + _BATCH]), floor).mean(2, dtype=np.float64)
            for start in range(0, len(mels), _BATCH)
        ]
    )  # (n, n_mels), averaged over time
    total = power.sum(1)
    return {
        "loudness": 10 * np.log10(total),
        "pitch": 12 * np.log2(centres_hz[power.argmax(1)]),
        "centroid": np.log2(power @ centres_hz / total),
        "flatness": 10 * (np.log10(power).mean(1) - np.log10(power.mean(1))),
    }


def pearson(one: Doubles, other: Doubles) -> float:
    """Correlation; 0 if one of them is constant, which tells nothing about the other."""
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / norm) if norm > 1e-9 * len(one) else 0.0


def spearman(one: Doubles, other: Doubles) -> float:
    """Correlation of ranks; 0 if one of them is constant."""
    return pearson(rankdata(one), rankdata(other))


def median_error(one: Doubles, other: Doubles) -> float:
    """Median absolute difference."""
    return float(np.median(np.abs(one - other)))


_MEASURES: dict[str, tuple[Measure, str]] = {
    "pearson": (pearson, "Pearson correlation"),
    "spearman": (spearman, "Spearman correlation"),
    "median_error": (median_error, "median absolute error"),
}


def attribute_figures(evidence: Evidence) -> Iterator[Figure]:
    """Loudness, pitch and timbre of made sounds against those of the true ones."""
    mind, rows = evidence.mind, evidence.pool.rows
    centres_hz = band_centres_hz(mind.matrices(), mind.sound)
    true = attributes_of(rows.mels, mind.sound, centres_hz)
    made = attributes_of(evidence.answers.made_mels, mind.sound, centres_hz)
    rebuilt = attributes_of(evidence.answers.rebuilt_mels, mind.sound, centres_hz)
    colours = mean_colour(rows.images)
    reference = evidence.pool.known if len(evidence.pool.known) else evidence.pool.unseen
    resampling = evidence.resampling()
    for name, attribute in ATTRIBUTES.items():
        values = true[name]
        wanted = values[evidence.pool.unseen]
        beside = {
            "rebuilt": rebuilt[name],
            "average": np.full(len(wanted), np.median(values[reference])),
        }
        by_colour = _from_colour(evidence, colours, values)
        if by_colour is not None:
            beside["mean_colour_ridge"] = by_colour
        for measure, (function, how) in _MEASURES.items():
            yield Figure(
                key=f"attributes.{name}_{measure}",
                title=f"{attribute.title}, {how}",
                definition=f"{how} of made and true sounds' {attribute.title}: "
                f"{attribute.definition}",
                unit=attribute.unit if measure == "median_error" else "",
                found=_estimate(resampling, function, made[name], wanted),
                count=len(wanted),
                beside={
                    "shuffled": _shuffled(function, made[name], wanted, evidence.seed),
                    **{
                        other: _estimate(resampling, function, found, wanted)
                        for other, found in beside.items()
                    },
                },
                wanted="low" if measure == "median_error" else "high",
            )


def _estimate(
    resampling: Resampling, function: Measure, found: Doubles, wanted: Doubles
) -> Estimate:
    return resampling.of_rows(lambda rows: function(found[rows], wanted[rows]))


def _shuffled(function: Measure, found: Doubles, wanted: Doubles, seed: int) -> Estimate:
    random = np.random.default_rng(seed)
    return spread(np.array([function(found, random.permutation(wanted)) for _ in range(_SHUFFLES)]))


def _from_colour(evidence: Evidence, colours: Array, values: Doubles) -> Doubles | None:
    sources = evidence.pool.rows.sources

    def predict(fit: Indices, apply: Indices) -> Doubles:
        return ridge(colours[fit], values[fit, None], sources[fit], colours[apply], evidence.seed)

    predicted = evidence.folds.predict(predict)
    return None if predicted is None else predicted[:, 0].astype(np.float64)
