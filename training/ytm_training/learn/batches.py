"""Batches from arrays in memory, the same ones for the same epoch, whatever happened before.

Nothing is carried from one epoch to the next: order, augmentation and noise of an epoch follow from
(seed, epoch, process) alone. So a checkpoint that knows its epoch holds the state of all of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Augment = Callable[[Tensor, torch.Generator], Tensor]


def seed_for(seed: int, purpose: str, epoch: int, process: int = 0) -> int:
    """A seed for one purpose in one epoch of one process."""
    return zlib.crc32(f"{seed}/{purpose}/{epoch}/{process}".encode())


def generator_for(seed: int, purpose: str, epoch: int, process: int = 0) -> torch.Generator:
    """A generator for one purpose in one epoch of one process."""
    return torch.Generator().manual_seed(seed_for(seed, purpose, epoch, process))


class Batches:
    """Batches of `samples` by index; shuffled, shared among processes, remade every epoch."""

    def __init__(self, samples: Tensor | tuple[Tensor, ...], batch_size: int) -> None:
        """Serve `samples`, (n, ...) each, in order until `shuffle` is called."""
        self._samples = samples if isinstance(samples, tuple) else (samples,)
        self._batch_size = batch_size
        self._seed: int | None = None
        self._augment: Augment | None = None
        self._process, self._processes = 0, 1
        self._epoch = 0

    def shuffle(self, seed: int, augment: Augment | None = None) -> Batches:
        """Shuffle every epoch anew, and augment the first tensor of a batch."""
        self._seed, self._augment = seed, augment
        return self

    def share(self, process: int, processes: int) -> None:
        """Serve only every `processes`-th sample, beginning at `process`."""
        self._process, self._processes = process, processes

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch the next iteration belongs to."""
        self._epoch = epoch

    def _order(self) -> Tensor:
        count = len(self._samples[0])
        if self._seed is None:
            order = torch.arange(count)
        else:
            order = torch.randperm(count, generator=generator_for(self._seed, "order", self._epoch))
            order = order[: max(1, count // self._processes) * self._processes]
        return order[self._process :: self._processes]

    def __len__(self) -> int:
        return max(1, -(-len(self._order()) // self._batch_size))

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        random = None
        if self._seed is not None:
            random = generator_for(self._seed, "augment", self._epoch, self._process)
        # BatchNorm cannot learn from a batch of one: the last two batches share what is left.
        for chosen in self._order().tensor_split(len(self)):
            first, *rest = (samples[chosen] for samples in self._samples)
            if self._augment is not None and random is not None:
                first = self._augment(first, random)
            yield (first, *rest)
