"""A bundle on trial: its graphs are run by a process that may crash or hang in their place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ytm_device.owner import Owner

MOST_CPU_S = 10.0
"""Processor time for graphs; the demo bundle takes half a second of a workstation's. A slow
processor is given more: see `graph_check`."""
_CHECK = "ytm_device.graph_check"
_PASSING = (signal.SIGKILL, signal.SIGTERM, signal.SIGALRM)
"""Ends that say nothing about the bundle: no memory, a stop, a machine far too busy."""
_WHY = {
    signal.SIGPROF: "they take too long; a loop without an end?",
    signal.SIGALRM: "the machine is too busy",
    signal.SIGKILL: "they were stopped; is the memory full?",
}


@dataclass(frozen=True)
class Verdict:
    """What was found."""

    id: str | None
    """Of the bundle, if it is good."""
    why: str = ""
    """What is wrong with it, if it is not."""
    passing: bool = False
    """The same bundle may be found good later."""


class BundleTrial(Owner):
    """One check of one bundle, which goes on beside everything else."""

    def __init__(self, path: Path, last_good: Path | None, *, nice: bool) -> None:
        """Begin the check, in a process of its own.

        Args:
            path: of the bundle.
            last_good: where a copy of a good one is kept; None: nowhere.
            nice: others go before it: something is shown or heard meanwhile.

        Raises:
            OSError: there can be no other process.
        """
        self._path = path
        command = [sys.executable, "-m", _CHECK, str(path), "--most-cpu-s", str(MOST_CPU_S)]
        command += [] if last_good is None else ["--keep", str(last_good)]
        command += ["--nice"] if nice else []
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def close(self) -> None:
        """Give up; what is found by then is lost."""
        self._process.kill()
        self._process.communicate()

    def verdict(self, wait_s: float = 0) -> Verdict | None:
        """What was found; None if that is not known `wait_s` from now."""
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None
        # A line: it was all in the pipe.
        said, _ = self._process.communicate()
        return _read(self._path, self._process.returncode, said)


def _read(path: Path, code: int, said: bytes) -> Verdict:
    """The verdict of a check that ended with `code` and has `said` this."""
    if code == 0:
        told = json.loads(said)
        if "id" in told:
            return Verdict(told["id"])
        return Verdict(None, told["refused"], told["passing"])
    what = "its graphs cannot be run here"
    if code > 0:
        return Verdict(None, f"{path}: {what}: the check failed; the log says how", passing=False)
    number = signal.Signals(-code)
    why = _WHY.get(number, f"they crash what runs them ({number.name})")
    return Verdict(None, f"{path}: {what}: {why}", passing=number in _PASSING)
