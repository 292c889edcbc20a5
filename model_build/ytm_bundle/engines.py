"""Engines: a bundle's graphs, compiled for one machine, and everything that they depend on.

They lie outside the bundle's digests, in a folder named by their key:

    engines/KEY/key.json, report.json, GRAPH.engine for each graph, SHA256SUMS
    engines/timing-PLATFORM.cache

An engine is run with one picture or sound at a time: it must take a batch of one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field, ValidationError

from ytm_bundle.bundle import Bundle
from ytm_bundle.checksums import ENGINES_FOLDER, SUMS_NAME, check_sums, digest_file, write_sums
from ytm_bundle.errors import BundleError
from ytm_bundle.files import replacing_folder
from ytm_bundle.manifest import Spec

ENGINE_SUFFIX = ".engine"
KEY_NAME = "key.json"
REPORT_NAME = "report.json"
UNFINISHED_PREFIX = ".unfinished-"
"""Of the folder beside the engines in which graphs are that are finished while others are not."""
MAX_JSON_BYTES = 1 << 20
_FOLDER_CHARACTERS = 32
_FOLDER = re.compile(rf"[0-9a-f]{{{_FOLDER_CHARACTERS}}}")
_LEAVING = ".leaving-"
_PLATFORM_CHARACTERS = 16

Word = Annotated[str, Field(max_length=512)]
GraphFile = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
NotNegative = Annotated[float, Field(ge=0)]
_Read = TypeVar("_Read", bound=Spec)


class EngineKey(Spec):
    """Everything that an engine depends on; one that was made for another is never loaded."""

    backend: Word
    """`tensorrt` or `onnxruntime`."""
    version: Word
    """Of what runs it, in full."""
    cuda: Word
    """Version of CUDA; empty where there is none."""
    gpu: Word
    """Name of the GPU; for `onnxruntime` the CPU's model."""
    compute_capability: Word
    """Such as `8.7`; for `onnxruntime` the machine type, such as `x86_64`."""
    l4t: Word
    """Release of a Jetson's system, such as `36.4.3`; empty elsewhere."""
    options: dict[Word, Word]
    """What it was built with."""
    graphs: dict[GraphFile, Sha256]
    """Name of each graph -> SHA-256 of its ONNX file."""

    @property
    def digest(self) -> str:
        """SHA-256 over all of it, in hexadecimal."""
        return _digest(self.model_dump())

    @property
    def platform_digest(self) -> str:
        """The same without the graphs: what measurements of the machine depend on."""
        return _digest(self.model_dump(exclude={"graphs"}))

    @property
    def folder(self) -> str:
        """Name of the folder that holds the engines."""
        return self.digest[:_FOLDER_CHARACTERS]


class GraphReport(Spec):
    """What was found when one engine was built."""

    name: GraphFile
    size_bytes: Annotated[int, Field(ge=0)]
    build_s: NotNegative
    error: NotNegative
    """Relative L2 distance from the expected output on the golden inputs."""
    tolerance: NotNegative
    """The most that the manifest allows."""
    latency_ms: NotNegative
    """Median of a run with a batch of one."""


class SoundWay(Spec):
    """What streams the sound on the machine of the engines, as it was measured there."""

    graph: bool
    """The engine of the graph `inverter`; otherwise the processor's compiled kernel."""
    why: Annotated[str, Field(max_length=1024)]


class EngineReport(Spec):
    """What was found when the engines were built."""

    backend: Word
    version: Word
    built: dict[Word, Word]
    """What is known of the machine, such as its name."""
    graphs: tuple[GraphReport, ...]
    sound: SoundWay | None = None
    """None where there was nothing to choose between."""


@dataclass(frozen=True)
class EngineFolder:
    """Engines whose digests and key have been checked."""

    folder: Path
    id: str
    """SHA-256 over the digests of all its files, in hexadecimal."""
    key: EngineKey
    report: EngineReport

    def engine_path(self, name: str) -> Path:
        """The engine of a graph."""
        return _engine_path(self.folder, name)


def graph_digests(bundle: Bundle) -> dict[str, str]:
    """Name of each graph of `bundle` -> SHA-256 of its ONNX file; `EngineKey.graphs`."""
    return {name: digest_file(bundle.graph_path(name)) for name in bundle.manifest.graphs}


def engine_places(bundle: Path, data: Path) -> tuple[Path, ...]:
    """Where engines for the bundle at `bundle` may lie, the first to be looked at first.

    Args:
        bundle: a folder, or a `.ytm` file, in which nothing can be looked for.
        data: what lasts on a board.
    """
    own = (bundle / ENGINES_FOLDER,) if bundle.is_dir() else ()
    return (*own, data / ENGINES_FOLDER)


def timing_cache_path(place: Path, key: EngineKey) -> Path:
    """What a builder has measured on the machine of `key`, kept for its next build."""
    return place / f"timing-{key.platform_digest[:_PLATFORM_CHARACTERS]}.cache"


def find_engines(
    places: Iterable[Path], key: EngineKey, problems: list[str] | None = None
) -> EngineFolder | None:
    """The first sound engines for exactly `key`; None where there are none.

    Args:
        places: of `engine_places`.
        key: of this machine and bundle.
        problems: gets a line for each folder that is not sound, which names the file.
    """
    for place in places:
        folder = place / key.folder
        try:
            if not (folder / SUMS_NAME).exists():
                continue
            return _verified(folder, key)
        except BundleError as error:
            problem = str(error)
        except OSError as error:
            problem = f"{folder}: cannot be read ({error.strerror})"
        if problems is not None:
            problems.append(problem)
    return None


def reports(place: Path) -> Iterator[EngineReport]:
    """What is said of all engines in a place, for whatever machine; nothing is verified.

    What cannot be read is left out.
    """
    for path in sorted(place.glob(f"*/{REPORT_NAME}")):
        with suppress(BundleError):
            yield _read(path, EngineReport)


def remove_old(place: Path, keep: EngineFolder, most: int) -> list[Path]:
    """Leave only the newest engines in a place, whatever they were built for.

    What is no folder of engines is never touched, and no link is followed. Killed at any moment, it
    leaves each folder whole or as a leftover that the next call removes.

    Args:
        place: where the engines lie.
        keep: stays, however old it is.
        most: folders that stay, >= 1.

    Returns:
        The folders that were removed; none while another process builds there.
    """
    with suppress(BundleError), _alone_in(place):
        for left in place.glob(f"{_LEAVING}*"):
            shutil.rmtree(left, ignore_errors=True)
        others = sorted(
            (path for path in place.iterdir() if _is_engines(path) and path != keep.folder),
            key=lambda path: (path / SUMS_NAME).stat().st_mtime_ns,
            reverse=True,
        )
        removed = others[most - 1 :]
        for path in removed:
            leaving = path.with_name(f"{_LEAVING}{path.name}")
            path.rename(leaving)
            shutil.rmtree(leaving, ignore_errors=True)
        return removed
    return []


def _is_engines(path: Path) -> bool:
    """Whether a path is a folder that `writing_engines` made."""
    is_named = _FOLDER.fullmatch(path.name) is not None
    is_folder = is_named and path.is_dir() and not path.is_symlink()
    return is_folder and all((path / name).is_file() for name in (KEY_NAME, SUMS_NAME))


@contextmanager
def writing_engines(place: Path, key: EngineKey) -> Iterator[Path]:
    """Give an empty folder to fill; on success it becomes the engines for `key` in `place`.

    The caller writes the engines and the report; key and SHA256SUMS are added last. What stood
    there for `key` stays until then. Only one process at a time writes in `place`.

    Raises:
        BundleError: another process writes there, the place cannot be written, or the result is
            not sound.
    """
    with _alone_in(place):
        _remove_leftovers(place, key)
        with replacing_folder(place / key.folder) as folder:
            yield folder
            (folder / KEY_NAME).write_text(key.model_dump_json(indent=2), encoding="utf-8")
            write_sums(folder)
            _verified(folder, key)


def _digest(fields: dict[str, Any]) -> str:
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _engine_path(folder: Path, name: str) -> Path:
    return folder / f"{name}{ENGINE_SUFFIX}"


def _verified(folder: Path, key: EngineKey) -> EngineFolder:
    if _read(folder / KEY_NAME, EngineKey) != key:
        raise BundleError(f"{folder / KEY_NAME}: of another machine, version or bundle; not loaded")
    for path in (*(_engine_path(folder, name) for name in key.graphs), folder / REPORT_NAME):
        if not path.is_file():
            raise BundleError(f"{path}: missing from the engines; build them again")
    try:
        identity = check_sums(folder)
    except BundleError as error:
        # Its remedy is that of a bundle.
        raise BundleError(f"{str(error).partition('; ')[0]}; build the engines again") from error
    if not _is_unchanged(folder / SUMS_NAME, identity):
        raise BundleError(f"{folder / SUMS_NAME}: damaged; build the engines again")
    return EngineFolder(folder, identity, key, _read(folder / REPORT_NAME, EngineReport))


def _is_unchanged(sums: Path, identity: str) -> bool:
    """Whether a list of digests is so to the bit, line ends included."""
    lines, _, last = sums.read_bytes().rpartition(b"# sha256 ")
    return last == f"{identity}\n".encode() and hashlib.sha256(lines).hexdigest() == identity


def _read(path: Path, kind: type[_Read]) -> _Read:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > MAX_JSON_BYTES:
        raise BundleError(f"{path}: larger than {MAX_JSON_BYTES} bytes; build the engines again")
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = cast("dict[str, Any]", error.errors()[0])
        where = ".".join(str(part) for part in first["loc"]) or path.stem
        raise BundleError(f"{path}: {where}: {first['msg']}; build the engines again") from error


@contextmanager
def _alone_in(place: Path) -> Iterator[None]:
    try:
        place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BundleError(f"{place}: engines cannot be written there ({error.strerror})") from error
    try:
        _lock(descriptor, place)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, place: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        raise BundleError(
            f"{place}: another process builds engines there; wait until it has finished"
        ) from error


def _remove_leftovers(place: Path, key: EngineKey) -> None:
    """Of a build that was killed, or lost its power."""
    for left in place.glob(f".{key.folder}.*"):
        shutil.rmtree(left, ignore_errors=True)
