"""An epoch of the two VAEs beside a plain loop, and beside other ways to compute it."""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from in_turn import Way, cpu_s_in_turn, ratio
from ytm_training.learn.augment import augment_mels, augment_pictures
from ytm_training.learn.batches import Batches
from ytm_training.learn.config import CONTINUOUS, VaeSettings
from ytm_training.learn.fitting import fit
from ytm_training.learn.stages import VaeStage
from ytm_training.learn.tensors import mels_to_tensor, pictures_to_tensor
from ytm_training.models.vae import Vae

EPOCH = 128
"""Samples of an epoch: two batches."""
ROUNDS = 7

Augmentation = Callable[[float, Tensor, torch.Generator], Tensor]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As many threads for every way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Sense:
    """What one of the two VAEs of `continuous` is made of."""

    settings: VaeSettings
    size: tuple[int, int, int]
    augmentation: Augmentation
    samples: list[Any]
    """As they lie in memory before training: PIL pictures, or mels as arrays."""
    convert: Callable[[Any], Tensor]
    """One of them -> (c, h, w)."""

    def network(self) -> Vae:
        torch.manual_seed(0)
        return Vae(self.settings.shape(self.size, CONTINUOUS.latent_size))

    def together(self) -> Tensor:
        """All samples, (n, c, h, w)."""
        return torch.stack([self.convert(sample) for sample in self.samples])


def _pictures() -> Sense:
    side = CONTINUOUS.picture.size
    pixels = np.random.default_rng(0).integers(0, 256, (EPOCH, side, side, 3), np.uint8)
    return Sense(
        CONTINUOUS.image_vae,
        (3, side, side),
        augment_pictures,
        [Image.fromarray(picture) for picture in pixels],
        lambda picture: pictures_to_tensor(np.array(picture)[None])[0],
    )


def _sounds() -> Sense:
    shape = (CONTINUOUS.sound.n_mels, CONTINUOUS.sound.frames)
    mels = np.random.default_rng(0).random((EPOCH, *shape), np.float32)
    return Sense(
        CONTINUOUS.sound_vae,
        (1, *shape),
        augment_mels,
        list(mels),
        lambda mel: mels_to_tensor(mel[None])[0],
    )


senses = pytest.mark.parametrize("make", [_pictures, _sounds], ids=["pictures", "sounds"])


class _Clock(Callback):
    """CPU seconds from the beginning of an epoch to its last step."""

    spent_s = math.nan

    def on_train_epoch_start(self, *_: Any) -> None:
        self._started_s = process_time()

    def on_validation_start(self, *_: Any) -> None:
        self.spent_s = process_time() - self._started_s


def _our_epoch(sense: Sense, folder: Path) -> Way:
    """An epoch as `ytm-train` runs it, without what surrounds the epochs."""
    samples, network = sense.together(), sense.network()
    settings = sense.settings.fit.model_copy(update={"max_epochs": 1})
    batches = Batches(samples, settings.batch_size)
    batches.shuffle(0, partial(sense.augmentation, settings.augmentation))

    def epoch() -> float:
        shutil.rmtree(folder, ignore_errors=True)
        clock = _Clock()
        checked = Batches(samples[:2], settings.batch_size)
        network.train()
        fit(VaeStage(network, settings, 0), batches, checked, folder / "stages" / "vae", [clock])
        return clock.spent_s

    return epoch


class _OneByOne(Dataset[Tensor]):
    """Samples that are converted and augmented when they are asked for."""

    def __init__(self, sense: Sense) -> None:
        self._sense, self._random = sense, torch.Generator().manual_seed(0)

    def __len__(self) -> int:
        return len(self._sense.samples)

    def __getitem__(self, index: int) -> Tensor:
        sample = self._sense.convert(self._sense.samples[index])
        strength = self._sense.settings.fit.augmentation
        return self._sense.augmentation(strength, sample[None], self._random)[0]


def _losses(network: Vae, batch: Tensor, kl_weight: float) -> Tensor:
    code = network.encoder(batch)
    latent = code.mean + torch.randn_like(code.mean) * (0.5 * code.log_variance).exp()
    error = torch.nn.functional.mse_loss(network.decoder(latent), batch)
    return error + kl_weight * code.divergence().mean()


def _plain_epoch(sense: Sense, _: Path) -> Way:
    """The loop that a tutorial would write."""
    network, settings = sense.network().train(), sense.settings.fit
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    loader = DataLoader(_OneByOne(sense), settings.batch_size, shuffle=True)

    def epoch() -> None:
        for batch in loader:
            optimiser.zero_grad()
            _losses(network, batch, settings.kl_weight).backward()
            optimiser.step()

    return epoch


@pytest.mark.filterwarnings("ignore")  # lightning's advice about data loaders
@pytest.mark.benchmark(group="an epoch of a VAE, ours and a plain loop's in turn")
@senses
def test_plain_loop_over_ours(
    benchmark: Any,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make: Callable[[], Sense],
) -> None:
    sense = make()
    ways = {"ours": _our_epoch(sense, tmp_path), "plain": _plain_epoch(sense, tmp_path)}
    spent_s = cpu_s_in_turn(benchmark, ways, ROUNDS)
    benchmark.extra_info["plain_over_ours"] = found = ratio(spent_s["plain"], spent_s["ours"])
    benchmark.extra_info["samples_per_s"] = rate = EPOCH / statistics.median(spent_s["ours"])
    with capsys.disabled():
        print(
            f"\n{request.node.callspec.id}: {rate:.0f} samples a second on one core; a plain loop"
            f" takes {found:.2f} times our CPU time ({ROUNDS} rounds)"
        )
    assert len(spent_s["ours"]) == ROUNDS


def _step(sense: Sense, prepare: Callable[[Vae], Vae], cast: AbstractContextManager[Any]) -> Way:
    """One step on one batch in memory: only the network's way of computing differs."""
    settings = sense.settings.fit
    network = prepare(sense.network().train())
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    batch = sense.together()[: settings.batch_size]

    def step() -> None:
        optimiser.zero_grad()
        with cast:
            loss = _losses(network, batch, settings.kl_weight)
        loss.backward()
        optimiser.step()

    return step


def _as_it_is(network: Vae) -> Vae:
    return network


def _contiguous(network: Vae) -> Vae:
    return network.to(memory_format=torch.contiguous_format)


def _compiled(network: Vae) -> Vae:
    network.encoder.compile()
    network.decoder.compile()
    return network


def _ways_to_compute(sense: Sense) -> dict[str, Way]:
    half = torch.autocast("cpu", torch.bfloat16)
    ways = {
        "ours": _step(sense, _as_it_is, nullcontext()),
        "channels first": _step(sense, _contiguous, nullcontext()),
        "bfloat16": _step(sense, _as_it_is, half),
        "bfloat16, channels first": _step(sense, _contiguous, half),
    }
    if shutil.which("c++") or shutil.which("g++"):
        ways["compiled"] = _step(sense, _compiled, nullcontext())
    return ways


@pytest.mark.filterwarnings("ignore")  # what the compiler says of itself
@pytest.mark.benchmark(group="a step of a VAE, in turn")
@senses
def test_other_ways_over_ours(
    benchmark: Any,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    make: Callable[[], Sense],
) -> None:
    spent_s = cpu_s_in_turn(benchmark, _ways_to_compute(make()), ROUNDS, warmup_rounds=2)
    ours = spent_s.pop("ours")
    found = {name: ratio(times_s, ours) for name, times_s in spent_s.items()}
    benchmark.extra_info.update(found)
    told = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    with capsys.disabled():
        print(f"\n{request.node.callspec.id}: CPU time of a step over ours: {told}")
    assert all(value > 0 for value in found.values())
