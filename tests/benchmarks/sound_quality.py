"""The quality table: real recordings to mel and back, by every method, with standard errors."""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import librosa
import numpy as np
from recordings import DIGITS, RATE_HZ, recordings

from ytm_build.resynthesis import (
    METHODS,
    holding,
    log_spectral_distance_db,
    mel_of,
    modulation_db,
    resynthesise,
    spectral_convergence,
)
from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import SoundSpec
from ytm_device.sound.streaming.tables import OVERLAP
from ytm_training.learn.config import CONTINUOUS
from ytm_training.learn.hearing import sound_spec
from ytm_training.learn.showing import mel_matrices

try:
    import pesq
except ImportError:
    pesq = None

DATA = Path(__file__).resolve().parents[3] / "shared/data"
HOPS = (256, 512)
FINE_HOP = CONTINUOUS.sound.n_fft // OVERLAP
MODULATIONS_HZ = (23.4, 93.75, 187.5)
"""Of grains of 2,048 samples, of a hop of 512, of a hop of 256."""
PESQ_RATE_HZ = 16000
KINDS_OF_SPEECH = ("speech", "digits")


@dataclass(frozen=True)
class Mean:
    """Of one figure over recordings."""

    mean: float
    error: float
    """Standard error of `mean`."""
    count: int
    """Recordings that have the figure."""

    @classmethod
    def of(cls, values: list[float]) -> Mean:
        """Not a number of fewer than two values."""
        if len(values) < 2:
            return cls(float("nan"), float("nan"), len(values))
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        return cls(float(np.mean(values)), float(error), len(values))


Tables = dict[int, dict[str, dict[str, Mean]]]
"""By hop, method and column."""


def pesq_wide_band(original: np.ndarray, result: np.ndarray) -> float | None:
    """ITU-T P.862.2 of two sounds at `RATE_HZ`; None where it finds nobody who speaks."""
    narrow = [
        librosa.resample(each, orig_sr=RATE_HZ, target_sr=PESQ_RATE_HZ)
        for each in (original, result)
    ]
    try:
        return float(pesq.pesq(PESQ_RATE_HZ, *narrow, "wb"))
    except pesq.NoUtterancesError:
        return None


def figures(kind: str, original: np.ndarray, result: np.ndarray) -> dict[str, float | None]:
    """What is measured of one recording: by the column that it goes into."""
    length = min(original.size, result.size)
    original, result = original[:length], result[:length]
    sound, matrices = _sound(FINE_HOP)
    wanted, found = (mel_of(each, sound, matrices, FINE_HOP) for each in (original, result))
    measured: dict[str, float | None] = {
        f"SC, {kind}": spectral_convergence(wanted, found),
        f"LSD, {kind}, dB": log_spectral_distance_db(wanted, found),
    }
    if kind in KINDS_OF_SPEECH:
        return measured | {f"PESQ, {kind}": pesq_wide_band(original, result)}
    modulations = {
        f"{at_hz:g} Hz, dB": modulation_db(original, result, RATE_HZ, at_hz)
        for at_hz in MODULATIONS_HZ
    }
    return measured | modulations


def there_and_back(original: np.ndarray, hop: int, method: str) -> np.ndarray:
    """A recording as a method makes it of its mel, scaled so that all of it fits."""
    unscaled, matrices = _sound(hop)
    power = mel_of(original, unscaled, matrices, hop)
    sound = holding(unscaled, power)
    return resynthesise(sound.unscale(sound.scale(power)), sound, matrices, method)


@functools.cache
def _sound(hop: int) -> tuple[SoundSpec, MelMatrices]:
    """The preset's sound at another hop; the scale is arbitrary."""
    settings = CONTINUOUS.sound.model_copy(update={"hop": hop})
    sound = sound_spec(settings, np.ones(1, np.float32))
    return sound, mel_matrices(sound)


def measure(heard: dict[str, list[np.ndarray]], hop: int, method: str) -> dict[str, Mean]:
    """Every column of one row."""
    columns: dict[str, list[float]] = defaultdict(list)
    for kind, originals in heard.items():
        for original in originals:
            result = there_and_back(original, hop, method)
            for name, value in figures(kind, original, result).items():
                columns[name] += [] if value is None else [value]
    return {name: Mean.of(values) for name, values in columns.items()}


def markdown(hop: int, rows: dict[str, dict[str, Mean]]) -> str:
    """One table: methods below each other, figures beside each other."""
    names = list(next(iter(rows.values())))
    lines = [
        f"Mel at hop {hop}:",
        "",
        f"| method | {' | '.join(names)} |",
        f"|---{'|---' * len(names)}|",
    ]
    for method, row in rows.items():
        cells = (_cell(name, row[name]) for name in names)
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(name: str, each: Mean) -> str:
    if name.endswith("Hz, dB"):
        return f"{each.mean:+.1f} ± {each.error:.1f}"
    digits = 3 if name.startswith("SC") else 2
    return f"{each.mean:.{digits}f} ± {each.error:.{digits}f}"


def without_pesq(heard: dict[str, list[np.ndarray]], tables: Tables) -> int:
    """How often PESQ found nobody who speaks, over all rows."""
    return sum(
        len(heard[kind]) - row[f"PESQ, {kind}"].count
        for rows in tables.values()
        for row in rows.values()
        for kind in KINDS_OF_SPEECH
    )


def obstacle(data: Path) -> str | None:
    """Why nothing can be measured here; None if it can."""
    if pesq is None:
        return "pesq is not installed (make setup)"
    missing = [name for name in ("manifest.csv", DIGITS) if not (data / name).exists()]
    return f"{data} lacks {', '.join(missing)}; name another with --data" if missing else None


def main() -> None:
    """Measure and print; where it cannot be measured, say why."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="recordings, with manifest.csv")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()
    if reason := obstacle(arguments.data):
        print(f"no quality table: {reason}")
        return
    started_s = time.monotonic()
    heard = recordings(arguments.data)
    tables: Tables = {hop: {} for hop in HOPS}
    for hop, method in itertools.product(HOPS, METHODS):
        print(f"hop {hop}, {method} ...", file=sys.stderr)
        tables[hop][method] = measure(heard, hop, method)
    counts = {kind: len(originals) for kind, originals in heard.items()}
    _report(tables, counts, without_pesq(heard, tables), time.monotonic() - started_s)
    if arguments.json:
        text = json.dumps({"recordings": counts, "hops": tables}, default=asdict, indent=1)
        arguments.json.write_text(text, encoding="utf-8")


def _report(tables: Tables, counts: dict[str, int], failures: int, took_s: float) -> None:
    listed = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(
        f"Mel and back, against the recording: mean ± standard error over {listed}. SC: spectral"
        " convergence of the mel. LSD: log-spectral distance. Hz: level of the envelope at that"
        " frequency, against the recording's, over the clips."
    )
    for hop, rows in tables.items():
        print(f"\n{markdown(hop, rows)}")
    print(f"\nPESQ found nobody who speaks {failures} times. It took {took_s:.0f} s.")


if __name__ == "__main__":
    main()
