"""Whether this machine can make a Jetson's tree now."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ytm_build.image.bsp import Bsp, machine, occupied
from ytm_bundle.errors import ImageError

SPARE_BYTES = 8 << 30
"""What CUDA, TensorRT and building take besides, with room to spare."""
REGISTERED = Path("/proc/sys/fs/binfmt_misc")


def obstacles(bsp: Bsp, out: Path) -> list[str]:
    """What on this machine stands in the way, each with what to do about it.

    Args:
        bsp: what the tree is made from.
        out: where it is to stand.
    """
    found = []
    if os.geteuid() != 0:
        found.append("only root can make a root file system; try again with sudo")
    for tool, package in (("unshare", "util-linux"), ("git", "git")):
        if shutil.which(tool) is None:
            found.append(f"{tool} is not installed; install {package}")
    wanted = machine(bsp.rootfs)
    if wanted != platform.machine() and not emulated(wanted):
        found.append(
            f"this machine cannot run programs for {wanted}; install qemu-user-static and"
            " binfmt-support, which let it"
        )
    needed = occupied(bsp.folder) + SPARE_BYTES
    parent = next(each for each in out.absolute().parents if each.is_dir())
    free = shutil.disk_usage(parent).free
    if free < needed:
        found.append(f"{parent}: {needed / 1e9:.1f} GB are needed, and {free / 1e9:.1f} are free")
    return found


def emulated(wanted: str, registered: Path = REGISTERED) -> bool:
    """Whether the kernel starts programs for `wanted` by an emulator that it holds open itself.

    Only such an emulator is found from within another root file system (flag F).

    Args:
        wanted: the processor, such as aarch64.
        registered: the kernel's folder of emulators.
    """
    for entry in registered.glob(f"*{wanted}"):
        first, *others = entry.read_text().splitlines()
        flags = next((line for line in others if line.startswith("flags:")), "")
        if first == "enabled" and "F" in flags.removeprefix("flags:"):
            return True
    return False


def is_empty(folder: Path) -> bool:
    """Whether it is a folder, and no link, with nothing in it."""
    return not folder.is_symlink() and folder.is_dir() and not any(folder.iterdir())


@contextmanager
def alone(work: Path, *folders: Path) -> Iterator[None]:
    """Keep another process from making a tree with the same `work` meanwhile.

    Args:
        work: made where it is missing.
        folders: made as well.

    Raises:
        ImageError: another process does, or a folder cannot be made.
    """
    for folder in (work, *folders):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(f"{folder}: cannot be made ({error.strerror})") from error
    descriptor = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ImageError(f"{work}: another process makes a tree there; wait for it") from error
        yield
    finally:
        os.close(descriptor)
