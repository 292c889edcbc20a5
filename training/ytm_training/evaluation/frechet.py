"""How far the distribution of what is made lies from that of what is real.

Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium",
2017; here on the mels' own statistics and on the latents of the demo bundle, which every
evaluation has, so that figures of different mirrors compare.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ytm_device.bundles import DEMO_BUNDLE
from ytm_training.evaluation.bundle_mind import bundle_mind
from ytm_training.evaluation.evidence import Evidence
from ytm_training.evaluation.features import mel_profile
from ytm_training.evaluation.figure import Estimate, Figure
from ytm_training.evaluation.intervals import Resampling
from ytm_training.picture import fit_image

Array = npt.NDArray[np.floating]
Pictures = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]

_MOST_COMPONENTS = 32
_ROWS_PER_COMPONENT = 8
_MOST_ROWS = 500
"""Pictures that are shown to the demo bundle, of each kind."""


def frechet_distance(one: Array, other: Array) -> float:
    """Squared Frechet distance of two Gaussians fitted to vectors (n, v) and (m, v)."""
    size = one.shape[1]
    apart = one.mean(0, dtype=np.float64) - other.mean(0, dtype=np.float64)
    first, second = (
        np.cov(part, rowvar=False, bias=True).reshape(size, size) for part in (one, other)
    )
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    # The root of a product of covariances has the trace of this symmetric one's root.
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    squared = (apart**2).sum() + np.trace(first) + np.trace(second) - 2 * shared
    return max(0.0, float(squared))


def frechet_figures(evidence: Evidence) -> Iterator[Figure]:
    """Of sounds and of pictures; nothing if there are too few rows for a covariance."""
    if len(evidence.pool.unseen) < 2 * _ROWS_PER_COMPONENT:
        return
    answers, true, reference = evidence.answers, evidence.true, evidence.reference
    mels = {
        "made": answers.made_mels,
        "real": true.mels,
        "rebuilt": answers.rebuilt_mels,
        "known": reference.mels,
        "average": reference.mels.mean(0, keepdims=True),
    }
    yield _figure(
        evidence,
        "sound",
        {name: mel_profile(part) * evidence.range_db for name, part in mels.items()},
        "mean and deviation over time, in dB, of each band of the mel",
        evidence.resampling(),
    )
    chosen = np.arange(len(true))
    chosen = np.random.default_rng(evidence.seed).permutation(chosen)[:_MOST_ROWS]
    average = np.rint(reference.images.mean(0, keepdims=True)).astype(np.uint8)
    pictures = {
        "made": answers.made_pictures[chosen],
        "real": true.images[chosen],
        "rebuilt": answers.rebuilt_pictures[chosen],
        "known": reference.images[:: max(1, len(reference) // len(chosen))][: len(chosen)],
        "average": average,
    }
    yield _figure(
        evidence,
        "picture",
        _demo_latents(pictures),
        "image latents of the demo bundle",
        Resampling(true.sources[chosen], evidence.seed),
    )


def _demo_latents(pictures: dict[str, Pictures]) -> dict[str, Array]:
    with bundle_mind(DEMO_BUNDLE) as demo:
        return {
            name: demo.see(np.stack([fit_image(picture, demo.image) for picture in part]))
            for name, part in pictures.items()
        }


def _figure(
    evidence: Evidence, sense: str, vectors: dict[str, Array], about: str, resampling: Resampling
) -> Figure:
    count = len(vectors["real"])
    size = min(_MOST_COMPONENTS, vectors["real"].shape[1], count // _ROWS_PER_COMPONENT)
    mean = vectors["real"].mean(0)
    _, basis = np.linalg.eigh(np.cov(vectors["real"], rowvar=False))
    reduced = {name: (part - mean) @ basis[:, -size:] for name, part in vectors.items()}
    real = reduced["real"]

    def estimate(name: str) -> Estimate:
        part = reduced[name]
        return resampling.of_rows(lambda rows: frechet_distance(part[rows], real[rows]))

    beside = {"rebuilt": estimate("rebuilt")}
    beside["average"] = Estimate(frechet_distance(reduced["average"].repeat(2, 0), real))
    if len(evidence.pool.known):
        beside["known"] = Estimate(frechet_distance(reduced["known"], real))
    return Figure(
        key=f"frechet.{sense}",
        title=f"Frechet distance of made {sense}s from real ones",
        definition=f"squared Frechet distance between {about}, reduced to the {size} principal"
        " components of the real ones. `known` is the distance of real known material from the real"
        " material measured: the least that can be expected. Grows as rows get fewer",
        unit="",
        found=estimate("made"),
        count=count,
        beside=beside,
        wanted="low",
    )
