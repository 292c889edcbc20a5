"""NVIDIA's board support package, Linux_for_Tegra, as the operator unpacked it."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from ytm_build.image.l4t import Generation, Known, generation, known, release_of
from ytm_build.image.tree import Tree
from ytm_bundle.errors import ImageError, UsageError
from ytm_device.l4t import RELEASE_FILE

MARK = "YOUTUBE-MIRROR.txt"
"""In a tree that was made here: what it is, and how to flash it."""
FLASH = "tools/kernel_flash/l4t_initrd_flash.sh"
SD_TOOL = "tools/jetson-disk-image-creator.sh"
_FILES = ("apply_binaries.sh", "flash.sh", FLASH)
_FOLDERS = ("rootfs", "bootloader", "kernel", "nv_tegra", "tools")
_INSIDE = ("etc", "usr", "var", "opt", "boot", "dev", "proc", "sys", "run", "tmp")
"""Folders of its root that have to be folders, and no links."""
_MACHINES = {0xB7: "aarch64", 0x3E: "x86_64"}
_ELF_MACHINE = 18
_LICENCES = (
    "Tegra_Software_License_Agreement-Tegra-Linux.txt",
    "LICENSE",
    "rootfs/usr/share/doc/nvidia-tegra/Tegra_Software_License_Agreement-Tegra-Linux.txt",
    "rootfs/usr/share/doc/nvidia-tegra/Tegra_Software_License_Agreement-Tegra-Linux.txt.gz",
)


@dataclass(frozen=True)
class Bsp:
    """A BSP that was looked at, with apply_binaries.sh applied to its sample root file system."""

    folder: Path
    release: str
    known: Known
    generation: Generation

    @property
    def rootfs(self) -> Tree:
        """Its root file system."""
        return Tree(self.folder / "rootfs")

    def boards(self) -> list[str]:
        """The boards that it can flash, by the names of NVIDIA's tools."""
        return sorted(path.stem for path in self.folder.glob("*.conf"))


def open_bsp(folder: Path) -> Bsp:
    """Look at a folder that is said to be NVIDIA's BSP. Nothing in it is changed.

    Raises:
        UsageError: it is none, or its root file system is not ready.
        ImageError: its release may not carry the mirror, or it leads out of itself.
    """
    if not folder.is_dir():
        raise UsageError(f"--bsp: {folder} is no folder")
    if (folder / "Linux_for_Tegra").is_dir():
        raise UsageError(f"--bsp: give {folder}/Linux_for_Tegra")
    folder = folder.resolve()
    if os.path.lexists(folder / MARK):
        raise UsageError(f"--bsp: {folder} was made by ytm-image; give NVIDIA's own BSP")
    for name in (*_FOLDERS, *_FILES):
        _check(folder, name)
    tree = Tree(folder / "rootfs")
    if not os.path.lexists(folder / "rootfs/etc"):
        raise UsageError(
            f"--bsp: {folder}/rootfs is empty; unpack NVIDIA's sample root file system into it,"
            " then run apply_binaries.sh"
        )
    for name in _INSIDE:
        path = folder / "rootfs" / name
        if path.is_symlink() or not path.is_dir():
            kind = f"a link to {path.readlink()}" if path.is_symlink() else "missing"
            raise ImageError(f"{path}: is {kind}, not a folder; unpack NVIDIA's BSP again")
    text = tree.read(RELEASE_FILE)
    if text is None:
        raise UsageError(f"--bsp: run {folder}/apply_binaries.sh first; it makes /{RELEASE_FILE}")
    release = release_of(text)
    judged = known(release)
    _check_python(tree, generation(release))
    return Bsp(folder, release, judged, generation(release))


def licence(folder: Path) -> Path:
    """Where NVIDIA's licence lies in a BSP; the BSP itself where it lies elsewhere."""
    return next((folder / name for name in _LICENCES if (folder / name).is_file()), folder)


def machine(tree: Tree) -> str:
    """The processor that the programs of a root file system are for, as uname says it.

    Raises:
        ImageError: it has no programs, or for another processor.
    """
    path = tree.path("bin/sh")
    try:
        head = path.read_bytes()[: _ELF_MACHINE + 2]
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from error
    if head[:4] != b"\x7fELF" or len(head) < _ELF_MACHINE + 2:
        raise ImageError(f"{path}: is no program")
    (number,) = struct.unpack_from("<H", head, _ELF_MACHINE)
    if number not in _MACHINES:
        raise ImageError(f"{path}: is for a processor that no Jetson has (ELF machine {number})")
    return _MACHINES[number]


def occupied(folder: Path) -> int:
    """How many bytes a folder takes on the disk, with all that is in it."""
    total = 0
    for where, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(f"{where}/{name}").st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def _check(folder: Path, name: str) -> None:
    path = folder / name
    if path.is_symlink():
        raise UsageError(f"--bsp: {path} is a link to {path.readlink()}; the BSP has to be whole")
    wanted = path.is_dir() if name in _FOLDERS else path.is_file()
    if not wanted:
        raise UsageError(f"--bsp: {folder} is no Linux_for_Tegra of NVIDIA's: it has no {name}")


def _check_python(tree: Tree, expected: Generation) -> None:
    """Whether the Python in the tree is the one that wheels are fetched for."""
    if not tree.path(f"usr/bin/python{expected.python}").is_file():
        raise ImageError(
            f"{tree.root}: has no Python {expected.python}, which its release comes with; unpack"
            " NVIDIA's sample root file system again"
        )
