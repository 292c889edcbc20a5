"""`ytm-collect` on addresses, as tests run it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HANG_S = 900
# Waits of a tenth of a second, so that what a test waits for is the work.
QUICK = ("--per-hour", "36000")


def collecting(out: Path, *flags: str) -> list[str]:
    """The command line of ytm-collect; `flags` name where the videos come from."""
    return [str(Path(sys.executable).with_name("ytm-collect")), "--out", str(out), *flags]


def environment(**more: str) -> dict[str, str]:
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("YTM_YOUTUBE")}
    return {**kept, **threads, **more}
