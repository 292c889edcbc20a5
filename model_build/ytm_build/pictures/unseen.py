"""Drawn scenes and open clips that a bundle has not learned from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice, zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ytm_build.demo import OPEN_RIGHTS, RATE_HZ, SCENE_SECONDS
from ytm_build.demo import SEED as LEARNED_SEED
from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import BundleError, UsageError
from ytm_bundle.manifest import ImageSpec
from ytm_training.collect.extract import SILENCE_DBFS, level_dbfs, strongest_onset_s
from ytm_training.collect.files import find_files
from ytm_training.collect.sidecar import Facts, find_sidecar
from ytm_training.learn.hearing import mel_power, sound_settings, source_gain_db
from ytm_training.marks import segment_marks
from ytm_training.media import fit_image, iterate_frames
from ytm_training.scenes.drawing import draw
from ytm_training.scenes.scene import KINDS, Kind, Scene, random_scene
from ytm_training.scenes.sounding import sound
from ytm_training.scenes.videos import SIZE, file_name
from ytm_training.segment import Segment

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

SEED = LEARNED_SEED + 1
_START_S, _SECOND_S = 1.0, 1.0
_HEARD_S = (0.5, 2.5)
_EVERY, _MOST = 10, 4000
"""Of a clip's pictures every so many are looked at, up to so many."""


@dataclass(frozen=True)
class UnseenScene:
    """A second of a scene, as a dataset would hold it."""

    scene: Scene
    picture: Pixels
    """uint8 (h, w, 3) RGB, of the bundle's size, at the strongest onset."""
    mel: Array
    """float32 (n_mels, frames), scaled as the bundle says."""
    samples: Array
    """float32 (n,) at `RATE_HZ`: that second and some more, as loud as it was learned."""


@dataclass(frozen=True)
class Clip:
    """A picture of an open video."""

    name: str
    title: str | None
    licence: str | None
    origin: str | None
    """Where it came from."""
    picture: Pixels
    """uint8 (h, w, 3) RGB, of the bundle's size."""


def unseen_scenes(bundle: Bundle) -> list[UnseenScene]:
    """The first scene of each kind with another seed than the demo bundle's.

    As where datasets are collected, a second that is silent is none.

    Raises:
        BundleError: the bundle has learned from one of them, or from more or less than a second.
    """
    spec = bundle.manifest.sound
    if sound_settings(spec).frames != spec.frames:
        raise BundleError(
            f"{bundle.folder}: sound.frames is {spec.frames}, and no part of a second gives so"
            f" many at hop {spec.hop}; give another bundle"
        )
    return [_first(kind, bundle) for kind in KINDS]


def _first(kind: Kind, bundle: Bundle) -> UnseenScene:
    for scene in (random_scene(SEED, number) for number in count()):
        if scene.category == kind:
            whole = sound(scene, SCENE_SECONDS, RATE_HZ)
            second = _between(whole, _START_S, _START_S + _SECOND_S)
            if level_dbfs(second) >= SILENCE_DBFS:
                return _unseen(scene, whole, second, bundle)
    raise AssertionError("scenes have no last number")


def _unseen(scene: Scene, whole: Array, second: Array, bundle: Bundle) -> UnseenScene:
    if _is_known(bundle, file_name(scene)):
        raise BundleError(
            f"{bundle.folder}: learned from {file_name(scene)}, which is to be shown as unseen;"
            " change SEED in ytm_build/pictures/unseen.py"
        )
    settings = sound_settings(bundle.manifest.sound)
    onset_s = strongest_onset_s(second, RATE_HZ)
    gain_db = source_gain_db([whole], RATE_HZ, settings)
    power = mel_power(second, RATE_HZ, onset_s, settings) * np.float32(10 ** (gain_db / 10))
    return UnseenScene(
        scene=scene,
        picture=fit_image(draw(scene, _START_S + onset_s, *SIZE), bundle.manifest.image),
        mel=bundle.manifest.sound.scale(power),
        samples=_between(whole, *_HEARD_S) * np.float32(10 ** (gain_db / 20)),
    )


def _between(samples: Array, start_s: float, end_s: float) -> Array:
    return samples[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]


def unseen_clips(bundle: Bundle, videos: Path, manifest: Path, most: int) -> list[Clip]:
    """Up to `most` clips whose content is open, from as many categories as there are.

    Of each the picture that is least like the others, which is where most is going on.

    Args:
        bundle: what must not have learned from them.
        videos: a folder of videos, searched with its subfolders.
        manifest: the table beside them, as `ytm_training.collect.sidecar` reads it.
        most: clips.

    Raises:
        UsageError: the table cannot be read, or there are none.
        UnusableVideoError: a clip cannot be decoded.
    """
    sidecar = find_sidecar(videos, manifest)
    titles = {source.title for source in bundle.manifest.sources}
    kinds: dict[str | None, list[tuple[Path, Facts]]] = defaultdict(list)
    for file in find_files(videos, frozenset()):
        facts = sidecar.facts(file.source)
        learned = facts.title in titles or _is_known(bundle, file.source, file.path.name)
        if file.reason is None and facts.rights == OPEN_RIGHTS and not learned:
            kinds[facts.category].append((file.path, facts))
    if not kinds:
        raise UsageError(
            f"--videos {videos}: no clip of rights class {OPEN_RIGHTS} that this bundle has not"
            " learned from; give another folder, or leave --videos and --manifest out"
        )
    chosen = islice(_in_turn(list(kinds.values())), most)
    return [_clip(path, facts, bundle.manifest.image) for path, facts in chosen]


def _clip(path: Path, facts: Facts, image: ImageSpec) -> Clip:
    return Clip(path.stem, facts.title, facts.licence, facts.origin, _busiest(path, image))


def _in_turn(kinds: Sequence[list[tuple[Path, Facts]]]) -> Iterator[tuple[Path, Facts]]:
    """The first of each, then the second of each."""
    for row in zip_longest(*kinds):
        yield from (item for item in row if item is not None)


def _busiest(path: Path, image: ImageSpec) -> Pixels:
    """The picture that is farthest from the average of a clip."""
    frames = islice(iterate_frames(path), 0, _MOST, _EVERY)
    pictures = np.stack([fit_image(pixels, image) for _, pixels in frames])
    unlike = np.abs(pictures - pictures.mean(axis=0)).mean(axis=(1, 2, 3))
    return np.asarray(pictures[int(np.argmax(unlike))], np.uint8)


def _is_known(bundle: Bundle, *names: str) -> bool:
    """Whether the bundle learned from a video that was called so when it was collected."""
    learned = set(bundle.manifest.learned)
    return any(_mark_of(name) in learned for name in names)


def _mark_of(source: str) -> str:
    """The mark of a source's name, which is that of any segment of it."""
    nothing = np.zeros((1, 1, 3), np.uint8), np.zeros(1, np.float32)
    return segment_marks(Segment("", source, 0.0, 0.0, *nothing, rate_hz=1))[0]
