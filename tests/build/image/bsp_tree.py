"""A small BSP in the shape of NVIDIA's Linux_for_Tegra, for tests: names and formats, no programs.

The shape is that of NVIDIA's package manifest and of the scripts in its BSP (36.4, 38.4, 39.2):
https://docs.nvidia.com/jetson/archives/r36.4.3/DeveloperGuide/RM/PackageManifest.html
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

EXTLINUX = """\
TIMEOUT 30
DEFAULT primary

MENU TITLE L4T boot options

LABEL primary
      MENU LABEL primary kernel
      LINUX /boot/Image
      INITRD /boot/initrd
      APPEND ${cbootargs} quiet

# LABEL backup
#    MENU LABEL backup kernel
#    LINUX /boot/Image.backup
#    APPEND ${cbootargs}
"""
POWER = """\
# < POWER_MODEL ID=9 NAME=EXAMPLE >
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_0 /sys/devices/system/cpu/cpu0/online

{modes}
< PM_CONFIG DEFAULT=1 >
"""
SUPER = {0: "15W", 1: "25W", 2: "MAXN_SUPER"}
LARGE = {0: "MAXN", 1: "10W", 2: "15W", 3: "25W"}
PACKAGES = (
    "apt python3 python3-venv python3-dev gcc pkg-config libgirepository-1.0-1 nvidia-l4t-core"
    " nvidia-l4t-cuda nvidia-l4t-init"
)
_UNIT = "[Unit]\nDescription=asks\n"


def power(modes: dict[int, str]) -> str:
    blocks = [
        f"< POWER_MODEL ID={number} NAME={name} >\nCPU_ONLINE CORE_0 1\n"
        for number, name in modes.items()
    ]
    return POWER.format(modes="\n".join(blocks))


def elf(machine: int) -> bytes:
    """The head of a program for a processor."""
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HH", 3, machine) + bytes(44)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def link(root: Path, links: dict[str, str]) -> None:
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)


def release_text(release: str) -> str:
    major, minor = release.split(".", 1)
    return (
        f"# R{major} (release), REVISION: {minor}, GCID: 0, BOARD: generic, EABI: aarch64,"
        " DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\n"
        "TARGET_USERSPACE_LIB_DIR=nvidia\n"
    )


def fake_bsp(folder: Path, release: str = "36.4.3", asking: str = "nv-oem-config") -> Path:
    """Make a BSP with apply_binaries.sh applied; gives the folder.

    Args:
        folder: of which Linux_for_Tegra is made.
        release: of L4T.
        asking: the unit that asks at the first start: nv-oem-config, or nv-oobe on JetPack 7.
    """
    bsp = folder / "Linux_for_Tegra"
    write(
        bsp,
        {
            "apply_binaries.sh": "#!/bin/bash\n",
            "flash.sh": "#!/bin/bash\n",
            "jetson-agx-orin-devkit.conf": "",
            "jetson-agx-thor-devkit.conf": "",
            "jetson-orin-nano-devkit.conf": "",
            "Tegra_Software_License_Agreement-Tegra-Linux.txt": "LICENCE\n",
            "bootloader/extlinux.conf": EXTLINUX,
            "bootloader/generic/cfg/flash_t234_qspi.xml": "<partition_layout/>\n",
            "kernel/Image": "kernel\n",
            "nv_tegra/bsp_version": "BSP\n",
            "tools/jetson-disk-image-creator.sh": "#!/bin/bash\n",
            "tools/kernel_flash/l4t_initrd_flash.sh": "#!/bin/bash\n",
            "tools/kernel_flash/flash_l4t_t234_nvme.xml": '<partition name="UDA"/>\n',
        },
    )
    fake_root(bsp / "rootfs", release, asking)
    return bsp


def fake_root(root: Path, release: str, asking: str) -> None:
    """What apply_binaries.sh leaves of NVIDIA's sample root file system."""
    python = "3.10" if release.startswith("36.") else "3.12"
    for name in ("dev", "proc", "sys", "run", "tmp", "opt", "usr/bin", "usr/lib", "usr/sbin"):
        (root / name).mkdir(parents=True, exist_ok=True)
    link(root, {"bin": "usr/bin", "lib": "usr/lib", "sbin": "usr/sbin"})
    for name in ("dash", f"python{python}"):
        (root / "usr/bin" / name).write_bytes(elf(0xB7))
    link(root, {"usr/bin/sh": "dash", "usr/bin/python3": f"python{python}"})
    write(
        root,
        {
            "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
            "etc/shadow": "root:*:19000:0:99999:7:::\n",
            "boot/Image": "kernel\n",
            "boot/initrd": "initrd\n",
            "etc/apt/sources.list.d/nvidia-l4t-apt-source.list": (
                "deb https://repo.download.nvidia.com/jetson/common r36.4 main\n"
                "deb https://repo.download.nvidia.com/jetson/<SOC> r36.4 main\n"
            ),
            "var/lib/dpkg/status": "\n".join(
                f"Package: {name}\nStatus: install ok installed\nVersion: 1\n"
                for name in PACKAGES.split()
            )
            + "\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n",
        },
    )
    apply_nvidias(root, release, asking)


def apply_nvidias(root: Path, release: str, asking: str) -> None:
    """What of it is NVIDIA's: its release, boot file, power modes and first-boot questions."""
    units = "etc/systemd/system"
    write(
        root,
        {
            "etc/nv_tegra_release": release_text(release),
            "boot/extlinux/extlinux.conf": EXTLINUX,
            "etc/nvpmodel/nvpmodel_p3767_0003_super.conf": power(SUPER),
            "etc/nvpmodel/nvpmodel_p3701_0000.conf": power(LARGE),
            "var/lib/nvpmodel/status": "pmode:0001",
            f"usr/lib/systemd/system/{asking}.service": _UNIT,
            f"usr/lib/systemd/system/{asking}.target": _UNIT,
            f"{units}/nvgetty.service": "[Unit]\nDescription=a login on the cable\n",
        },
    )
    for name in (f"{units}/default.target", f"{units}/{asking}.target"):
        if os.path.lexists(root / name):
            (root / name).unlink()
    theirs = "/lib/systemd/system"
    link(
        root,
        {
            f"{units}/default.target": f"{asking}.target",
            f"{units}/{asking}.target": f"{theirs}/{asking}.target",
            f"{units}/{asking}.target.wants/{asking}.service": f"{theirs}/{asking}.service",
        },
    )
