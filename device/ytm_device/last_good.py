"""A copy of the last bundle that was found good: it is played where the installed one cannot be.

That it is there also says that its graphs were run and found right, so that a service that is
started again need not ask again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ytm_bundle.bundle import Bundle
from ytm_bundle.checksums import SUMS_NAME
from ytm_bundle.files import replacing_folder

_LOCK = ".lock"
_MODE = 0o644


def stated_id(folder: Path) -> str | None:
    """What the bundle in `folder` says that its id is, unverified; None if it says nothing."""
    try:
        lines = (folder / SUMS_NAME).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    return lines[-1].split()[-1] if lines and lines[-1].strip() else None


def keep(bundle: Bundle, last_good: Path) -> None:
    """Copy `bundle` to `last_good`, durably and at once, unless it is there already.

    Whoever else does the same meanwhile is waited for. Where there is no folder for it, as on a
    workstation, nothing is kept.

    Raises:
        OSError: it cannot be copied; what was there is there.
    """
    if not last_good.parent.is_dir():
        return
    with _alone(last_good.with_name(f"{last_good.name}{_LOCK}")):
        if stated_id(last_good) == bundle.id:
            return
        # What others began and did not live to end.
        for left in last_good.parent.glob(f".{last_good.name}.*"):
            shutil.rmtree(left, ignore_errors=True)
        with replacing_folder(last_good) as folder:
            shutil.copytree(bundle.folder, folder, dirs_exist_ok=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
