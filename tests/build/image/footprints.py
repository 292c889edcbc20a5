"""All that can be seen of a folder, to tell whether anything in it was touched."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def footprint(folder: Path) -> dict[str, tuple[int, int, int, str]]:
    """By path: mode, owner, time of the last change, and digest or target."""
    found = {}
    for where, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            path = Path(where) / name
            about = path.lstat()
            held = ""
            if stat.S_ISLNK(about.st_mode):
                held = str(path.readlink())
            elif stat.S_ISREG(about.st_mode):
                held = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path)] = (about.st_mode, about.st_uid, about.st_mtime_ns, held)
    return found
