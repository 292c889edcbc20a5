"""All graphs of a bundle become engines, which stand there together or not at all."""

from __future__ import annotations

import errno
import platform
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ytm_build.engine.alone import if_alone, leave_as_it_was_owned, wait_until_free
from ytm_build.engine.builder import EngineBuilder
from ytm_build.engine.estimate import Estimate, earlier_build_s
from ytm_build.engine.events import Begun, Done, Said, Tell
from ytm_build.engine.examine import examine
from ytm_build.engine.sounding import sound_way
from ytm_build.engine.timing import read_cache, write_cache
from ytm_build.engine.unfinished import Unfinished
from ytm_bundle.bundle import Bundle
from ytm_bundle.engines import (
    REPORT_NAME,
    EngineFolder,
    EngineKey,
    EngineReport,
    GraphReport,
    SoundWay,
    find_engines,
    remove_old,
    timing_cache_path,
    writing_engines,
)
from ytm_bundle.errors import EngineError
from ytm_bundle.manifest import GraphName


@dataclass(frozen=True)
class Outcome:
    """Engines that stand there."""

    engines: EngineFolder
    built: bool
    """False: they were there before."""


def build_engines(
    bundle: Bundle,
    builder: EngineBuilder,
    places: Sequence[Path],
    tell: Tell,
    force: bool = False,
    keep: int | None = None,
) -> Outcome:
    """Make the engines of `bundle` for this machine, unless they are there.

    Killed at any moment, it leaves those that were there, and goes on from what it has finished.

    Args:
        bundle: opened and verified.
        builder: what makes them.
        places: where they may be; the first is where they are written.
        tell: called with all that happens.
        force: build them though they are there, and nothing that was finished before is used.
        keep: newest engines that stay where these are written, these among them; None: all.

    Raises:
        EngineError: a graph cannot be built or differs too much, or they cannot be written.
        DeviceError: this machine has none of what the builder needs.
        BundleError: the golden vectors cannot be read, or `places` is in use.
    """
    key, place = builder.key(bundle), places[0]
    wait_until_free(place, tell)
    if not force and (found := _found(places, key, tell)):
        return Outcome(found, built=False)
    with explained(place):
        with writing_engines(place, key) as folder:
            unfinished = Unfinished(place, key)
            if force:
                unfinished.remove()
            reports = _Build(bundle, builder, key, place, unfinished, tell).all()
            for report in reports:
                path = unfinished.path(report.name)
                shutil.copyfile(path, folder / path.name)
            way = sound_way(bundle, folder, builder)
            if way is not None:
                tell(Said(text=f"sound: {way.why}"))
            text = _report(key, builder, reports, way).model_dump_json(indent=2)
            (folder / REPORT_NAME).write_text(text, encoding="utf-8")
        with if_alone(place) as alone:
            if alone:
                unfinished.remove()
        leave_as_it_was_owned(place)
    made = _found([place], key, tell)
    if made is None:
        raise EngineError(f"{place / key.folder}: was written and is not sound; check the disk")
    if keep is not None:
        for folder in remove_old(place, made, keep):
            tell(Said(text=f"{folder}: removed, the newest {keep} are kept"))
    return Outcome(made, built=True)


@dataclass(frozen=True)
class _Build:
    """One build, alone in its place."""

    bundle: Bundle
    builder: EngineBuilder
    key: EngineKey
    place: Path
    unfinished: Unfinished
    tell: Tell

    def all(self) -> list[GraphReport]:
        """Build every graph that is not finished."""
        names = list(self.bundle.manifest.graphs)
        sizes = {str(name): self.bundle.graph_path(name).stat().st_size for name in names}
        estimate = Estimate(sizes, earlier_build_s(self.place, self.key.backend))
        reports = []
        for number, name in enumerate(names, start=1):
            report = self.unfinished.kept(name)
            kept = report is not None
            if report is None:
                begun = Begun(name=name, number=number, count=len(names), left_s=estimate.left_s())
                self.tell(begun)
                report = self._built(name)
            estimate.finished(name, None if kept else report.build_s)
            self.tell(Done(report=report, kept=kept))
            reports.append(report)
        return reports

    def _built(self, name: GraphName) -> GraphReport:
        cache_path = timing_cache_path(self.place, self.key)
        began_s = time.monotonic()
        built = self.builder.build(self.bundle.graph_path(name), self._cache(cache_path))
        build_s = time.monotonic() - began_s
        write_cache(cache_path, built.cache)
        check = partial(self._examined, name, build_s)
        return self.unfinished.keep(name, built.engine, check)

    def _examined(self, name: GraphName, build_s: float, path: Path) -> GraphReport:
        return examine(self.bundle, name, path, self.builder, build_s)

    def _cache(self, path: Path) -> bytes:
        try:
            return read_cache(path)
        except EngineError as error:
            self.tell(Said(text=str(error)))
            return b""


def _found(places: Sequence[Path], key: EngineKey, tell: Tell) -> EngineFolder | None:
    problems: list[str] = []
    found = find_engines(places, key, problems)
    for problem in problems:
        tell(Said(text=problem))
    return found


def _report(
    key: EngineKey, builder: EngineBuilder, graphs: Sequence[GraphReport], sound: SoundWay | None
) -> EngineReport:
    built = {
        "by": builder.name,
        "gpu": key.gpu,
        "host": platform.node(),
        "l4t": key.l4t,
        "machine": platform.machine(),
    }
    return EngineReport(
        backend=key.backend,
        version=key.version,
        built=built,
        graphs=tuple(graphs),
        sound=sound,
    )


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """What the system refuses, as one line."""
    again = "then run the same command again: finished graphs are kept"
    try:
        yield
    except MemoryError as error:
        raise EngineError(f"{place}: not enough memory; stop other programs, {again}") from error
    except OSError as error:
        where = error.filename or place
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EngineError(f"{where}: the disk is full; make room, {again}") from error
        raise EngineError(f"{where}: cannot be written ({error.strerror or error})") from error
