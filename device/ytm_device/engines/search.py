"""Engines that were built for this machine and bundle: looked for, loaded and tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ytm_bundle.bundle import Bundle
from ytm_bundle.checksums import SUMS_NAME
from ytm_bundle.engines import EngineKey, engine_places, find_engines
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import GraphName
from ytm_device.engines.asked import Asked
from ytm_device.engines.golden import Expected, check_golden
from ytm_device.engines.mind import ANSWERING, Graphs, Mind, OnnxMind
from ytm_device.engines.own_thread import beside
from ytm_device.engines.platform import TENSORRT, onnx_key, tensorrt_key
from ytm_device.engines.tensorrt import TensorRtMind

_SHORT = 8
Engines = Literal["auto", "tensorrt", "onnxruntime"]


@dataclass(frozen=True)
class Wish:
    """What the settings say."""

    engines: Engines = "auto"
    """What may answer. With `tensorrt` nothing else does, not even meanwhile."""
    cuda_graph: bool = False
    """See `TensorRtMind`."""


@dataclass(frozen=True)
class Candidate:
    """A folder that may hold engines."""

    place: Path
    key: EngineKey
    mark: tuple[int, int, int, int]
    """Tells what is there from what was there, without reading it."""

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.place / self.key.folder

    def asked(self, run_dir: Path, what: str = "") -> Asked:
        """The mark of these engines, or of `what` of them, and of none that are built later."""
        return Asked(run_dir, f"{what}{self.key.folder[:_SHORT]}-{self.mark[-1]:x}")


class Search:
    """Looks for engines, the preferred ones first."""

    def __init__(self, bundle: Bundle, data: Path, wish: Wish) -> None:
        """Begin to find out what this machine is; a driver that hangs keeps nobody waiting."""
        self.reason: str | None = None
        """Why there can be none for the GPU; None if there can, or it is not known yet."""
        self._places = engine_places(bundle.folder, data)
        self._keys = beside(lambda: _keys(bundle, wish))
        self._refused: list[Candidate] = []

    def wait(self, seconds: float) -> None:
        """Wait until it is known what this machine is, but not longer."""
        wait([self._keys], seconds)

    def refuse(self, candidate: Candidate) -> None:
        """Do not find these again until they are built again."""
        self._refused.append(candidate)

    def newcomer(self, current: Candidate | None) -> Candidate | None:
        """Engines to be preferred to `current`; None where there are none, or it is the best."""
        for candidate in self._candidates():
            if current is not None and candidate.key == current.key:
                return None
            if candidate not in self._refused:
                return candidate
        return None

    def _candidates(self) -> Iterator[Candidate]:
        keys, self.reason = _result(self._keys)
        for key in keys:
            for place in self._places:
                try:
                    found = (place / key.folder / SUMS_NAME).stat()
                except OSError:
                    continue
                mark = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
                yield Candidate(place, key, mark)


_Keys = tuple[tuple[EngineKey, ...], str | None]


def _keys(bundle: Bundle, wish: Wish) -> _Keys:
    """The keys of this machine, preferred first, and why there is none for its GPU."""
    reasons: list[str] = []
    on_gpu = None if wish.engines == "onnxruntime" else tensorrt_key(bundle, reasons)
    on_cpu = None if wish.engines == "tensorrt" else onnx_key(bundle)
    keys = tuple(key for key in (on_gpu, on_cpu) if key is not None)
    return keys, reasons[0] if reasons else None


def _result(keys: Future[_Keys]) -> _Keys:
    if not keys.done():
        return (), None
    if (error := keys.exception()) is not None:
        return (), f"engines cannot be looked for: {error}"
    return keys.result()


def load_engines(
    candidate: Candidate, expected: Mapping[GraphName, Expected], asked: Asked, wish: Wish
) -> Mind:
    """Load engines and try them, before anything of them is shown.

    Args:
        candidate: where they lie.
        expected: what they must give.
        asked: their mark.
        wish: what the settings say.

    Raises:
        DeviceError: they are damaged, a process did not come back from them, they cannot be
            loaded, or they give something else.
    """
    problems: list[str] = []
    engines = find_engines([candidate.place], candidate.key, problems)
    if engines is None:
        raise DeviceError(problems[0] if problems else f"{candidate.folder}: gone")
    asked.check()
    paths = {name: engines.engine_path(name) for name in ANSWERING}
    with asked.asking():
        mind = _mind(candidate.key, paths, wish)
        try:
            check_golden(mind, expected)
        except DeviceError:
            mind.close()
            raise
    return mind


def _mind(key: EngineKey, paths: Mapping[GraphName, Path], wish: Wish) -> Graphs:
    if key.backend == TENSORRT:
        return TensorRtMind(paths, wish.cuda_graph)
    return OnnxMind(paths)
