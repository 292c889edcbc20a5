"""How well the mirror remembers pictures and sounds, beside what simpler codes would keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ytm_training.comparison import (
    predict_from_components,
    predict_from_mean_colour,
    psnr_db,
    ssim,
)
from ytm_training.evaluation.evidence import Evidence
from ytm_training.evaluation.figure import Estimate, Figure
from ytm_training.evaluation.intervals import Resampling
from ytm_training.evaluation.rows import Indices
from ytm_training.learn.tensors import pictures_to_tensor, tensor_to_pictures

Array = npt.NDArray[np.float32]
Pictures = npt.NDArray[np.uint8]

COMPONENTS = 128
_MOST_COMPARED = 500
"""Pictures whose structural similarity is computed, at 14 ms each."""
_MOST_FITTED = 1500
"""Known pictures that components are fitted on: their cost grows with the square."""
_BATCH = 128


def picture_edges(pictures: Pictures) -> Array:
    """Mean absolute step between neighbouring pixels, 0 to 1: (n, h, w, 3) -> (n,)."""
    return np.concatenate([_edges(part) for part in _parts(pictures)])


def _edges(pictures: Pictures) -> Array:
    values = pictures.astype(np.float32) / 255
    down, across = (np.abs(np.diff(values, axis=axis)).mean((1, 2, 3)) for axis in (1, 2))
    return np.asarray(down + across)


def _parts(pictures: Pictures) -> Iterator[Pictures]:
    for start in range(0, len(pictures), _BATCH):
        yield pictures[start : start + _BATCH]


def fidelity_figures(evidence: Evidence) -> Iterator[Figure]:
    """Of pictures: PSNR, SSIM, edges. Of sounds: error in dB."""
    yield from _pictures(evidence)
    yield from _sounds(evidence)


def _pictures(evidence: Evidence) -> Iterator[Figure]:
    true = evidence.true.images
    versions = {"found": evidence.answers.rebuilt_pictures, **_simple(evidence)}
    resampling = evidence.resampling()
    every = np.arange(len(true))
    some = np.sort(np.random.default_rng(evidence.seed).permutation(every)[:_MOST_COMPARED])
    for key, title, unit, of, how, rows in (
        ("psnr", "PSNR of remembered pictures", "dB", psnr_db, "peak signal-to-noise ratio", every),
        ("ssim", "SSIM of remembered pictures", "", ssim, "structural similarity", some),
    ):
        drawn = Resampling(evidence.true.sources[rows], evidence.seed)
        estimates = {
            name: drawn.mean(_by_parts(of, made[rows], true[rows]))
            for name, made in versions.items()
        }
        yield Figure(
            key=f"fidelity.picture_{key}",
            title=title,
            definition=f"{how} of pictures encoded and decoded, mean over rows",
            unit=unit,
            found=estimates.pop("found"),
            count=len(rows),
            beside=estimates,
        )
    real = picture_edges(true)
    yield Figure(
        key="fidelity.picture_edges",
        title="edges of remembered pictures / real",
        definition="mean absolute step between neighbouring pixels of pictures encoded and decoded"
        " over that of real ones",
        unit="share",
        found=resampling.ratio(picture_edges(versions["found"]), real),
        count=len(true),
        beside={
            "made_from_sound": resampling.ratio(
                picture_edges(evidence.answers.made_pictures), real
            ),
            **{
                name: resampling.ratio(picture_edges(made), real)
                for name, made in versions.items()
                if name != "found"
            },
            "real": Estimate(1.0),
        },
        wanted="one",
    )


def _simple(evidence: Evidence) -> dict[str, Pictures]:
    """Pictures rebuilt from components and from their mean colour, fitted on known ones."""
    images = evidence.pool.rows.images

    def predicted(
        code: Callable[[Tensor, Tensor], Tensor], fit: Indices, apply: Indices
    ) -> Pictures:
        fit = fit[:: -(-len(fit) // _MOST_FITTED)]
        return tensor_to_pictures(
            code(pictures_to_tensor(images[fit]), pictures_to_tensor(images[apply]))
        )

    codes: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        f"components_{COMPONENTS}": partial(predict_from_components, count=COMPONENTS),
        "mean_colour": predict_from_mean_colour,
    }
    made = {name: evidence.folds.predict(partial(predicted, code)) for name, code in codes.items()}
    return {name: part.astype(np.uint8) for name, part in made.items() if part is not None}


def _by_parts(of: Callable[[Tensor, Tensor], Tensor], made: Pictures, true: Pictures) -> Array:
    return np.concatenate(
        [
            of(pictures_to_tensor(one), pictures_to_tensor(other)).numpy()
            for one, other in zip(_parts(made), _parts(true), strict=True)
        ]
    )


def _sounds(evidence: Evidence) -> Iterator[Figure]:
    true, answers, range_db = evidence.true.mels, evidence.answers, evidence.range_db
    resampling = evidence.resampling()

    def error(mels: Array) -> Estimate:
        squares = np.square(mels - true).mean((1, 2))
        found = resampling.mean(squares)
        return Estimate(*(float(np.sqrt(value)) * range_db for value in vars(found).values()))

    average = error(evidence.reference.mels.mean(0, keepdims=True))
    for key, title, mels in (
        ("rebuilt", "error of remembered sounds", answers.rebuilt_mels),
        ("made", "error of made sounds", answers.made_mels),
    ):
        yield Figure(
            key=f"fidelity.sound_error_{key}",
            title=title,
            definition="root mean square distance from the true mel; an average scores well here"
            " and says nothing",
            unit="dB",
            found=error(mels),
            count=len(true),
            beside={"average": average},
            wanted="low",
        )
