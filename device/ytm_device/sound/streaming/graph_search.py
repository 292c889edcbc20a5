"""Looks for engines on which the graph streams better than the kernel, as their report says."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ytm_bundle.bundle import Bundle
from ytm_bundle.engines import engine_places, reports
from ytm_bundle.manifest import INVERTER
from ytm_device.console import say
from ytm_device.engines.own_thread import OwnThread, beside
from ytm_device.owner import Owner
from ytm_device.sound.streaming.chosen import GRAPH, KERNEL, ChosenStream
from ytm_device.sound.streaming.graph import GraphStream
from ytm_device.status import Value

if TYPE_CHECKING:
    from ytm_device.engines.search import Candidate, Engines
    from ytm_device.sound.streaming.graph_engines import GraphEngines

LOAD_WITHIN_S = 120.0
"""Engines that have not been loaded by then hang."""
_LOOK_NS = 10_000_000_000
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class _Found:
    """Engines, and the thread in which their graph is."""

    candidate: Candidate
    thread: OwnThread[GraphStream]
    begun_ns: int


class GraphSearch(Owner):
    """Gives a stream the graph once there are such engines, and takes it back.

    Nothing of a GPU is touched, and no library of inference loaded, before a report says that it
    pays.
    """

    def __init__(
        self, bundle: Bundle, data: Path, run_dir: Path, wish: Engines, stream: ChosenStream | None
    ) -> None:
        """Look for nothing yet.

        Args:
            bundle: whose sound is streamed.
            data: what lasts on this machine; engines lie there.
            run_dir: gets a mark while an engine is loaded.
            wish: which engines the settings allow.
            stream: what streams it; None where the sound is made of grains.
        """
        self._stream = stream
        self._may_be = stream is not None and INVERTER in bundle.manifest.graphs
        self._find_engines = partial(_paying, bundle, data, run_dir, wish)
        self._looked_ns: int | None = None
        self._finding: Future[GraphEngines | None] | None = None
        self._engines: GraphEngines | None = None
        self._loading: _Found | None = None
        self._streaming: _Found | None = None
        self._problem: str | None = None

    def close(self) -> None:
        """Take the graph away for good."""
        for found in (self._loading, self._streaming):
            if found is not None:
                found.thread.close()

    @property
    def fields(self) -> dict[str, Value]:
        """For the status: what makes the sound, and why."""
        if self._stream is None:
            return {"inverter": "grains", "inverter_why": "the bundle says so"}
        if self._stream.way == GRAPH and self._streaming is not None:
            why = f"measured when it was built: {self._streaming.candidate.folder}"
            return {"inverter": GRAPH, "inverter_why": why}
        why = self._problem or "no engines here were measured to be the better way"
        return {"inverter": KERNEL, "inverter_why": why}

    @property
    def idle(self) -> bool:
        """Nothing is being found or loaded."""
        return self._finding is None and self._loading is None

    def look(self, now_ns: int) -> None:
        """See whether the graph is to stream; takes no time, and may be called at every turn.

        Args:
            now_ns: CLOCK_MONOTONIC.
        """
        if self._stream is None or not self._may_be:
            return
        if self._streaming is not None:
            if self._stream.problem is not None:
                self._refuse(self._streaming, self._stream.problem)
                self._streaming = None
        elif self._loading is not None:
            self._see_to(self._loading, self._stream, now_ns)
        elif self._finding is not None:
            if self._finding.done():
                if self._finding.exception() is None:
                    self._engines = self._finding.result()
                self._finding = None
                self._looked_ns = now_ns if self._engines is None else None
        elif self._looked_ns is None or now_ns - self._looked_ns > _LOOK_NS:
            self._looked_ns = now_ns
            self._find(self._stream, now_ns)

    def _find(self, stream: ChosenStream, now_ns: int) -> None:
        if self._engines is None:
            self._finding = beside(self._find_engines)
        elif (candidate := self._engines.newcomer()) is not None:
            load = partial(self._engines.load, candidate, stream.tables)
            self._loading = _Found(candidate, OwnThread(load), now_ns)

    def _see_to(self, loading: _Found, stream: ChosenStream, now_ns: int) -> None:
        if loading.thread.made.done():
            self._loading = None
            if (error := loading.thread.made.exception()) is not None:
                self._refuse(loading, str(error))
                return
            stream.take(loading.thread)
            self._streaming, self._problem = loading, None
            say(f"sound: streamed by {loading.thread.made.result()}, {loading.candidate.folder}")
        elif now_ns - loading.begun_ns > LOAD_WITHIN_S * _NS_PER_S:
            self._loading = None
            self._refuse(loading, f"not loaded within {LOAD_WITHIN_S:g} s")

    def _refuse(self, found: _Found, why: str) -> None:
        assert self._engines is not None
        self._engines.refuse(found.candidate)
        found.thread.leave()
        self._problem = f"{found.candidate.folder}: {why}"
        say(f"sound: streamed by the kernel; {self._problem}")


def _paying(bundle: Bundle, data: Path, run_dir: Path, wish: Engines) -> GraphEngines | None:
    """Engines of this machine, if the graph is the better way on any that lie here."""
    places = engine_places(bundle.folder, data)
    found = (report.sound for place in places for report in reports(place))
    if not any(sound is not None and sound.graph for sound in found):
        return None
    from ytm_device.engines.search import Wish
    from ytm_device.sound.streaming.graph_engines import GraphEngines

    return GraphEngines(bundle, data, run_dir, Wish(wish))
