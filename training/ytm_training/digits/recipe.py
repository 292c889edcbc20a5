"""How digits are learned: the preset `continuous`, cut down to pictures of 32 pixels at 8 kHz."""

from __future__ import annotations

import json
from typing import Any

from ytm_training.learn.command import settings
from ytm_training.learn.config import PAPER, RunConfig

_CHANGES: dict[str, Any] = {
    "picture.size": 32,
    "picture.flips": False,
    "sound.analysis_rate_hz": 8000,
    "sound.playback_rate_hz": 8000,
    "sound.n_fft": 256,
    "sound.hop": 128,
    "sound.n_mels": 64,
    "sound.range_db": 40,
    "image_vae.widths": [16, 32, 64],
    "image_vae.strides": [[2, 2]] * 3,
    "image_vae.linear_pool": [1, 1],
    "image_vae.fit.max_epochs": 8,
    "image_vae.fit.augmentation": 0.5,
    "sound_vae.widths": [16, 32, 64, 96],
    "sound_vae.strides": [[2, 2]] * 4,
    "sound_vae.linear_pool": [4, 4],
    "sound_vae.fit.max_epochs": 16,
    "sound_vae.fit.texture_weight": 0.2,
    "associator.labels": "none",
    "associator.blur": 0.0,
    "associator.guidance": 4.5,
    "associator.temperature": 0.3,
    "associator.bridge.max_epochs": 30,
    "associator.flow.max_epochs": 100,
}


def continuous_recipe(seed: int) -> RunConfig:
    """Our associators, told nothing but which sound stood beside which picture."""
    changes = [f"{key}={json.dumps(value)}" for key, value in _CHANGES.items()]
    return settings("continuous", seed, None, changes)


def paper_recipe(seed: int) -> RunConfig:
    """The same VAEs with the artwork's associators between them."""
    return continuous_recipe(seed).model_copy(
        update={"preset": PAPER.preset, "associator": PAPER.associator}
    )
