"""A disk whose writes are logged, mounted by this machine's own kernel: no machine is emulated.

QEMU's storage daemon shows the disk as a file, in which a loop device finds a file system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waiting import HANG_S, wait_for

DAEMON = "qemu-storage-daemon"
SIZE = 256 << 20
MAKE = ("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-m", "1")
"""As `ytm-image` makes the data partition."""
MOUNT = "loop,nosuid,nodev,noexec,noatime,errors=remount-ro"
"""As the image mounts it."""


def why_not() -> str | None:
    """Why no such disk can be had here; None where one can."""
    for tool in (DAEMON, "mke2fs", "unshare", "losetup"):
        if shutil.which(tool) is None:
            return f"needs {tool}"
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"]).returncode:
        return "needs root, to mount a disk"
    if subprocess.run(["losetup", "--find"], capture_output=True).returncode:
        return "needs a loop device"
    export = "type=fuse,id=none,node-name=none,mountpoint=/none"
    tried = subprocess.run([DAEMON, "--export", export], capture_output=True, text=True)
    if not Path("/dev/fuse").exists() or "does not accept value 'fuse'" in tried.stderr:
        return "needs FUSE, and a QEMU that knows it, to show a disk as a file"
    return None


def make_disk(path: Path, content: Path) -> None:
    """Make a file system that fills the file `path`, with what the folder `content` holds."""
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run([*MAKE, "-d", content, path], check=True)


@contextmanager
def shown(disk: Path, log: Path) -> Iterator[Path]:
    """Show `disk` as a file, whose writes and flushes go into `log` too; gone afterwards."""
    file = disk.with_name(f"{disk.name}.shown")
    for path in (log, file):
        path.touch()
    disk_is = f"driver=raw,file.driver=file,file.filename={disk},cache.no-flush=on"
    words = [
        # The daemon goes with the tests, even if they are killed.
        *("setpriv", "--pdeathsig=TERM", DAEMON),
        *("--blockdev", f"node-name=disk,{disk_is}"),
        *("--blockdev", f"node-name=log,driver=file,filename={log},cache.no-flush=on"),
        *("--blockdev", "node-name=logged,driver=blklogwrites,file=disk,log=log"),
        *("--export", f"type=fuse,id=shown,node-name=logged,mountpoint={file},writable=on"),
    ]
    with subprocess.Popen(words) as daemon:
        try:
            wait_for(lambda: daemon.poll() is not None or file.stat().st_size == SIZE)
            assert daemon.poll() is None, f"{DAEMON} ended"
            yield file
        finally:
            _end(daemon)


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(HANG_S)
    except subprocess.TimeoutExpired:
        daemon.kill()


def mounted(file: Path, where: Path, words: list[str]) -> list[str]:
    """The command `words` with the disk in `file` mounted at `where`, for it and nobody else."""
    script = f'mount -o {MOUNT} "$0" "$1" && mkdir -p "$1/ytm" && shift && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(file), str(where), *words]
