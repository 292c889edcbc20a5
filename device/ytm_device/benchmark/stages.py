"""The stages of a frame's way through the mirror, by name and in their order, and their times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Literal

import numpy as np

PARTS = ("reflect", "screen", "sound")
Part = Literal["reflect", "screen", "sound", "all"]


@dataclass(frozen=True)
class Stage:
    """Something that takes time on the way from a camera to a screen and a sound card."""

    name: str
    part: Part
    """What of `ytm-benchmark` measures it; `all`: only all of it together."""
    about: str


STAGES = (
    Stage("camera read", "reflect", "from when a picture was taken until its pixels are in hand"),
    Stage("presence", "reflect", "whether somebody is there"),
    Stage("exposure", "reflect", "levelling the light"),
    Stage("encode", "reflect", "pixels to latent"),
    Stage("associate", "reflect", "latent of the picture to latent of a sound"),
    Stage("decode sound", "reflect", "latent to mel"),
    Stage("decode picture", "reflect", "latent to pixels"),
    Stage("enlarge", "screen", "flipped, turned and enlarged into the screen's memory"),
    Stage("flip", "screen", "until the display has it"),
    Stage("invert", "sound", "one hop, from the mel to 16 bits"),
    Stage("write", "sound", "one period, until the card has taken it"),
    Stage("frame to reflection", "reflect", "from when it was taken until its answer is published"),
    Stage("frame to photon", "all", "until half of a flash is on the screen"),
    Stage("frame to sample", "all", "until the first sample of a flash leaves the card's buffer"),
)
STAGE_NAMES = tuple(stage.name for stage in STAGES)
PERCENTILES = {"p50": 50, "p95": 95, "p99": 99, "max": 100}


@dataclass
class Times:
    """How long stages took, in nanoseconds, by name."""

    ns: dict[str, list[int]] = field(default_factory=dict)

    def add(self, name: str, duration_ns: int) -> None:
        """Note one duration; a clock that disagrees makes it no shorter than 1 ns."""
        self.ns.setdefault(name, []).append(max(1, duration_ns))

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Note how long what is inside takes."""
        begun_ns = perf_counter_ns()
        yield
        self.add(name, perf_counter_ns() - begun_ns)


def percentiles_ms(durations_ns: Sequence[int]) -> dict[str, float]:
    """`p50`, `p95`, `p99` and `max` of at least one duration: each is one that was measured."""
    return {
        name: float(np.percentile(durations_ns, percent, method="inverted_cdf")) / 1e6
        for name, percent in PERCENTILES.items()
    }
