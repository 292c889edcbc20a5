"""How far the engines of this board are that are being built while the replay runs."""

from __future__ import annotations

from pathlib import Path

from ytm_bundle.checksums import ENGINES_FOLDER
from ytm_bundle.engines import ENGINE_SUFFIX, UNFINISHED_PREFIX

LOOK_EVERY_S = 2.0
STALE_S = 1800.0
"""No graph takes so long to build: what has not changed since is what a build has left behind."""
_NS_PER_S = 1_000_000_000


class EngineProgress:
    """Counts what `ytm-build-engine` has finished, and not yet put in its place."""

    def __init__(self, data: Path, graphs: int) -> None:
        """Look at nothing yet.

        Args:
            data: what lasts on a board; engines are built there.
            graphs: of the bundle that plays.
        """
        self._place, self._graphs = data / ENGINES_FOLDER, graphs
        self._look_ns = self._changed_ns = 0
        self._done: int | None = None

    def share(self, now_ns: int) -> float | None:
        """From 0 to 1 what is finished; None while nothing is being built.

        Args:
            now_ns: CLOCK_MONOTONIC; the disk is looked at every `LOOK_EVERY_S`.
        """
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + round(LOOK_EVERY_S * _NS_PER_S)
            if (done := self._counted()) != self._done:
                self._done, self._changed_ns = done, now_ns
        is_stale = now_ns - self._changed_ns > STALE_S * _NS_PER_S
        return None if self._done is None or is_stale else min(self._done / self._graphs, 1.0)

    def _counted(self) -> int | None:
        """Graphs that are finished; None where nothing was begun."""
        try:
            folders = [path for path in self._place.glob(f"{UNFINISHED_PREFIX}*") if path.is_dir()]
            if not folders:
                return None
            return sum(path.suffix == ENGINE_SUFFIX for path in folders[0].iterdir())
        except OSError:
            return None
