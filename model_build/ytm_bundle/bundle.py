"""Opening and writing a bundle: the only thing that training hands to the device."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ytm_bundle import archive, checksums
from ytm_bundle.errors import BundleError
from ytm_bundle.files import replacing, replacing_folder
from ytm_bundle.manifest import NEXT, PHASORS, GraphName, Manifest, TensorSpec, read_manifest

MANIFEST_NAME = "manifest.json"
MEL_NAME = "mel.npz"
REPLAY_NAME = "replay.npz"
GOLDEN_NAME = "golden.npz"

Array = npt.NDArray[np.float32]
Pictures = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MelMatrices:
    """The mel filter bank itself, not its recipe."""

    forward: Array
    """(n_mels, bins): power spectrum -> mel power."""
    inverse: Array
    """(bins, n_mels): the pseudo-inverse of `forward`."""


@dataclass(frozen=True)
class Replay:
    """Training pictures with what the mirror makes of them; k stills."""

    images: Pictures
    """uint8 (k, h, w, 3), RGB, as learned from."""
    reconstructions: Pictures
    """uint8 (k, h, w, 3), RGB, as the mirror shows them, not yet flipped."""
    mels: Array
    """float32 (k, n_mels, frames), scaled as the manifest says."""


@dataclass(frozen=True)
class Golden:
    """Inputs of one graph and the outputs that float32 gave for them; batch first."""

    inputs: dict[str, Array]
    """By name, the state included."""
    output: Array
    next_state: dict[str, Array] = field(default_factory=dict)
    """By the outputs' names; without `PHASORS`."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose digests and manifest have been checked."""

    folder: Path
    id: str
    """SHA-256 over the digests of all its files, in hexadecimal."""
    manifest: Manifest
    _read: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Arrays that were read before: what stands in the folder may be another bundle by then."""

    def graph_path(self, name: GraphName) -> Path:
        """The ONNX file of a graph."""
        return self.folder / "graphs" / f"{name}.onnx"

    def mel_matrices(self) -> MelMatrices:
        """The mel matrix and its pseudo-inverse, read at the first call."""
        if "mel_matrices" not in self._read:
            self._read["mel_matrices"] = self._read_mel_matrices()
        matrices: MelMatrices = self._read["mel_matrices"]
        return matrices

    def replay(self) -> Replay:
        """The stills of the replay, read at the first call."""
        if "replay" not in self._read:
            self._read["replay"] = self._read_replay()
        replay: Replay = self._read["replay"]
        return replay

    def _read_mel_matrices(self) -> MelMatrices:
        sound = self.manifest.sound
        with _arrays(self.folder / MEL_NAME) as arrays:
            return MelMatrices(
                arrays.take("forward", np.float32, (sound.n_mels, sound.bins)),
                arrays.take("inverse", np.float32, (sound.bins, sound.n_mels)),
            )

    def _read_replay(self) -> Replay:
        image, order = self.manifest.image, self.manifest.replay.order
        pictures = (None, image.height, image.width, 3)
        with _arrays(self.folder / REPLAY_NAME) as arrays:
            replay = Replay(
                arrays.take("images", np.uint8, pictures),
                arrays.take("reconstructions", np.uint8, pictures),
                arrays.take("mels", np.float16, (None, *self.manifest.sound.mel_shape)).astype(
                    np.float32
                ),
            )
        if not len(replay.images) == len(replay.reconstructions) == len(replay.mels) > max(order):
            raise BundleError(
                f"{self.folder / REPLAY_NAME}: {len(replay.images)} images,"
                f" {len(replay.reconstructions)} reconstructions and {len(replay.mels)} mels do not"
                f" cover the order in the manifest (up to {max(order)}); build the bundle again"
            )
        return replay

    def golden(self, name: GraphName) -> Golden:
        """Read the golden vectors of a graph."""
        graph = self.manifest.graphs[name]
        with _arrays(self.folder / GOLDEN_NAME) as arrays:

            def take(key: str, tensor: TensorSpec) -> Array:
                return arrays.take(f"{name}.{key}", np.float32, (None, *tensor.shape))

            given = (*graph.inputs, *graph.state)
            inputs: dict[str, Array] = {
                tensor.name: take(f"in.{tensor.name}", tensor) for tensor in given
            }
            output = take(f"out.{graph.output.name}", graph.output)
            compared = (tensor for tensor in graph.state if tensor.name != PHASORS)
            states = {f"{NEXT}{tensor.name}": tensor for tensor in compared}
            next_state = {key: take(f"out.{key}", tensor) for key, tensor in states.items()}
        return Golden(inputs, output, next_state)


class _Arrays:
    """The arrays of one .npz file, each checked as it is taken."""

    def __init__(self, path: Path, arrays: np.lib.npyio.NpzFile) -> None:
        self._path, self._arrays = path, arrays

    def take(
        self, name: str, dtype: npt.DTypeLike, shape: tuple[int | None, ...]
    ) -> npt.NDArray[Any]:
        """Read an array that must have `dtype` and `shape` (None: any length) and be finite."""
        if name not in self._arrays:
            raise BundleError(f"{self._path}: lacks the array {name!r}; build the bundle again")
        array: npt.NDArray[Any] = self._arrays[name]
        fits = len(array.shape) == len(shape) and all(
            wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
        )
        if array.dtype != dtype or not fits:
            raise BundleError(
                f"{self._path}: {name} is {array.dtype} {array.shape}, expected"
                f" {np.dtype(dtype)} {shape}; build the bundle again"
            )
        if not np.isfinite(array).all():
            raise BundleError(f"{self._path}: {name} holds values that are not finite")
        return array


@contextmanager
def _arrays(path: Path) -> Iterator[_Arrays]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield _Arrays(path, arrays)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise BundleError(f"{path}: cannot be read ({error}); build the bundle again") from error


@contextmanager
def open_bundle(path: Path) -> Iterator[Bundle]:
    """Open and verify a bundle: a folder, or a `.ytm` file, which is unpacked meanwhile.

    Raises:
        BundleError: it is missing, damaged, unsafe, incomplete or from a newer schema.
    """
    if path.is_dir():
        yield _verified(path)
    elif path.is_file():
        with tempfile.TemporaryDirectory(prefix="ytm-bundle-") as folder:
            archive.unpack(path, Path(folder))
            yield _verified(Path(folder))
    else:
        raise BundleError(
            f"{path}: no such bundle; give the folder or {archive.SUFFIX} file that"
            " ytm-build-engine made"
        )


def _verified(folder: Path) -> Bundle:
    identity = checksums.check_sums(folder)
    manifest = read_manifest(folder / MANIFEST_NAME)
    bundle = Bundle(folder, identity, manifest)
    needed = [bundle.graph_path(name) for name in manifest.graphs]
    for path in (*needed, *(folder / name for name in (MEL_NAME, REPLAY_NAME, GOLDEN_NAME))):
        if not path.is_file():
            raise BundleError(f"{path}: missing from the bundle; build the bundle again")
    return bundle


@contextmanager
def writing_bundle(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; on success it becomes the bundle `path`, whole and verified.

    `path` is a folder, or a file if its name ends in `.ytm`. The caller writes everything but
    SHA256SUMS. What stood at `path` stays until the new bundle takes its place.

    Raises:
        BundleError: something other than a bundle stands at `path`, or the result is not sound.
    """
    check_writable(path)
    if path.suffix == archive.SUFFIX:
        with tempfile.TemporaryDirectory(dir=_parent(path), prefix=".ytm-") as name:
            folder = Path(name)
            yield folder
            checksums.write_sums(folder)
            _verified(folder)
            with replacing(path) as temporary:
                archive.pack(folder, temporary)
    else:
        with replacing_folder(path) as folder:
            yield folder
            checksums.write_sums(folder)
            _verified(folder)


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.parent


def check_writable(path: Path) -> None:
    """Refuse to write a bundle over anything that is not one.

    Raises:
        BundleError: `path` holds something else, or cannot be written.
    """
    if path.suffix == archive.SUFFIX:
        blocked = path.is_dir() or (path.is_file() and not zipfile.is_zipfile(path))
    else:
        blocked = path.exists() and not (path / checksums.SUMS_NAME).is_file()
        blocked = blocked and not (path.is_dir() and not any(path.iterdir()))
    if blocked:
        raise BundleError(f"{path}: is there and is not a bundle; give another --out")
    ancestor = next(parent for parent in path.absolute().parents if parent.exists())
    if not ancestor.is_dir() or not os.access(ancestor, os.W_OK):
        raise BundleError(f"{path}: {ancestor} cannot be written to; give another --out")
