"""Is the answer to a picture nearer to that picture's own sound than to the others'?

A query is what was generated, the candidates are the true ones of all rows measured. Where several
candidates are equally far, each order of them is equally probable, so that an answer that is always
the same scores exactly chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom

from ytm_training.evaluation.figure import Estimate
from ytm_training.evaluation.intervals import Resampling, spread

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Names = npt.NDArray[np.object_]

DEPTHS = (1, 5, 10)
_SHUFFLES = 40
_PerRow = dict[str, tuple[Doubles, Doubles]]
"""What each row scores, (n,), and how much it counts, (n,)."""
_EQUAL = 1e-9
"""Squared distances closer than this, relative to the spread of the candidates, are the same."""


@dataclass(frozen=True)
class Ranks:
    """Where what is true stands among what could be, for each of n queries."""

    before: Doubles
    """(n,) candidates that are nearer."""
    tied: Doubles
    """(n,) candidates as near as the true one, itself included."""
    own: Doubles
    """(n,) how many of the tied are true."""
    candidates: int

    def hits(self, depth: int) -> Doubles:
        """(n,) probability that a true one is among the first `depth`."""
        places = np.clip(depth - self.before, 0, self.tied)
        return 1 - np.asarray(hypergeom.pmf(0, self.tied, self.own, places))

    def means(self) -> Doubles:
        """(n,) rank of a true one among the tied, 1 is the best."""
        return self.before + (self.tied + 1) / 2

    def reciprocals(self) -> Doubles:
        """(n,) expected 1 / rank."""
        harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, self.candidates + 1))])
        first, last = self.before.astype(int), (self.before + self.tied).astype(int)
        return np.asarray((harmonic[last] - harmonic[first]) / self.tied)


class Distances:
    """How far n queries are from m candidates, and from the sources that these belong to."""

    def __init__(self, squares: Doubles, sources: Indices, tolerance: float = 0.0) -> None:
        """Squared distances (n, m), up to a constant for each query; sources (m,) from 0 on."""
        order = np.argsort(sources, kind="stable")
        starts = np.flatnonzero(np.diff(sources[order], prepend=-1))
        self._squares, self._sources, self._tolerance = squares, sources, tolerance
        self._nearest = np.minimum.reduceat(squares[:, order], starts, axis=1)  # (n, sources)

    @classmethod
    def between(
        cls,
        queries: npt.NDArray[np.floating],
        candidates: npt.NDArray[np.floating],
        sources: Indices,
    ) -> Distances:
        """Of queries (n, d), or (1, d) for one answer to all, and candidates (m, d)."""
        centre = candidates.mean(0, dtype=np.float64)
        near, far = (queries - centre).astype(np.float64), (candidates - centre).astype(np.float64)
        norms = (far**2).sum(1)
        squares = np.broadcast_to(norms - 2 * near @ far.T, (len(candidates),) * 2)
        return cls(squares, sources, _EQUAL * max(float(norms.mean()), 1e-300))

    def segments(self, truth: Indices) -> Ranks:
        """Ranks of segments, if that of query i is `truth[i]`."""
        return self._ranks(self._squares, truth)

    def sources(self, own: Indices) -> Ranks:
        """Ranks of sources, each as near as its nearest segment, if that of query i is `own[i]`."""
        return self._ranks(self._nearest, own)

    def any_segment(self, own: Indices) -> Ranks:
        """Ranks of the nearest segment of the source `own[i]`."""
        nearest = np.take_along_axis(self._nearest, own[:, None], axis=1)
        tied = np.abs(self._squares - nearest) <= self._tolerance
        before = (self._squares < nearest - self._tolerance).sum(1)
        mine = (tied & (self._sources[None, :] == own[:, None])).sum(1)
        return _ranks(before, tied.sum(1), mine, self._squares.shape[1])

    def _ranks(self, squares: Doubles, truth: Indices) -> Ranks:
        own = np.take_along_axis(squares, truth[:, None], axis=1)
        before = (squares < own - self._tolerance).sum(1)
        tied = (np.abs(squares - own) <= self._tolerance).sum(1)
        return _ranks(before, tied, np.ones(len(truth)), squares.shape[1])


def _ranks(
    before: npt.NDArray[np.generic],
    tied: npt.NDArray[np.generic],
    own: npt.NDArray[np.generic],
    candidates: int,
) -> Ranks:
    return Ranks(
        before.astype(np.float64), tied.astype(np.float64), own.astype(np.float64), candidates
    )


class Retrieval:
    """Retrieval among n true candidates, each of one row measured and of some source.

    Scores have names: of segments `r_at_K`, `median_rank`, `mrr`; of sources, `source_r_at_K` and
    `source_mrr`, which count every source alike; `any_r_at_K` looks for any segment of the source.
    """

    def __init__(self, candidates: npt.NDArray[np.floating], sources: Names, seed: int) -> None:
        """Candidates (n, d), sources (n,) str."""
        self._candidates, self._seed = candidates, seed
        self._resampling = Resampling(sources, seed)
        _, self._source = np.unique(sources.astype(str), return_inverse=True)
        self._rows = np.arange(len(sources))
        self._alike: Doubles = 1 / np.bincount(self._source)[self._source]

    def scores(self, queries: npt.NDArray[np.floating]) -> dict[str, Estimate]:
        """Scores of queries, (n, d), or (1, d) for one answer to all."""
        distances = Distances.between(queries, self._candidates, self._source)
        found = self._found(distances, self._rows, self._source)
        found |= self._found_any(distances)
        ranks = found["median_rank"][0]
        return {
            **{
                name: self._resampling.ratio(values * weights, weights)
                for name, (values, weights) in found.items()
            },
            "median_rank": self._resampling.of_rows(lambda rows: float(np.median(ranks[rows]))),
        }

    def shuffled(self, queries: npt.NDArray[np.floating]) -> dict[str, Estimate]:
        """Scores if another row's candidate were the true one: mean and spread of many shuffles."""
        distances = Distances.between(queries, self._candidates, self._source)
        random = np.random.default_rng(self._seed)
        trials: dict[str, list[float]] = {}
        for _ in range(_SHUFFLES):
            truth = random.permutation(self._rows)
            own = random.permutation(self._source.max() + 1)[self._source]
            for name, value in _averages(self._found(distances, truth, own)).items():
                trials.setdefault(name, []).append(value)
        return {name: spread(np.array(values)) for name, values in trials.items()}

    def chance(self) -> dict[str, Estimate]:
        """Scores if all candidates were equally far: exact."""
        equal = Distances(np.zeros((len(self._rows),) * 2), self._source)
        found = self._found(equal, self._rows, self._source) | self._found_any(equal)
        return {name: Estimate(value) for name, value in _averages(found).items()}

    def _found(self, distances: Distances, truth: Indices, own: Indices) -> _PerRow:
        segments, sources = distances.segments(truth), distances.sources(own)
        every = np.ones(len(truth))
        return {
            **{f"r_at_{k}": (segments.hits(k), every) for k in DEPTHS},
            "median_rank": (segments.means(), every),
            "mrr": (segments.reciprocals(), every),
            **{f"source_r_at_{k}": (sources.hits(k), self._alike) for k in DEPTHS},
            "source_mrr": (sources.reciprocals(), self._alike),
        }

    def _found_any(self, distances: Distances) -> _PerRow:
        ranks = distances.any_segment(self._source)
        return {f"any_r_at_{k}": (ranks.hits(k), np.ones(len(self._rows))) for k in DEPTHS}


def _averages(found: _PerRow) -> dict[str, float]:
    return {
        name: float(
            np.median(values) if name == "median_rank" else np.average(values, weights=weights)
        )
        for name, (values, weights) in found.items()
    }
