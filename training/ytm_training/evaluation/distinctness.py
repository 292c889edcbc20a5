"""Do different pictures get different sounds, as sharp as real ones, and the same the same?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from ytm_training.evaluation.association import ACTIVE_VARIANCE
from ytm_training.evaluation.evidence import Evidence
from ytm_training.evaluation.features import thumbnails
from ytm_training.evaluation.figure import Estimate, Figure
from ytm_training.evaluation.intervals import Resampling

Array = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Pictures = npt.NDArray[np.uint8]

STEADINESS_PICTURES = 200
STEADINESS_COPIES = 8
_SHIFT_PX = 1
_GAIN = 0.05
_NOISE = 2.0
"""Deviation of the camera's noise, of 255."""


class Spread:
    """Variance of n vectors, for any weights of their groups, by products of group sums alone."""

    def __init__(self, vectors: Array, resampling: Resampling) -> None:
        """Vectors (n, v), of rows that `resampling` draws."""
        centred = (vectors - vectors.mean(0)).astype(np.float32)
        sums = np.zeros((len(resampling.counts), centred.shape[1]), np.float32)
        np.add.at(sums, resampling.group, centred)
        self._products = (sums @ sums.T).astype(np.float64)
        self._squares = resampling.sums((centred.astype(np.float64) ** 2).sum(1))
        self._counts, self._size = resampling.counts, centred.shape[1]

    def total(self, weights: Doubles) -> Doubles:
        """Variance, mean over elements, for group weights (b, g): (b,)."""
        count = weights @ self._counts
        square = weights @ self._squares / count
        return np.asarray((square - self._mean_square(weights, count)) / self._size)

    def between(self, weights: Doubles) -> Doubles:
        """Variance of the groups' means, by their rows, mean over elements: (b,)."""
        count = weights @ self._counts
        own = weights @ (np.diag(self._products) / self._counts) / count
        return np.asarray((own - self._mean_square(weights, count)) / self._size)

    def _mean_square(self, weights: Doubles, count: Doubles) -> Doubles:
        return np.asarray(((weights @ self._products) * weights).sum(1) / count**2)


def distinctness_figures(evidence: Evidence) -> Iterator[Figure]:
    """Variance, sharpness, steadiness, and how much of the latents is used."""
    yield from _variance(evidence)
    yield from _sharpness(evidence)
    yield from _steadiness(evidence)
    for sense, latents in (("image", evidence.answers.seen), ("sound", evidence.answers.heard)):
        yield _active(evidence, sense, latents[evidence.pool.unseen])


def _variance(evidence: Evidence) -> Iterator[Figure]:
    resampling, answers, true = evidence.resampling(), evidence.answers, evidence.true
    by_source = resampling.unit == "sources"
    for sense, made, rebuilt, real in (
        ("sound", _flat(answers.made_mels), _flat(answers.rebuilt_mels), _flat(true.mels)),
        (
            "picture",
            thumbnails(answers.made_pictures),
            thumbnails(answers.rebuilt_pictures),
            thumbnails(true.images),
        ),
    ):
        spreads = [Spread(part, resampling) for part in (made, rebuilt, real)]
        for kind, about in (("total", "all rows"), ("between", "the means of the videos")):
            if kind == "between" and not by_source:
                continue
            estimates = [_ratio(resampling, part, spreads[2], kind) for part in spreads[:2]]
            yield Figure(
                key=f"distinctness.{sense}_variance_{kind}",
                title=f"variance of made {sense}s / real, {about}",
                definition=f"variance over {about}, mean over the elements of scaled mels or of"
                " pictures averaged over 16 by 16 blocks, of generated over that of real ones",
                unit="share",
                found=estimates[0],
                count=len(true),
                beside={"rebuilt": estimates[1], "average": Estimate(0.0), "real": Estimate(1.0)},
                wanted="one",
            )


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1)


def _ratio(resampling: Resampling, above: Spread, below: Spread, kind: str) -> Estimate:
    return resampling.of_groups(
        lambda weights: getattr(above, kind)(weights) / getattr(below, kind)(weights)
    )


def mel_edges(mels: Array) -> Array:
    """Mean absolute step from band to band and from frame to frame: (n, bands, frames) -> (n,)."""
    return np.asarray(
        np.abs(np.diff(mels, axis=1)).mean((1, 2)) + np.abs(np.diff(mels, axis=2)).mean((1, 2))
    )


def _sharpness(evidence: Evidence) -> Iterator[Figure]:
    resampling, answers, true = evidence.resampling(), evidence.answers, evidence.true
    real = mel_edges(true.mels)
    average = np.broadcast_to(mel_edges(evidence.reference.mels.mean(0)[None]), real.shape)
    yield Figure(
        key="distinctness.sound_sharpness",
        title="sharpness of made sounds / real",
        definition="mean absolute step of scaled mels between neighbouring bands plus that between"
        " frames, of generated over that of real ones",
        unit="share",
        found=resampling.ratio(mel_edges(answers.made_mels), real),
        count=len(true),
        beside={
            "rebuilt": resampling.ratio(mel_edges(answers.rebuilt_mels), real),
            "average": resampling.ratio(average, real),
            "real": Estimate(1.0),
        },
        wanted="one",
    )


def camera_copies(picture: Pictures, copies: int, random: np.random.Generator) -> Pictures:
    """A picture (h, w, 3) as a camera might give it, `copies` times.

    Each shifted by up to a pixel, with up to 5 % more or less light, and noise of deviation 2/255.
    """
    made = np.empty((copies, *picture.shape), np.uint8)
    padded = np.pad(picture, ((_SHIFT_PX,) * 2, (_SHIFT_PX,) * 2, (0, 0)), mode="edge")
    height, width = picture.shape[:2]
    for copy in made:
        down, across = random.integers(0, 2 * _SHIFT_PX + 1, 2)
        shifted = padded[down : down + height, across : across + width]
        gain = 1 + random.uniform(-_GAIN, _GAIN)
        noisy = shifted * gain + random.normal(0, _NOISE, picture.shape)
        copy[:] = np.clip(np.rint(noisy), 0, 255)
    return made


def _steadiness(evidence: Evidence) -> Iterator[Figure]:
    random = np.random.default_rng(evidence.seed)
    count = min(STEADINESS_PICTURES, len(evidence.pool.unseen))
    chosen = np.sort(random.choice(len(evidence.pool.unseen), count, replace=False))
    true = evidence.true.take(chosen)
    mind = evidence.mind
    means, within = [], []
    for picture in true.images:
        copies = camera_copies(picture, STEADINESS_COPIES, random)
        mels = mind.sound_from(mind.sound_of(mind.see(copies)))
        means.append(mels.mean(0).ravel())
        within.append(float(mels.var(0).mean()))
    resampling = Resampling(true.sources, evidence.seed)
    between = Spread(np.stack(means), resampling)
    inside = resampling.sums(np.array(within))
    counts = resampling.counts

    def unsteadiness(weights: Doubles) -> Doubles:
        return np.asarray((weights @ inside) / (weights @ counts) / between.total(weights))

    how = (
        f"variance of generated mels among {STEADINESS_COPIES} copies of one picture under camera"
        f" noise (shift by up to {_SHIFT_PX} pixel, gain up to {_GAIN:.0%}, noise of deviation"
        f" {_NOISE:g}/255), mean over {count} pictures"
    )
    yield from _both_ways(resampling.of_groups, unsteadiness, how, count)


def _both_ways(
    estimate: Callable[[Callable[[Doubles], Doubles]], Estimate],
    unsteadiness: Callable[[Doubles], Doubles],
    how: str,
    count: int,
) -> Iterator[Figure]:
    yield Figure(
        key="distinctness.unsteadiness",
        title="change of made sounds under camera noise / between pictures",
        definition=f"{how}, over the variance between the pictures' means; 5 % or less is wanted",
        unit="share",
        found=estimate(unsteadiness),
        count=count,
        wanted="low",
    )
    yield Figure(
        key="distinctness.between_over_within",
        title="change between pictures / under camera noise",
        definition=f"variance between the pictures' mean generated mels, over this: {how}. It"
        " rewards averages: read it beside the variance",
        unit="",
        found=estimate(lambda weights: 1 / unsteadiness(weights)),
        count=count,
    )


def _active(evidence: Evidence, sense: str, latents: Array) -> Figure:
    resampling = evidence.resampling()
    return Figure(
        key=f"distinctness.{sense}_active_dimensions",
        title=f"active dimensions of the {sense} latent",
        definition=f"dimensions whose posterior mean varies by more than {ACTIVE_VARIANCE:g} among"
        f" the rows measured, of {latents.shape[1]}",
        unit="",
        found=resampling.of_rows(
            lambda rows: float((latents[rows].var(0) > ACTIVE_VARIANCE).sum())
        ),
        count=len(latents),
    )
