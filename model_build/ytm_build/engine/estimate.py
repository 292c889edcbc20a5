"""How long what is left to build will take, from what was built before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from ytm_bundle.engines import MAX_JSON_BYTES, REPORT_NAME, EngineReport

_MOST_REPORTS = 100


class Estimate:
    """Seconds that graphs will take; learns while they are built."""

    def __init__(self, sizes: Mapping[str, int], earlier_s: Mapping[str, float]) -> None:
        """Of graphs that are all still to be built.

        Args:
            sizes: name -> bytes of its ONNX file.
            earlier_s: name -> seconds that a graph of that name took before.
        """
        self._left = dict(sizes)
        self._earlier_s = earlier_s
        known = [name for name in sizes if name in earlier_s]
        self._seconds = sum(earlier_s[name] for name in known)
        self._bytes = sum(sizes[name] for name in known)

    def left_s(self) -> float | None:
        """Of all that is left; what was never built takes as long for its size as others did."""
        rest = sum(size for name, size in self._left.items() if name not in self._earlier_s)
        if rest and not self._bytes:
            return None
        earlier_s = sum(self._earlier_s.get(name, 0) for name in self._left)
        return earlier_s + (rest * self._seconds / self._bytes if rest else 0)

    def finished(self, name: str, build_s: float | None) -> None:
        """A graph is there; None if it took no time."""
        size = self._left.pop(name)
        if build_s is not None:
            self._seconds, self._bytes = self._seconds + build_s, self._bytes + size


def earlier_build_s(place: Path, backend: str) -> dict[str, float]:
    """Name of a graph -> seconds, from the newest reports in `place` that can be read."""
    try:
        paths = sorted(place.glob(f"*/{REPORT_NAME}"), key=lambda path: path.stat().st_mtime_ns)
    except OSError:
        return {}
    found: dict[str, float] = {}
    for path in paths[-_MOST_REPORTS:]:
        report = _read(path)
        if report is not None and report.backend == backend:
            found |= {graph.name: graph.build_s for graph in report.graphs}
    return found


def _read(path: Path) -> EngineReport | None:
    try:
        with path.open("rb") as file:
            return EngineReport.model_validate_json(file.read(MAX_JSON_BYTES))
    except (OSError, ValidationError):
        return None
