"""How soon visitors are noticed, how long they are kept, and how often there were none.

    python tests/presence_on_clips.py [--seconds 300] [--json]

needs the clips of `../shared/data/camera`. Rooms, lights and noise are those of `gallery.py`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from gallery import LIGHTS, Array, Light, Shown, drawn_room, filmed, steady
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.file import read_frames
from ytm_device.presence.detector import PresenceDetector
from ytm_device.presence.parameters import PresenceParameters

CLIPS = Path(__file__).resolve().parents[2] / "shared/data/camera"
ENTERING = "people_entering_one_by_one.mp4"
ENTERING_HZ = 10
EMPTY_S = 5.4
"""The first so many seconds of that clip show an empty room."""
CALM_S = ((11.0, 16.5), (28.0, 42.0), (55.0, 58.8), (79.0, 84.0), (97.0, 117.0), (127.5, 129.2))
"""In which somebody stands and hardly moves."""
VISIBLE_SHARE = 0.02
"""Of the picture: who covers less is not yet there."""
VISIBLE_LEVELS = 40
BEFORE_S, AFTER_S = 8.0, 15.0
STAND_S = 180.0
CHAIR_S = 60.0
DRAWN_ROOMS = 4
RATE_HZ = 15
_AS_SET = PresenceParameters()


@dataclass(frozen=True)
class Variant:
    """How a clip is shown."""

    size: int = 112
    mirrored: bool = False
    stops: float = 0
    noise: float = 0
    light: str = "steady"
    every: int = 1
    """Only every so many pictures."""


VARIANTS = {
    "as filmed": Variant(),
    "mirrored": Variant(mirrored=True),
    "32 pixels": Variant(size=32),
    "192 pixels": Variant(size=192),
    "5 pictures a second": Variant(every=2),
    "2 stops darker": Variant(stops=-2, noise=0.5),
    "3 stops darker": Variant(stops=-3, noise=0.5),
    "noisy": Variant(noise=1),
    "very noisy": Variant(noise=2),
    **{name: Variant(light=name, noise=0.5) for name in LIGHTS if name != "steady"},
}
STANDING = ("as filmed", "2 stops darker", "noisy", "32 pixels", "screen's glow")


@dataclass(frozen=True)
class Clip:
    frames: list[Array]
    times_s: list[float]

    def between(self, begin_s: float, end_s: float) -> list[Array]:
        pairs = zip(self.frames, self.times_s, strict=True)
        return [frame for frame, time_s in pairs if begin_s <= time_s < end_s]


@lru_cache(maxsize=4)
def load(name: str, size: int = 112) -> Clip:
    spec = ImageSpec(width=size, height=size, fit="crop", filter="triangle", colour="RGB")
    frames = list(read_frames(CLIPS / name, spec))
    return Clip([each.pixels for each in frames], [each.taken_ns / 1e9 for each in frames])


def to_and_fro(frames: list[Array], seconds: float, rate_hz: float) -> list[Array]:
    """So many seconds of frames, forwards and backwards without end."""
    there_and_back = frames + frames[-2:0:-1]
    return [there_and_back[n % len(there_and_back)] for n in range(round(seconds * rate_hz))]


def shown(frames: list[Array], rate_hz: float, variant: Variant) -> Iterator[Shown]:
    """Frames as a variant shows them, each with its time."""
    chosen = [frame[:, ::-1] if variant.mirrored else frame for frame in frames[:: variant.every]]
    hz = rate_hz / variant.every

    def scene(t_s: float) -> Array:
        return chosen[round(t_s * hz)]

    light: Light = LIGHTS[variant.light]
    return filmed(scene, len(chosen) / hz, light, hz, variant.noise, variant.stops)


def seen(pictures: Iterable[Shown], parameters: PresenceParameters = _AS_SET) -> list[bool]:
    """Whether somebody was there, picture by picture."""
    detector = PresenceDetector(parameters)
    return [detector.see(pixels, taken_ns).somebody for pixels, taken_ns in pictures]


def changes(somebody: list[bool]) -> int:
    return sum(one != other for one, other in pairwise(somebody))


def visits(clip: Clip) -> list[tuple[int, int]]:
    """First and last frame of everybody who enters: who covers `VISIBLE_SHARE` of the room."""
    room = np.mean(clip.between(0, EMPTY_S), axis=0)
    covered = [
        float((np.abs(frame - room).max(axis=2) > VISIBLE_LEVELS).mean()) for frame in clip.frames
    ]
    there = [share > VISIBLE_SHARE for share in covered]
    edges = [n for n in range(1, len(there)) if there[n] != there[n - 1]] + [len(there)]
    spans = zip(edges[::2], edges[1::2], strict=False)
    return [(begin, end) for begin, end in spans if end - begin > ENTERING_HZ]


@dataclass(frozen=True)
class Visits:
    """Of everybody who enters an empty room, stays and leaves."""

    people: int
    missed: int
    onset_s: list[float]
    lost: int
    """Times that somebody who was there was held to be gone."""
    early: int
    """Times that somebody was seen before anybody came."""
    left_after_s: list[float]
    """From the last of them to nobody there; `AFTER_S` at least if it did not happen."""


def measure_visits(variant: Variant, stand_s: float = 0) -> Visits:
    """Play every visit to a fresh detector; hold its calm stretch for `stand_s` more."""
    clip = load(ENTERING, variant.size)
    spans = visits(load(ENTERING))
    empty = clip.between(0, EMPTY_S)
    found = Visits(len(spans), 0, [], 0, 0, [])
    missed = lost = early = 0
    for begin, end in spans:
        before = to_and_fro(empty, BEFORE_S, ENTERING_HZ)
        visit = held(clip, begin, end, stand_s)
        frames = before + visit + to_and_fro(empty, AFTER_S, ENTERING_HZ)
        somebody = seen(shown(frames, ENTERING_HZ, variant))
        hz = ENTERING_HZ / variant.every
        first, last = round(len(before) / variant.every), round(len(before + visit) / variant.every)
        early += changes(somebody[:first])
        within, after = somebody[first:last], somebody[last:]
        missed += not any(within)
        if any(within):
            found.onset_s.append(within.index(True) / hz)
            lost += sum(was and not is_ for was, is_ in pairwise(within))
        found.left_after_s.append((after.index(False) if False in after else len(after)) / hz)
    return Visits(found.people, missed, found.onset_s, lost, early, found.left_after_s)


def held(clip: Clip, begin: int, end: int, stand_s: float) -> list[Array]:
    """A visit, its calm stretch prolonged."""
    for from_s, to_s in CALM_S:
        first, last = round(from_s * ENTERING_HZ), round(to_s * ENTERING_HZ)
        if stand_s and begin <= first and last <= end:
            calm = to_and_fro(clip.frames[first:last], stand_s, ENTERING_HZ)
            return clip.frames[begin:first] + calm + clip.frames[first:end]
    return clip.frames[begin:end]


@dataclass(frozen=True)
class FromTheStart:
    """Of somebody who is there from the first picture."""

    onset_s: float | None
    lost: int


def measure_from_the_start(name: str) -> FromTheStart:
    clip = load(name)
    pairs = zip(clip.frames, clip.times_s, strict=True)
    somebody = seen((frame, round(time_s * 1e9) + 1) for frame, time_s in pairs)
    onset = clip.times_s[somebody.index(True)] if any(somebody) else None
    return FromTheStart(onset, sum(was and not is_ for was, is_ in pairwise(somebody)))


def rooms() -> dict[str, Array]:
    clip = load(ENTERING)
    real = np.rint(np.mean(clip.between(0, EMPTY_S), axis=0)).astype(np.uint8)
    return {"filmed": real} | {f"drawn {n}": drawn_room(n) for n in range(DRAWN_ROOMS)}


@dataclass(frozen=True)
class Empty:
    """Of empty rooms, together."""

    hours: float
    changes: int
    changes_per_hour: float


def measure_empty(light: str, noise: float, stops: float, seconds: float) -> Empty:
    found = 0
    empty = rooms()
    for seed, room in enumerate(empty.values()):
        pictures = filmed(
            partial(_always, room), seconds, LIGHTS[light], RATE_HZ, noise, stops, seed
        )
        found += changes(seen(pictures))
    hours = len(empty) * seconds / 3600
    return Empty(hours, found, found / hours)


def _always(room: Array, _t_s: float) -> Array:
    return room


def measure_chair() -> float | None:
    """Seconds for which a chair that came by itself is held to be strange; None: for ever."""
    room = drawn_room(1)
    moved = room.copy()
    cv2.rectangle(moved, (20, 60), (45, 100), (30, 60, 20), -1)
    detector = PresenceDetector(_AS_SET)
    scene = filmed(lambda t_s: moved if t_s > 10 else room, CHAIR_S, steady, RATE_HZ)
    shares = [detector.see(pixels, taken_ns).share for pixels, taken_ns in scene]
    last = max(n for n, share in enumerate(shares) if share > VISIBLE_SHARE)
    return last / RATE_HZ - 10 if last < len(shares) - 1 else None


def measure_cost_ms(size: int) -> float:
    """Processor time a picture, in milliseconds."""
    frames = load(ENTERING, size).frames[:400]
    detector = PresenceDetector(_AS_SET)
    begin_s = time.process_time()
    for n, frame in enumerate(frames):
        detector.see(frame, (n + 1) * 10**8)
    return (time.process_time() - begin_s) / len(frames) * 1e3


def measure(seconds: float) -> Iterator[tuple[str, dict[str, object]]]:
    """Every table: its title, and its rows by name."""
    yield "visits", {name: asdict(measure_visits(variant)) for name, variant in VARIANTS.items()}
    yield (
        f"standing {STAND_S:g} s",
        {name: asdict(measure_visits(VARIANTS[name], STAND_S)) for name in STANDING},
    )
    names = sorted(path.name for path in CLIPS.iterdir() if path.name != ENTERING)
    yield "there from the start", {name: asdict(measure_from_the_start(name)) for name in names}
    yield (
        "empty rooms",
        {
            f"{light}, noise {noise:g}, {stops:+g} stops": asdict(
                measure_empty(light, noise, stops, seconds)
            )
            for light in LIGHTS
            for noise, stops in ((1, 0), (2, 0), (1, -3))
        },
    )
    yield "a chair that came by itself", {"absorbed_after_s": measure_chair()}
    yield "cost, ms", {f"{size} pixels": measure_cost_ms(size) for size in (32, 112, 192)}


def show(title: str, rows: dict[str, object]) -> Iterator[str]:
    """A table, line by line."""
    yield f"\n{title}"
    for name, row in rows.items():
        cells = row.items() if isinstance(row, dict) else [("", row)]
        yield f"  {name:34s}" + "  ".join(f"{key} {_brief(value)}" for key, value in cells)


def _brief(value: object) -> str:
    if isinstance(value, list):
        return f"{np.median(value):.2f} (max {max(value):.2f})" if value else "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="of every empty room")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tables = measure(arguments.seconds)
    if arguments.json:
        print(json.dumps(dict(tables), indent=2))
        return
    for title, rows in tables:
        print("\n".join(show(title, rows)), flush=True)


if __name__ == "__main__":
    main()
