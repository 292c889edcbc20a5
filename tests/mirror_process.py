"""`ytm-mirror` as a process, and what can be seen of it from outside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from waiting import HANG_S, wait_for
from ytm_device.options import SERVICES

COMMAND = [sys.executable, "-m", "ytm_device.mirror"]


def type_mirror(
    arguments: Sequence[object], environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run it in `folder` to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )


@contextmanager
def mirroring(
    arguments: Sequence[object],
    environment: Mapping[str, str],
    folder: Path,
    services: Sequence[str] = SERVICES,
) -> Iterator[subprocess.Popen[str]]:
    """Run it in `folder`; what is inside begins when all its `services` are up."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wanted = {f"{name}.json" for name in services}
    try:
        wait_for(lambda: process.poll() is not None or wanted <= in_run_folder(environment))
        assert process.poll() is None, process.communicate()[1]
        yield process
    finally:
        process.kill()
        process.communicate()


def in_run_folder(environment: Mapping[str, str]) -> set[str]:
    """Names in the folder of the mirror that runs, but for what is being written."""
    folders = Path(environment["XDG_RUNTIME_DIR"]).glob("ytm-*")
    return {path.name for folder in folders for path in folder.glob("[!.]*")}


def children(process: subprocess.Popen[str]) -> dict[str, int]:
    """Service -> process id."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    arguments = {int(pid): Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in listed}
    return {words[3]: pid for pid, words in arguments.items()}


def gone(pid: int) -> bool:
    """It has ended, whether or not somebody has taken note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def error_line(stderr: str) -> str:
    """The one line that names what went wrong."""
    assert "Traceback" not in stderr
    (line,) = (line for line in stderr.splitlines() if line.startswith("error: "))
    return line
