"""Sharing the place of the engines with other processes, and with other users of a board."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ytm_build.engine.events import Said, Tell
from ytm_bundle.errors import EngineError

LONGEST_WAIT_S = 3600.0
"""Longer than any build."""
_TURN_S = 0.5


def wait_until_free(place: Path, tell: Tell) -> None:
    """Wait while another process builds in `place`: what it makes may be what is wanted.

    Raises:
        EngineError: it builds for longer than `LONGEST_WAIT_S`.
    """
    deadline_s = time.monotonic() + LONGEST_WAIT_S
    told = False
    while _is_taken(place):
        if not told:
            tell(Said(text=f"{place}: another process builds engines there; waiting for it"))
        told = True
        if time.monotonic() > deadline_s:
            raise EngineError(f"{place}: another process has been building there for an hour")
        time.sleep(_TURN_S)


def leave_as_it_was_owned(place: Path) -> None:
    """Let `place` and all in it belong to the owner of its parent, where root has written it."""
    if os.geteuid() != 0:
        return
    owner = place.parent.stat()
    for path in (place, *place.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@contextmanager
def if_alone(place: Path) -> Iterator[bool]:
    """Keep other processes from building in `place`, if none does; tells whether none does."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        # Nobody can build in a folder that is not there.
        yield True
        return
    try:
        yield _locked(descriptor)
    finally:
        os.close(descriptor)


def _is_taken(place: Path) -> bool:
    with if_alone(place) as alone:
        return not alone


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True
