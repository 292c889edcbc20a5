"""How many starts came quickly one after the other: after too many, the board shows replay only.

A board that restarts itself because reflecting ends badly would otherwise do so for ever.

    python -m ytm_device.boots begun     at every start, before the services
    python -m ytm_device.boots settled   ten minutes later
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ytm_bundle.files import replacing
from ytm_device.bundles import DATA
from ytm_device.console import say

MOST = 3
"""Quick starts in a row after which the next shows replay only."""
COUNT_NAME = "boots"
REPLAY_ONLY = Path("/run/ytm/replay-only")
"""There while the board shows replay only; says why. `ytm-reflect` does not start beside it."""
NO_RESTART = Path("/run/systemd/system/ytm-again@.service.d/zz-no-restart.conf")
_MAX_BYTES = 16


def begun(count: Path, replay_only: Path = REPLAY_ONLY, no_restart: Path = NO_RESTART) -> bool:
    """Count this start in the file `count`; True if this one shows replay only.

    A count that cannot be kept, or makes no sense, is none.
    """
    starts = _read(count) + 1
    _write(count, starts)
    if starts <= MOST:
        return False
    no_restart.parent.mkdir(parents=True, exist_ok=True)
    no_restart.write_text("[Unit]\nStartLimitAction=none\n", encoding="utf-8")
    replay_only.write_text(
        f"{starts - 1} starts came quickly one after the other; wait ten minutes, then start the"
        " board anew\n",
        encoding="utf-8",
    )
    return True


def settled(count: Path) -> None:
    """This start was no quick one."""
    _write(count, 0)


def _read(count: Path) -> int:
    try:
        with count.open(encoding="ascii") as file:
            starts = int(file.read(_MAX_BYTES))
    except (OSError, ValueError):
        return 0
    return min(max(starts, 0), MOST)


def _write(count: Path, starts: int) -> None:
    if not count.parent.is_dir():
        say(f"{count}: {count.parent} is missing; starts are not counted")
        return
    try:
        with replacing(count) as temporary:
            temporary.write_text(f"{starts}\n", encoding="ascii")
    except OSError as error:
        say(f"{count}: cannot be written ({error.strerror}); starts are not counted")


def main() -> None:
    """Do what the first argument says."""
    what, count = sys.argv[1:], DATA / COUNT_NAME
    if what == ["settled"]:
        settled(count)
    elif what == ["begun"]:
        if begun(count):
            subprocess.run(["systemctl", "daemon-reload"], check=True)
    else:
        sys.exit("usage: python -m ytm_device.boots begun|settled")


if __name__ == "__main__":
    main()
