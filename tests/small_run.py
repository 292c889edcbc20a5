"""A small dataset whose pictures determine their sounds, and runs trained on it in seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from ytm_training.dataset import Outcome, Settings, write_shard
from ytm_training.segment import Segment

RATE_HZ = 48000
PER_SOURCE = 4
BIN = Path(sys.executable).parent
# The presets' networks, so narrow that an epoch takes a moment.
NARROW = [
    *("--set", "image_vae.widths=[4,8,8,8]"),
    *("--set", "sound_vae.widths=[4,4,4,4]"),
    *("--set", "sound_vae.strides=[[2,2],[2,2],[2,2],[2,2]]"),
    *("--set", "associator.hidden=16"),
    *("--threads", "1"),
]


def write_small_dataset(path: Path, sources: int) -> Path:
    """A square before a coloured wall; the higher it stands, the higher its tone."""
    rng = np.random.default_rng(0)
    t = np.arange(RATE_HZ) / RATE_HZ
    segments = []
    for source in range(sources):
        wall = (rng.random(3) * 200).astype(np.uint8)
        for second in range(PER_SOURCE):
            across, down = int(rng.integers(10, 120)), int(rng.integers(10, 90))
            image = np.zeros((120, 160, 3), np.uint8) + wall
            image[down : down + 25, across : across + 25] = 255
            tone = np.sin(2 * np.pi * (2000 - 15 * down) * t) * np.exp(-3 * t)
            segments.append(
                Segment(
                    segment_id=f"video{source:02d}@{second}",
                    source=f"video{source:02d}",
                    start_s=float(second),
                    onset_s=0.1,
                    image=image,
                    sound=(0.2 * tone).astype(np.float32),
                    rate_hz=RATE_HZ,
                    title="squares",
                    licence="MIT",
                    origin="tests",
                )
            )
    outcomes = [Outcome(f"video{source:02d}", PER_SOURCE, None) for source in range(sources)]
    write_shard(path, Settings(PER_SOURCE, 0, RATE_HZ), segments, outcomes)
    return path


def train_command(dataset: Path, run: Path, *flags: str) -> list[str]:
    """The command line of `ytm-train` on narrow networks."""
    return [str(BIN / "ytm-train"), str(dataset), "--out", str(run), *NARROW, *flags]


# As many threads in every run that is compared: sums in another order differ in the last bit.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def train(dataset: Path, run: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run `ytm-train` to its end."""
    return subprocess.run(
        train_command(dataset, run, *flags),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=ENVIRONMENT,
    )


def weights(run: Path, name: str) -> dict[str, dict[str, torch.Tensor]]:
    """All weights of the checkpoints called `name` in a run, by stage."""
    return {
        path.parent.name: torch.load(path, weights_only=True)["state_dict"]
        for path in sorted((run / "stages").glob(f"*/{name}"))
    }


def same(
    one: dict[str, dict[str, torch.Tensor]], other: dict[str, dict[str, torch.Tensor]]
) -> bool:
    """Whether two results of `weights` are equal to the last bit."""
    return one.keys() == other.keys() and all(
        one[stage].keys() == other[stage].keys()
        and all(torch.equal(one[stage][key], other[stage][key]) for key in one[stage])
        for stage in one
    )
