"""Does each picture get its own sound, and each sound its own picture?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ytm_training.evaluation.baselines import components, nearest, ridge
from ytm_training.evaluation.evidence import Evidence
from ytm_training.evaluation.features import colour_histogram, mel_profile, thumbnails
from ytm_training.evaluation.figure import Figure
from ytm_training.evaluation.retrieval import DEPTHS, Retrieval
from ytm_training.evaluation.rows import Indices

Array = npt.NDArray[np.float32]

ACTIVE_VARIANCE = 0.01
"""A latent dimension whose mean varies less than this says nothing."""
_BY_COMPONENTS = "components_ridge"
_COMPONENTS = 128

_TITLES = {
    **{f"r_at_{k}": f"true one among the first {k}" for k in DEPTHS},
    "median_rank": "median rank",
    "mrr": "mean reciprocal rank",
    **{f"source_r_at_{k}": f"true video among the first {k}" for k in DEPTHS},
    "source_mrr": "mean reciprocal rank of the video",
    **{f"any_r_at_{k}": f"any segment of the true video among the first {k}" for k in DEPTHS},
}
_HOW = {
    "r_at": "share of rows whose own true one is among the K nearest of all rows measured",
    "median_rank": "median over rows of the rank of the true one, 1 is best",
    "mrr": "mean over rows of 1 / rank of the true one",
    "source_r_at": "share of videos, each counted alike, that are among the K nearest videos; a"
    " video is as near as its nearest segment",
    "source_mrr": "mean over videos of 1 / rank of the video, as near as its nearest segment",
    "any_r_at": "share of rows for which any segment of the same video is among the K nearest; one"
    " constant answer may score up to K / number of videos here, slightly above chance",
}


@dataclass(frozen=True)
class Space:
    """Where answers and truths are compared."""

    name: str
    about: str
    answers: Array
    """(n, v) what was generated for the rows measured."""
    truths: Array
    """(m, v) the true ones of all rows of the pool."""
    average: Array
    """(1, v) of the reference's average."""


def association_figures(evidence: Evidence) -> Iterator[Figure]:
    """Retrieval in both directions, each in two spaces."""
    rows, answers = evidence.pool.rows, evidence.answers
    small = thumbnails(rows.images)
    profile = mel_profile(rows.mels)
    seeing = {"histogram_ridge": colour_histogram(rows.images), _BY_COMPONENTS: small}
    hearing = {"profile_ridge": profile, _BY_COMPONENTS: _level_map(rows.mels)}
    mean_mel = evidence.reference.mels.mean(0, keepdims=True)
    sounds = [
        Space(
            "mel",
            "Euclidean distance of the scaled mels' mean and deviation over time in each band",
            mel_profile(answers.made_mels),
            profile,
            mel_profile(mean_mel),
        ),
        _latent_space(evidence, answers.imagined_sounds, answers.heard),
    ]
    reference = evidence.pool.known if len(evidence.pool.known) else evidence.pool.unseen
    pictures = [
        Space(
            "picture",
            "Euclidean distance of pictures averaged over 16 by 16 blocks",
            thumbnails(answers.made_pictures),
            small,
            small[reference].mean(0, keepdims=True),
        ),
        _latent_space(evidence, answers.imagined_pictures, answers.seen),
    ]
    for name, spaces, features, own in (
        ("image_to_sound", sounds, seeing, answers.seen),
        ("sound_to_image", pictures, hearing, answers.heard),
    ):
        for space in spaces:
            yield from _figures(evidence, name, space, features, own)


def _level_map(mels: Array) -> Array:
    """Mels averaged over at most 32 bands by 16 times, flat: (n, v)."""
    for axis, most in ((1, 32), (2, 16)):
        size = mels.shape[axis]
        starts = np.unique(np.linspace(0, size, min(most, size) + 1).astype(int)[:-1])
        shape = [1, 1, 1]
        shape[axis] = -1
        widths = np.diff([*starts, size]).reshape(shape)
        mels = np.asarray(np.add.reduceat(mels, starts, axis=axis) / widths, np.float32)
    return mels.reshape(len(mels), -1)


def _latent_space(evidence: Evidence, made: Array, true: Array) -> Space:
    """Latents standardised by those of the true ones, less the dimensions that say nothing."""
    mean, deviation = true.mean(0), true.std(0)
    active = deviation**2 > ACTIVE_VARIANCE
    if not active.any():
        active = deviation >= deviation.max()

    def standard(latents: Array) -> Array:
        return np.asarray(((latents - mean) / np.maximum(deviation, 1e-12))[:, active])

    known = evidence.pool.known if len(evidence.pool.known) else evidence.pool.unseen
    return Space(
        "latent",
        "Euclidean distance of latents, standardised by the true ones of all rows, over the"
        f" dimensions whose variance exceeds {ACTIVE_VARIANCE:g}",
        standard(made),
        standard(true),
        standard(true[known].mean(0, keepdims=True)),
    )


def _figures(
    evidence: Evidence, direction: str, space: Space, features: dict[str, Array], own: Array
) -> Iterator[Figure]:
    unseen = evidence.pool.unseen
    retrieval = Retrieval(space.truths[unseen], evidence.pool.rows.sources[unseen], evidence.seed)
    found = retrieval.scores(space.answers)
    beside = {
        "chance": retrieval.chance(),
        "shuffled": retrieval.shuffled(space.answers),
        "average": retrieval.scores(space.average),
        **{
            name: retrieval.scores(queries)
            for name, queries in _simple_answers(evidence, space, features, own).items()
        },
    }
    for name, estimate in found.items():
        how = next(text for prefix, text in _HOW.items() if name.startswith(prefix))
        yield Figure(
            key=f"{direction}.{space.name}.{name}",
            title=_TITLES[name],
            definition=f"{how}. {space.about}.",
            unit="" if name == "median_rank" else "share",
            found=estimate,
            count=len(unseen),
            beside={other: scores[name] for other, scores in beside.items() if name in scores},
            wanted="low" if name == "median_rank" else "high",
        )


def _simple_answers(
    evidence: Evidence, space: Space, features: dict[str, Array], own: Array
) -> dict[str, Array]:
    """By name: what simpler means, fitted on known material, say in `space`: (n, v) each."""
    sources = evidence.pool.rows.sources

    def by_ridge(name: str, fit: Indices, apply: Indices) -> npt.NDArray[np.floating]:
        known: npt.NDArray[np.floating] = features[name][fit]
        unseen: npt.NDArray[np.floating] = features[name][apply]
        if name == _BY_COMPONENTS:
            known, unseen = components(known, unseen, _COMPONENTS)
        return ridge(known, space.truths[fit], sources[fit], unseen, evidence.seed)

    def by_nearest(fit: Indices, apply: Indices) -> Array:
        return space.truths[fit][nearest(own[fit], own[apply])]

    ways: dict[str, Callable[[Indices, Indices], npt.NDArray[np.floating]]] = {
        **{name: partial(by_ridge, name) for name in features},
        "nearest_known": by_nearest,
    }
    made = {name: evidence.folds.predict(way) for name, way in ways.items()}
    return {name: queries for name, queries in made.items() if queries is not None}
