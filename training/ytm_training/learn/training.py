"""From a dataset to a finished run: two VAEs, then two associators between their latents."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ytm_training.learn.associating import associate
from ytm_training.learn.coding import code_pictures, code_sounds
from ytm_training.learn.config import RunConfig
from ytm_training.learn.material import Material, load_material
from ytm_training.learn.quality import measure, representative
from ytm_training.learn.run import Exemplars, Networks, Run
from ytm_training.learn.showing import write_examples
from ytm_training.learn.teaching import Teaching, is_first

EXEMPLARS = 32


def train(dataset: Path, folder: Path, config: RunConfig) -> Run:
    """Train on `dataset` as `config` says, or go on with the run in `folder`.

    Under `torchrun` every process calls this; the first writes what is not a checkpoint.

    Raises:
        DatasetError: the dataset is missing, damaged or too small.
        RunError: `folder` holds something else, or a run that differs.
        KeyboardInterrupt: stopped by hand; calling again goes on.
    """
    material = load_material(dataset, config)
    run = Run(folder)
    if is_first():
        run.begin(config, material)
    torch.manual_seed(config.seed)
    networks = run.untrained(config, material.sound_spec.mel_shape)
    seen = teach(Teaching(run, config, material), networks)
    if is_first():
        _finish(run, networks, material, seen[:, 0])
    return run


def teach(teaching: Teaching, networks: Networks) -> Tensor:
    """Fit all networks, one stage after the other; the latents of the pictures, (n, views, d)."""
    seen = code_pictures(teaching, networks.image_vae)
    heard = code_sounds(teaching, networks.sound_vae)
    associate(teaching, networks, seen, heard)
    return seen


def _finish(run: Run, networks: Networks, material: Material, latents: Tensor) -> None:
    train = material.rows(material.split.train)
    chosen = train[
        representative(latents[torch.from_numpy(train)].numpy(), EXEMPLARS, run.config().seed)
    ]
    run.write_exemplars(Exemplars(material.images[chosen], material.mels[chosen]))
    write_examples(run, networks, material)
    run.write_metrics(measure(networks, material))
