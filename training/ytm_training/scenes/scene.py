"""Scenes whose picture determines their sound, described by numbers: the ground truth.

The rule is the same for every kind: the higher in the picture, the higher the pitch; the larger,
the louder; and each kind has a timbre of its own. People sing: the higher they raise their hands,
the higher the pitch, and where they stand, from left to right, makes the vowel from u over a to i.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ytm_device.camera.figure import Colour, Looks

Kind = Literal["person", "ball", "box", "star", "guitar", "drum"]
KINDS: tuple[Kind, ...] = get_args(Kind)
WALLS = ("plain", "stripes", "panels", "curtain", "shelves")

LOUDEST_DB = -18.0
_LOUDNESS_RANGE_DB = 24.0
_LOWEST_HZ = {"person": 130.0, "drum": 60.0}
_OCTAVES = {"person": 2.0, "drum": 1.5}
_OBJECT_LOWEST_HZ, _OBJECT_OCTAVES = 131.0, 3.0
_PEOPLE_SHARE = 0.4


@dataclass(frozen=True)
class Sway:
    """A quantity that swings about its middle, in [0, 1]."""

    middle: float
    reach: float = 0.0
    hz: float = 0.0
    phase: float = 0.0
    """Radians."""

    def at(self, t_s: float) -> float:
        """Its value at a time."""
        return self.middle + self.reach * math.sin(2 * math.pi * self.hz * t_s + self.phase)


@dataclass(frozen=True)
class Thing:
    """One object or person, and how it moves."""

    kind: Kind
    across: Sway
    """Where from left (0) to right (1)."""
    height: Sway
    """How high (0 to 1): an object in the picture; a person's hands between hanging and raised."""
    size: Sway
    """How large (0 to 1): from far away to very near."""
    colour: Colour
    beat_s: float
    """Seconds between two onsets."""
    first_beat_s: float
    looks: Looks | None = None
    """Of a person."""
    uneven: float = 0.0
    """-1 to 1: how far one hand of a person is above the other, as far as `height` leaves room."""

    def pitch_hz(self, t_s: float) -> float:
        """Fundamental frequency at a time."""
        lowest_hz = _LOWEST_HZ.get(self.kind, _OBJECT_LOWEST_HZ)
        octaves: float = _OCTAVES.get(self.kind, _OBJECT_OCTAVES)
        return float(lowest_hz * 2.0 ** (octaves * self.height.at(t_s)))

    def level_db(self, t_s: float) -> float:
        """Level of its sound at a time, in dB of full scale, before several are mixed."""
        return LOUDEST_DB - _LOUDNESS_RANGE_DB * (1 - self.size.at(t_s))

    def since_beat_s(self, t_s: float) -> float:
        """Seconds since its last onset."""
        return (t_s - self.first_beat_s) % self.beat_s

    def beats_s(self, seconds: float) -> list[float]:
        """Every onset from the start, and the one before it that still sounds then."""
        first = self.first_beat_s - self.beat_s
        return [float(beat) for beat in np.arange(first, seconds, self.beat_s)]


@dataclass(frozen=True)
class Scene:
    """Things before a wall."""

    seed: int
    number: int
    things: tuple[Thing, ...]
    """From the farthest to the nearest."""
    wall: str
    """One of `WALLS`."""
    wall_colour: Colour
    floor_colour: Colour
    lamp: tuple[float, float]
    """Where the light falls, as shares of width and height."""
    contrast: float
    """How much darker it is away from the lamp: 0 to 0.7."""
    exposure: float
    """Factor on all light."""

    @property
    def category(self) -> str:
        """Its kind, or what to call several."""
        kinds = {thing.kind for thing in self.things}
        if len(self.things) == 1:
            return self.things[0].kind
        return "people" if kinds == {"person"} else "several"

    @property
    def description(self) -> str:
        """A few words."""
        kinds = " and ".join(thing.kind for thing in self.things)
        return f"{kinds} before a wall ({self.wall})"


def random_scene(seed: int, number: int) -> Scene:
    """The scene with a number; the same for the same seed, whatever was made before."""
    rng = np.random.default_rng([seed, number])
    if rng.random() < _PEOPLE_SHARE:
        count = int(rng.choice([1, 2, 3], p=[0.75, 0.17, 0.08]))
        kinds: list[Kind] = ["person"] * count
    else:
        count = int(rng.choice([1, 2], p=[0.75, 0.25]))
        kinds = [KINDS[1 + int(index)] for index in rng.choice(len(KINDS) - 1, count, False)]
    things = [_thing(rng, kind, place, count) for place, kind in enumerate(kinds)]
    return Scene(
        seed=seed,
        number=number,
        things=tuple(sorted(things, key=lambda thing: thing.size.middle)),
        wall=str(rng.choice(WALLS)),
        wall_colour=_muted(rng),
        floor_colour=_muted(rng, 0.55),
        lamp=(float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.0, 0.6))),
        contrast=float(rng.uniform(0.1, 0.7)),
        exposure=float(rng.uniform(0.85, 1.3)),
    )


def _thing(rng: np.random.Generator, kind: Kind, place: int, count: int) -> Thing:
    beat_s = float(rng.uniform(0.45, 0.9))
    middle = (place + 0.5 + rng.uniform(-0.3, 0.3)) / count
    return Thing(
        kind=kind,
        across=_sway(rng, float(0.14 + 0.72 * middle), 0.12 / count),
        height=_sway(rng, float(rng.uniform(0.05, 0.95)), 0.5),
        size=_sway(rng, float(rng.uniform(0.1, 0.95)), 0.25),
        colour=_vivid(rng),
        beat_s=beat_s,
        first_beat_s=float(rng.uniform(0, beat_s)),
        looks=_looks(rng) if kind == "person" else None,
        uneven=float(rng.choice([0.0, rng.uniform(-1, 1)])),
    )


def _sway(rng: np.random.Generator, middle: float, reach: float) -> Sway:
    reach = float(rng.uniform(0, reach))
    middle = min(max(middle, reach), 1 - reach)
    return Sway(middle, reach, float(rng.uniform(0.15, 0.45)), float(rng.uniform(0, 2 * math.pi)))


def _vivid(rng: np.random.Generator) -> Colour:
    """A saturated colour of any hue."""
    hue = rng.random() * 6
    wheel = [min(1.0, max(0.0, abs((hue + shift) % 6 - 3) - 1)) for shift in (0, 4, 2)]
    white, value = rng.uniform(0.05, 0.35), rng.uniform(150, 250)
    red, green, blue = (round(value * (white + (1 - white) * part)) for part in wheel)
    return red, green, blue


def _muted(rng: np.random.Generator, brightness: float = 1.0) -> Colour:
    """A colour such as walls have."""
    grey = rng.uniform(70, 225) * brightness
    red, green, blue = (
        round(float(np.clip(grey * rng.uniform(0.78, 1.15), 0, 255))) for _ in range(3)
    )
    return red, green, blue


_SKINS = ((248, 214, 190), (236, 188, 152), (214, 160, 118), (172, 118, 84), (122, 80, 58))
_HAIRS = ((32, 26, 28), (70, 44, 30), (128, 84, 48), (198, 150, 84), (150, 148, 146), (120, 46, 30))


def _looks(rng: np.random.Generator) -> Looks:
    tint = rng.uniform(0.92, 1.03)
    red, green, blue = (min(255, round(part * tint)) for part in _SKINS[rng.integers(len(_SKINS))])
    return Looks(
        skin=(red, green, blue),
        hair=_HAIRS[rng.integers(len(_HAIRS))],
        top=_vivid(rng) if rng.random() < 0.6 else _muted(rng),
        trousers=_muted(rng, 0.6),
        hair_style=("short", "long", "bun", "bald")[rng.choice(4, p=[0.4, 0.3, 0.18, 0.12])],
        top_style=("plain", "stripes", "dress")[rng.choice(3, p=[0.55, 0.22, 0.23])],
        build=float(rng.uniform(0.85, 1.25)),
    )
