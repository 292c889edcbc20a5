"""How long a reflection takes to be heard, through the real service on a card that tells when.

    python tests/sound_latency.py --periods 2,3,4,6

prints the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compiled import shared_library
from mirror_process import COMMAND
from waiting import HANG_S, wait_for
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.bus.channel import Publisher
from ytm_device.frame import Reflection
from ytm_device.run_dirs import endpoint
from ytm_device.status import read_status

CHANNELS = 2
CHANGES = 20
REFLECTIONS_HZ = 30
LOUD = 0.6
"""Scaled mel power in every band: as loud as the limiter still leaves alone."""
LOUD_S = 0.3
QUIET_S = (0.3, 0.5)
"""Shortest and longest: longer than a sound takes to end, and irregular."""
DITHER = 2
"""No sample of silence is further from 0."""
LEVEL_S = 0.005
"""Over which the level is taken, when asking for half of it."""
FINAL_S = (0.1, 0.2)
"""After a change, when its level is final."""
SEED = 5
_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_CONFIGURATION = """
pcm_type.paced {{ lib "{library}" }}
pcm.card {{ type paced file "{folder}/card.raw" log "{folder}/card.log" }}
"""


@dataclass(frozen=True)
class Heard:
    """What a card of `paced_pcm.c` heard, and what it noted of it."""

    samples: np.ndarray
    """int16 (n,)"""
    starts: list[tuple[int, int]]
    """Time in ns, index of the first sample heard then."""
    underruns: int

    def at_ns(self, sample: int, rate_hz: int) -> int:
        """When a sample was heard, on CLOCK_MONOTONIC."""
        started_ns, first = next(each for each in reversed(self.starts) if each[1] <= sample)
        return started_ns + (sample - first) * _NS_PER_S // rate_hz

    def before(self, time_ns: int, rate_hz: int) -> int:
        """How many samples had been heard by then."""
        started_ns, first = next(each for each in reversed(self.starts) if each[0] <= time_ns)
        return first + (time_ns - started_ns) * rate_hz // _NS_PER_S


def heard_by_card(folder: Path) -> Heard:
    """What `card` in `folder` heard; all of it once the service has ended."""
    frames = np.fromfile(folder / "card.raw", "<i2").reshape(-1, CHANNELS)
    starts = [(int(words[0]), int(words[1])) for words in _noted(folder, "card", "START")]
    return Heard(frames[:, 0], starts, len(underruns_ns(folder, "card")))


def underruns_ns(folder: Path, name: str) -> list[int]:
    """When the card `name` was found to have run dry."""
    return [int(words[0]) for words in _noted(folder, name, "UNDERRUN")]


def _noted(folder: Path, name: str, what: str) -> list[list[str]]:
    """The words after `what`, of each such line in the card's log."""
    lines = [line.split() for line in (folder / f"{name}.log").read_text().splitlines()]
    return [words[1:] for words in lines if words[0] == what]


def with_card(
    folder: Path, library: Path, environment: Mapping[str, str], configuration: Path | None = None
) -> dict[str, str]:
    """The environment in which there is a paced `card` that writes into `folder`.

    What says so is written at `configuration`; without it, into `folder`.
    """
    configuration = configuration or folder / "asound.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, library=library))
    return dict(environment) | {"ALSA_CONFIG_PATH": str(configuration)}


@contextmanager
def sounding(
    bundle: Path, environment: Mapping[str, str], folder: Path, *flags: object
) -> Iterator[subprocess.Popen[str]]:
    """The service on `card`, `folder` its run folder; what is inside begins when it plays."""
    arguments = ["sound", "--pcm", "card", "--bundle", bundle, "--run-dir", folder, *flags]
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(
            lambda: process.poll() is not None or read_status(folder, "sound").get("samples", 0)
        )
        assert process.poll() is None, process.communicate()[1]
        yield process
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Change:
    """A sound that came out of silence."""

    latency_ms: float
    """From the call of `publish` until the first sample that is not silence is heard."""
    half_samples: int
    """From that sample until half of the final level."""


@dataclass(frozen=True)
class Measured:
    """All changes that were found, and how the service fared."""

    changes: list[Change]
    published: int
    underruns: int

    def figures(self) -> dict[str, float]:
        """Median, 95th percentile and maximum in ms; samples as a median."""
        latencies_ms = [change.latency_ms for change in self.changes]
        return {
            "published": self.published,
            "found": len(self.changes),
            "median_ms": round(float(np.median(latencies_ms)), 1),
            "p95_ms": round(float(np.percentile(latencies_ms, 95)), 1),
            "max_ms": round(max(latencies_ms), 1),
            "half_level_samples": float(np.median([each.half_samples for each in self.changes])),
            "underruns": self.underruns,
        }


def measure(
    environment: Mapping[str, str], folder: Path, periods: int, changes: int = CHANGES
) -> Measured:
    """Publish `changes` loud reflections amid silence, and find each in what the card heard.

    Args:
        environment: of `with_card` in `folder`.
        folder: empty but for that.
        periods: in the card's buffer, >= 2.
        changes: >= 1.
    """
    with open_bundle(DEMO_BUNDLE) as bundle:
        rate_hz = bundle.manifest.sound.playback_rate_hz
        with (
            Publisher(endpoint(folder)) as publisher,
            sounding(DEMO_BUNDLE, environment, folder, "--periods", periods) as process,
        ):
            published_ns = _alternate(publisher, bundle, folder, changes)
            process.terminate()
            assert process.wait(HANG_S) == 0
    heard = heard_by_card(folder)
    found = [_change(heard, each_ns, rate_hz) for each_ns in published_ns]
    return Measured([each for each in found if each], len(published_ns), heard.underruns)


def _alternate(publisher: Publisher, bundle: Bundle, folder: Path, changes: int) -> list[int]:
    """Silence, then by turns loud and silent; gives when each loud one was first published."""
    shape = bundle.manifest.sound.mel_shape
    quiet, loud = (_reflection(bundle, np.full(shape, level, np.float32)) for level in (0, LOUD))
    random = np.random.default_rng(SEED)
    wait_for(
        lambda: read_status(folder, "sound")["mode"] == "mirror", lambda: _hold(publisher, quiet, 0)
    )
    published_ns = []
    for _ in range(changes):
        _hold(publisher, quiet, random.uniform(*QUIET_S))
        published_ns.append(_hold(publisher, loud, LOUD_S))
    _hold(publisher, quiet, QUIET_S[1])
    return published_ns


def _hold(publisher: Publisher, reflection: Reflection, seconds: float) -> int:
    """Publish it for so long as a mirror would; gives when it was published first."""
    first_ns = time.monotonic_ns()
    for turn in range(max(1, round(seconds * REFLECTIONS_HZ))):
        wait_s = first_ns / _NS_PER_S + turn / REFLECTIONS_HZ - time.monotonic()
        time.sleep(max(0.0, wait_s))
        publisher.publish(replace(reflection, taken_ns=time.monotonic_ns()))
    time.sleep(max(0.0, first_ns / _NS_PER_S + seconds - time.monotonic()))
    return first_ns


def _reflection(bundle: Bundle, mel: np.ndarray) -> Reflection:
    image = bundle.manifest.image
    return Reflection(
        image=np.zeros((image.height, image.width, 3), np.uint8),
        mel=mel,
        presence=True,
        presence_since_ns=0,
        taken_ns=time.monotonic_ns(),
        sequence=0,
        bundle_id=bundle.id,
    )


def _change(heard: Heard, published_ns: int, rate_hz: int) -> Change | None:
    """The first sound after `published_ns`; None if it was not silent then, or stays so."""
    at = heard.before(published_ns, rate_hz)
    sounds = np.abs(heard.samples[at : at + round(LOUD_S * rate_hz)].astype(int)) > DITHER
    first = int(np.argmax(sounds))
    if first == 0:
        return None
    late_ns = heard.at_ns(at + first, rate_hz) - published_ns
    return Change(late_ns / _NS_PER_MS, _samples_to_half(heard.samples[at + first :], rate_hz))


def _samples_to_half(sound: np.ndarray, rate_hz: int) -> int:
    """From its beginning until the level around a sample is half of what it will be."""
    window = round(LEVEL_S * rate_hz)
    energy = np.convolve(sound[:rate_hz].astype(float) ** 2, np.full(window, 1 / window), "same")
    start, end = (round(each_s * rate_hz) for each_s in FINAL_S)
    return int(np.argmax(energy >= energy[start:end].mean() / 4))


def built_card(folder: Path) -> Path:
    """`paced_pcm.c`, compiled into `folder`."""
    return shared_library(Path(__file__).parent / "device/paced_pcm.c", folder, "-lasound")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--periods", default="2,3,4,6", help="in the buffer, with commas between")
    parser.add_argument("--changes", type=int, default=CHANGES, help="in each measurement")
    arguments = parser.parse_args()
    measured = {}
    with tempfile.TemporaryDirectory() as name:
        library = built_card(Path(name))
        for periods in map(int, arguments.periods.split(",")):
            print(f"{periods} periods ...", file=sys.stderr)
            folder = Path(name, str(periods))
            folder.mkdir()
            environment = with_card(folder, library, os.environ)
            measured[periods] = measure(environment, folder, periods, arguments.changes).figures()
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
