"""An independent judge: a small network that learned classes from real material alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from ytm_training.evaluation.folds import source_parts
from ytm_training.evaluation.rows import Indices, Names
from ytm_training.learn.batches import Batches

_SIDE = 32
_WIDTHS = (24, 48, 96)
_POOLED = 3
_BATCH = 64
_LEARNING_RATE = 5e-3
_HELD_OUT_PARTS = 7
_SHIFT = 2
"""Pixels by which training examples are moved at random."""


def reduced(values: npt.NDArray[np.generic]) -> Tensor:
    """Pictures (n, h, w, 3) uint8, or mels (n, n_mels, frames), as the probe takes them.

    float32 (n, channels, at most 32, at most 32), 0 to 1.
    """
    parts = []
    for start in range(0, len(values), 256):
        part = torch.from_numpy(values[start : start + 256])
        part = part.permute(0, 3, 1, 2) / 255 if part.ndim == 4 else part[:, None]
        size = (min(_SIDE, part.shape[2]), min(_SIDE, part.shape[3]))
        parts.append(functional.adaptive_avg_pool2d(part.float(), size))
    return torch.cat(parts)


@dataclass(frozen=True)
class Probe:
    """A trained judge."""

    network: nn.Module

    @torch.inference_mode()
    def classes(self, values: npt.NDArray[np.generic]) -> Indices:
        """The class of each row, (n,), by pictures or mels as it was trained on."""
        answers = [self.network(part).argmax(1) for part in torch.split(reduced(values), 256)]
        return torch.cat(answers).numpy() if answers else np.zeros(0, np.int64)


def train_probe(
    values: npt.NDArray[np.generic], classes: Indices, sources: Names, steps: int, seed: int
) -> Probe:
    """Train a judge on real pictures or mels, (n, ...), of known classes, (n,) from 0 on.

    About `steps` steps; the weights kept are those of the epoch after which the loss on a seventh
    of the sources, held out, is least.
    """
    held_out = source_parts(sources, _HELD_OUT_PARTS, seed) == 0
    if held_out.all():
        held_out[:] = False
    inputs, targets = reduced(values), torch.from_numpy(classes)
    teach, check = torch.from_numpy(~held_out), torch.from_numpy(held_out)
    batches = Batches((inputs[teach], targets[teach]), _BATCH).shuffle(seed, _shift)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(inputs.shape[1], int(classes.max()) + 1)
        _fit(network, batches, inputs[check], targets[check], steps)
    return Probe(network.eval())


def _network(channels: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for inside, outside in zip((channels, *_WIDTHS), _WIDTHS, strict=False):
        layers += [
            nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(_POOLED),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(_WIDTHS[-1] * _POOLED**2, classes),
    )


def _shift(inputs: Tensor, random: torch.Generator) -> Tensor:
    """Move each of (n, c, h, w) a little; what falls out on one side comes in on the other."""
    moves = torch.randint(-_SHIFT, _SHIFT + 1, (len(inputs), 2), generator=random).tolist()
    return torch.stack(
        [torch.roll(each, move, (1, 2)) for each, move in zip(inputs, moves, strict=True)]
    )


def _fit(network: nn.Module, batches: Batches, inputs: Tensor, targets: Tensor, steps: int) -> None:
    """Fit to `batches`, and keep the weights that did best on `inputs`, if there are any."""
    optimiser = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=1e-2)
    epochs = max(1, steps // len(batches))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, _LEARNING_RATE, total_steps=epochs * len(batches)
    )
    least, kept = math.inf, network.state_dict()
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        network.train()
        for part, wanted in batches:
            optimiser.zero_grad()
            functional.cross_entropy(network(part), wanted).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        loss = _loss(network, inputs, targets) if len(inputs) else -float(epoch)
        if loss < least:
            least = loss
            kept = {name: weight.clone() for name, weight in network.state_dict().items()}
    network.load_state_dict(kept)


@torch.no_grad()
def _loss(network: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    network.eval()
    answers = torch.cat([network(part) for part in torch.split(inputs, 256)])
    return float(functional.cross_entropy(answers, targets))
