"""What kind each segment is: by the dataset's own word, or by what the machine finds alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

UNKNOWN = -1
_PER_CLUSTER = 24
_MOST_CLUSTERS = 64


def labels_of(categories: Sequence[str | None]) -> Tensor:
    """Numbers of the categories, (n,); `UNKNOWN` where there is none."""
    numbers = {name: index for index, name in enumerate(sorted({c for c in categories if c}))}
    return torch.tensor([numbers[name] if name else UNKNOWN for name in categories])


def clusters_of(seen: Tensor, heard: Tensor, train: Tensor, seed: int) -> Tensor:
    """Clusters of segments whose pictures and sounds are alike, (n,).

    Args:
        seen: image latents (n, d).
        heard: sound latents (n, d).
        train: indices of the segments whose latents decide what clusters there are (k-means).
        seed: of the clustering.
    """
    both = torch.cat([_standardised(latents, train) for latents in (seen, heard)], 1).numpy()
    count = int(np.clip(len(train) // _PER_CLUSTER, 2, _MOST_CLUSTERS))
    centres, _ = kmeans2(both[train], count, minit="++", rng=np.random.default_rng(seed))
    distances = torch.cdist(torch.from_numpy(both), torch.from_numpy(centres))
    return distances.argmin(1)


def _standardised(latents: Tensor, train: Tensor) -> Tensor:
    known = latents[train]
    return (latents - known.mean(0)) / known.std(0, correction=0).clamp_min(1e-3)
