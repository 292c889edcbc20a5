"""How steady the sound is: one mel held, and unrelated mels one after another, beside recordings.

What is measured of the player is measured of the recordings themselves too, looped and cross-faded
as the player does it with their mels. What both have in common is the recordings' own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import librosa
import numpy as np

from ytm_build.resynthesis import mel_of, modulation_db
from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import SoundSpec
from ytm_device.sound.gesture import FADE_S, JOIN_S
from ytm_device.sound.player import Player
from ytm_training.learn.config import CONTINUOUS
from ytm_training.learn.hearing import sound_spec
from ytm_training.learn.showing import mel_matrices

DATA = Path(__file__).resolve().parents[3] / "shared/data"
RATE_HZ, HOP = CONTINUOUS.sound.playback_rate_hz, CONTINUOUS.sound.hop
SECOND = RATE_HZ
MODULATIONS_HZ = (23.4, 93.75, 187.5)
"""Of the artwork's grains, of a hop of 512, of a hop of 256."""
JOIN = round(JOIN_S * RATE_HZ / HOP) * HOP
LOOP = (CONTINUOUS.sound.frames * HOP) - JOIN
"""Samples after which a held mel begins again."""
LOOP_HZ = RATE_HZ / LOOP
HELD_LOOPS = 3
JUMPS, JUMP_SAMPLES = 300, RATE_HZ // 30
FADE = round(FADE_S * RATE_HZ)
SEED = 3
Array = np.ndarray
Pull = Callable[[int], Array]
"""Gives so many of the next samples."""
Follow = Callable[[int], object]
"""Goes over to the sound of this number."""


@dataclass(frozen=True)
class Held:
    """A mel that is held, in dB against the recording; median over recordings, and the worst."""

    against_second: dict[str, tuple[float, float]]
    """By modulation, against the second played once."""
    against_loop: dict[str, tuple[float, float]]
    """By modulation, and at the loop's rate, against the second looped."""


@dataclass(frozen=True)
class Jumping:
    """Jumps 30 times a second, as ratios to the same sounds held."""

    typical_step: float
    """Largest step between two samples in a jump, of the larger in both sounds held; median."""
    largest_step: float
    """The same of the jump where it is largest."""
    flux_at_joins: float
    """How much the spectrum changes in a hop, while one sound goes over into another; mean."""


@dataclass(frozen=True)
class Steadiness:
    sounds: int
    held: Held
    player: Jumping
    recordings: Jumping


class Sounds:
    """Seconds of recordings, and their mels on one scale."""

    def __init__(self, recordings: Sequence[Array]) -> None:
        """Take the first second of each, float32 (samples,) at `RATE_HZ`."""
        self.seconds = [np.asarray(each[:SECOND], np.float32) for each in recordings]
        self.loops = [looped(each) for each in self.seconds]
        unscaled = sound_spec(CONTINUOUS.sound, np.ones(1, np.float32))
        self.matrices: MelMatrices = mel_matrices(unscaled)
        powers = [mel_of(each, unscaled, self.matrices, HOP) for each in self.seconds]
        self.sound: SoundSpec = sound_spec(CONTINUOUS.sound, np.stack(powers))
        self.mels = [self.sound.scale(power) for power in powers]

    def player(self) -> Player:
        """One that has been silent so far."""
        return Player(self.sound, self.matrices)


def looped(second: Array) -> Array:
    """What is played over and over, float32 (LOOP,): its end faded over its beginning, in power."""
    padded = np.zeros(LOOP + JOIN, np.float32)
    padded[: second.size] = second
    share = (np.arange(JOIN, dtype=np.float32) + 0.5) / JOIN
    loop = padded[:LOOP].copy()
    loop[:JOIN] = np.sqrt(share) * padded[:JOIN] + np.sqrt(1 - share) * padded[LOOP:]
    return loop


def held(sounds: Sounds, number: int) -> Array:
    """The player's sound of one mel, `HELD_LOOPS` loops, once it has settled."""
    player = sounds.player()
    player.follow(sounds.mels[number])
    player.pull(LOOP)
    return player.pull(HELD_LOOPS * LOOP)


def line_db(samples: Array) -> float:
    """Level of the envelope at the loop's rate against its mean, of a whole number of loops."""
    blocks = samples.reshape(-1, HOP).astype(float)
    envelope = np.sqrt(np.mean(blocks**2, axis=1))
    spectrum = np.abs(np.fft.rfft(envelope))
    return float(20 * np.log10(spectrum[samples.size // LOOP] / spectrum[0]))


def modulations(second: Array, loop: Array, result: Array) -> tuple[dict[str, float], ...]:
    """Of `result`, in dB, by modulation: against `second`, and against `loop`."""
    original = np.tile(loop, HELD_LOOPS)
    once, over = (
        {f"{at_hz:g} Hz": modulation_db(each, result, RATE_HZ, at_hz) for at_hz in MODULATIONS_HZ}
        for each in (second, original)
    )
    return once, over | {f"loop, {LOOP_HZ:.2f} Hz": line_db(result) - line_db(original)}


def measure_held(sounds: Sounds) -> Held:
    rows = [
        modulations(second, loop, held(sounds, number))
        for number, (second, loop) in enumerate(zip(sounds.seconds, sounds.loops, strict=True))
    ]
    once, over = (
        {
            name: (
                float(np.median([row[side][name] for row in rows])),
                max(row[side][name] for row in rows),
            )
            for name in rows[0][side]
        }
        for side in (0, 1)
    )
    return Held(once, over)


def faded(loops: Sequence[Array], fade: int = FADE) -> tuple[Pull, Follow]:
    """A player of the recordings themselves: each goes on where the one before it was."""
    at, numbers = 0, [0, 0]
    since = fade

    def follow(number: int) -> None:
        nonlocal since
        numbers[:] = [numbers[1], number]
        since = 0

    def pull(samples: int) -> Array:
        nonlocal at, since
        places = (at + np.arange(samples)) % LOOP
        share = np.clip((since + np.arange(samples)) / fade, 0, 1)
        at, since = at + samples, since + samples
        before, after = (loops[number][places] for number in numbers)
        return np.asarray(np.sqrt(1 - share) * before + np.sqrt(share) * after, np.float32)

    return pull, follow


def measure_jumping(pull: Pull, follow: Follow, count: int, delay: int) -> Jumping:
    """Jump among `count` sounds, then hold each.

    Args:
        pull: gives the next samples.
        follow: goes over to the sound of a number.
        count: >= 2
        delay: samples after which a sound begins to be heard.
    """
    random = np.random.default_rng(SEED)
    numbers = np.cumsum(random.integers(1, count, JUMPS)) % count
    jumping = np.concatenate([_after(pull, follow, number, JUMP_SAMPLES) for number in numbers])
    stays = np.stack([_after(pull, follow, number, 2 * LOOP)[LOOP:] for number in range(count)])
    jumps = np.diff(jumping, prepend=0).reshape(JUMPS, JUMP_SAMPLES)
    usual = np.abs(np.diff(stays)).max(axis=1)[numbers]
    steps = np.abs(jumps).max(axis=1)[1:] / np.maximum(usual[1:], usual[:-1])
    fluxes = flux(jumping)[_at_joins(jumping.size, delay)]
    usual_flux = np.mean([flux(each) for each in stays])
    return Jumping(float(np.median(steps)), float(steps.max()), float(fluxes.mean() / usual_flux))


def _after(pull: Pull, follow: Follow, number: int, samples: int) -> Array:
    follow(int(number))
    return pull(samples)


def flux(samples: Array) -> Array:
    """Change of the magnitudes from hop to hop, (hops,), as a share of them."""
    sizes = np.abs(librosa.stft(samples, n_fft=4 * HOP, hop_length=HOP, center=False))
    both = sizes[:, 1:] + sizes[:, :-1]
    return np.abs(np.diff(sizes)).sum(axis=0) / np.maximum(both.sum(axis=0) / 2, 1e-9)


def _at_joins(length: int, delay: int) -> Array:
    """Which entries of `flux` lie where one sound goes over into another."""
    between = 2.5 * HOP + HOP * np.arange((length - 4 * HOP) // HOP)
    return (between >= delay) & ((between - delay) % JUMP_SAMPLES < FADE)


def measure(recordings: Sequence[Array]) -> Steadiness:
    """Everything, of at least two recordings."""
    sounds = Sounds(recordings)
    player, count = sounds.player(), len(recordings)
    pull, follow = faded(sounds.loops)
    return Steadiness(
        count,
        measure_held(sounds),
        measure_jumping(
            player.pull,
            lambda number: player.follow(sounds.mels[number]),
            count,
            round(player.delay_s * RATE_HZ),
        ),
        measure_jumping(pull, follow, count, 0),
    )


def markdown(found: Steadiness) -> str:
    """Both tables."""
    names = list(found.held.against_loop)
    lines = [
        f"| one second held for {HELD_LOOPS * LOOP / RATE_HZ:.1f} s, dB | {' | '.join(names)} |",
        f"|---{'|---' * len(names)}|",
    ]
    for against, row in (
        ("the second played once", found.held.against_second),
        ("the second looped", found.held.against_loop),
    ):
        cells = ["{:+.1f} ({:+.1f})".format(*row[name]) if name in row else "" for name in names]
        lines.append(f"| against {against} | {' | '.join(cells)} |")
    lines += [
        "",
        "| jumps, of the same sounds held | step, median (largest) | change of the spectrum |",
        "|---|---|---|",
    ]
    for name, each in (("the player", found.player), ("the recordings", found.recordings)):
        step = f"{each.typical_step:.2f} ({each.largest_step:.2f})"
        lines.append(f"| {name} | {step} | {each.flux_at_joins:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print; where it cannot be measured, say why."""
    # Not above, since a test imports this file as part of a package.
    from recordings import DIGITS, recordings

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="recordings, with manifest.csv")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()
    missing = [name for name in ("manifest.csv", DIGITS) if not (arguments.data / name).exists()]
    if missing:
        print(f"no steadiness: {arguments.data} lacks {', '.join(missing)}; name another: --data")
        return
    found = measure([each for kind in recordings(arguments.data).values() for each in kind])
    print(
        f"How steady, over {found.sounds} recordings: median (largest). Jumps: {JUMPS}, 30 a"
        f" second, among all of them, as ratios to the same sounds held.\n\n{markdown(found)}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
