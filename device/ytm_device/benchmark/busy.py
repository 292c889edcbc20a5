"""Whether the installation runs on this machine, and so holds what a benchmark would open."""

from __future__ import annotations

from pathlib import Path

from ytm_bundle.errors import DeviceError
from ytm_device.health.files import UnreadableError, read_small
from ytm_device.options import SERVICES
from ytm_device.status import read_status

STOP = "`systemctl stop ytm.target`"
REMEDY = f"if the installation holds it, stop that ({STOP}), or give --no-devices"
_OURS = b"ytm"


def running(root: Path, run_dir: Path) -> list[str]:
    """The services of the mirror in `run_dir` whose processes live, by `/proc` in `root`."""
    return [name for name in SERVICES if _lives(root, read_status(run_dir, name).get("pid"))]


def check_not_running(root: Path, run_dir: Path) -> None:
    """Refuse to fight the installation for camera, card and display.

    Raises:
        DeviceError: it runs.
    """
    if services := running(root, run_dir):
        named = ", ".join(f"ytm-{name}" for name in services)
        raise DeviceError(
            f"the installation runs ({named} in {run_dir}) and holds camera, card or display;"
            f" {STOP} first, or give --no-devices to measure computing only"
        )


def _lives(root: Path, pid: object) -> bool:
    """Whether the process is there and is ours: its number may have gone to another by now."""
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return False
    try:
        return _OURS in (read_small(root / "proc" / str(pid) / "cmdline") or b"")
    except UnreadableError:
        return False
