"""Which sources teach, which decide when to stop, and which are only ever measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from ytm_bundle.errors import DatasetError

MIN_SOURCES = 3


class Split(BaseModel):
    """Sources by their use; no source stands in two lists, so no video leaks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def split_sources(
    sources: Sequence[str], validation_share: float, test_share: float, seed: int
) -> Split:
    """Divide the distinct `sources` at random, at least one in each part.

    Raises:
        DatasetError: fewer than three distinct sources.
    """
    distinct = sorted(set(sources))
    if len(distinct) < MIN_SOURCES:
        raise DatasetError(
            f"the dataset has segments of {len(distinct)} video(s); training needs {MIN_SOURCES} or"
            " more, since whole videos are kept apart for validation and test: collect more videos"
        )
    order = np.random.default_rng(seed).permutation(len(distinct))
    shuffled = [distinct[index] for index in order]
    test = max(1, round(test_share * len(shuffled)))
    validation = max(1, round(validation_share * len(shuffled)))
    return Split(
        test=tuple(sorted(shuffled[:test])),
        validation=tuple(sorted(shuffled[test : test + validation])),
        train=tuple(sorted(shuffled[test + validation :])),
    )
