"""A fault, from when it is planted until all is well again, and what was noticed meanwhile."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ears import Span
from installation import Installation, tail
from ytm_device.options import SERVICES

REPORT = os.environ.get("YTM_FAULTS_REPORT")
"""A file that gets a line of JSON for each fault."""
_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000


@dataclass
class Fault:
    """One fault."""

    name: str
    planted_ns: int = field(default_factory=time.monotonic_ns)
    mended_ns: int | None = None
    """When what was wrong was right again, if it lasted."""
    recovered_ns: int | None = None
    silent_expected: bool = False
    """Nothing could be heard: there was no card."""
    black_expected: bool = False
    """Nothing could be seen: there was no display."""

    def mended(self) -> None:
        """What was planted is gone: from now on it is for the installation to recover."""
        self.mended_ns = time.monotonic_ns()

    def recovered(self, at_ns: int | None = None) -> None:
        """Everything is well again."""
        self.recovered_ns = at_ns or time.monotonic_ns()


@contextmanager
def planted(installation: Installation, name: str, *, restarts: int = 0) -> Iterator[Fault]:
    """Judge what is seen and heard while what is inside happens.

    Whoever ran goes on without a gap or a black screen, and nothing is ever too loud.

    Args:
        installation: where.
        name: of the fault, for the report.
        restarts: how many processes the fault ends.
    """
    before = _started(installation)
    fault = Fault(name)
    yield fault
    assert fault.recovered_ns is not None, f"{name}: not said when all was well again"
    seen = {
        "silences_ms": _milliseconds(installation.silences(fault.planted_ns)),
        "black_ms": _milliseconds(installation.darkness(fault.planted_ns)),
        "restarts": _started(installation) - before,
    }
    from_ns = fault.mended_ns or fault.planted_ns
    recovered_s = round((fault.recovered_ns - from_ns) / _NS_PER_S, 2)
    line = json.dumps({"fault": name, "recovered_s": recovered_s, **seen})
    print(line)
    if REPORT is not None:
        with Path(REPORT).open("a", encoding="utf-8") as report:
            report.write(line + "\n")
    about = f"{line}\n{_printed(installation)}"
    assert fault.silent_expected or not seen["silences_ms"], about
    assert fault.black_expected or not seen["black_ms"], about
    assert seen["restarts"] == restarts, about
    assert not installation.is_too_loud(), f"{installation.ears.loudest_dbfs():.2f} dBFS: {about}"


def _started(installation: Installation) -> int:
    return sum(len(installation.supervisor.runs(name)) for name in installation.services)


def _milliseconds(spans: list[Span]) -> list[int]:
    return [round((end - start) / _NS_PER_MS) for start, end in spans]


def _printed(installation: Installation) -> str:
    """The end of what the services printed."""
    log = installation.folder / "log"
    return "\n".join(f"{name}: {tail(log / f'{name}.log')}" for name in SERVICES)
