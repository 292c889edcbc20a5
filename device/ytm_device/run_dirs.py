"""The folder that the services of one mirror share: their bus and what they say of themselves."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ytm_bundle.errors import UsageError

SYSTEM = Path("/run/ytm")
_PRIVATE = 0o700


def endpoint(run_dir: Path) -> str:
    """Where the reflections of the mirror in `run_dir` are published."""
    return f"ipc://{run_dir.absolute()}/reflections"


@contextmanager
def private_run_dir() -> Iterator[Path]:
    """A folder for one mirror and nobody else, gone afterwards."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    base = runtime if os.access(runtime, os.W_OK) else Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="ytm-", dir=base) as name:
        yield Path(name)


def shared_run_dir(wanted: Path | None) -> Path:
    """The folder for services that are started one by one; made if it is not there.

    Without a wish: the system's where there is one, else the user's own.

    Raises:
        UsageError: it cannot be made, or belongs to somebody else.
    """
    run_dir = wanted or _default()
    try:
        run_dir.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        owner = run_dir.stat().st_uid
    except OSError as error:
        raise UsageError(f"--run-dir {run_dir}: {error.strerror}; give another folder") from error
    if not os.access(run_dir, os.W_OK) or (run_dir != SYSTEM and owner != os.getuid()):
        raise UsageError(f"--run-dir {run_dir}: is somebody else's; give another folder")
    return run_dir


def _default() -> Path:
    if os.access(SYSTEM, os.W_OK):
        return SYSTEM
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "ytm"
    return Path(tempfile.gettempdir()) / f"ytm-{os.getuid()}"
