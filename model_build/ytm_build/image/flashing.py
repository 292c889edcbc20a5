"""What to type to bring a finished tree onto a board, with NVIDIA's own tools."""

from __future__ import annotations

from pathlib import Path

from ytm_build.image.bsp import FLASH, SD_TOOL, Bsp

QUICK_START = "https://docs.nvidia.com/jetson/archives/r{release}/DeveloperGuide/IN/QuickStart.html"
_QSPI = "bootloader/generic/cfg/flash_t234_qspi.xml"
_FROM_NVME = 'ADDITIONAL_DTB_OVERLAY_OPT="BootOrderNvme.dtbo"'
_WITH_SD = ("jetson-orin-nano-devkit", "jetson-orin-nano-devkit-super", "jetson-agx-orin-devkit")
"""The boards of which NVIDIA's tool makes an image for an SD card."""
_TEXT = """\
YouTube Mirror for {board}, on L4T {release} (JetPack {jetpack}).

This is NVIDIA's Linux_for_Tegra with the mirror in its root file system. Flash it from this folder
with NVIDIA's own tools, on an x86 machine with Ubuntu, the board in recovery mode and on its USB
cable. Do not run apply_binaries.sh here again: it would bring NVIDIA's first-boot questions back.
{ways}
NVIDIA's guide: {guide}
"""


def ways(bsp: Bsp, board: str) -> dict[str, str]:
    """By medium, the line that brings a tree made from `bsp` onto `board`, typed in the tree."""
    found = {}
    layout = f"tools/kernel_flash/flash_l4t_{'t264' if 'thor' in board else 't234'}_nvme.xml"
    if (bsp.folder / layout).is_file():
        nvme = f"./{FLASH} --external-device nvme0n1p1 -c {layout}"
        if board.startswith("jetson-orin-nano"):
            nvme = f'sudo {nvme} -p "-c {_QSPI}" --showlogs --network usb0 {board} internal'
        else:
            root = "internal" if "thor" in board else "external"
            nvme = f"sudo {_FROM_NVME} {nvme} --showlogs {board} {root}"
        found["NVMe"] = nvme
    if board in _WITH_SD and (bsp.folder / SD_TOOL).is_file():
        found["SD card"] = "sudo " + " ".join(sd_words(Path(), board, Path("mirror-sd.img")))
    return found


def has_sd(bsp: Bsp, board: str) -> bool:
    """Whether NVIDIA's tool can make an image for an SD card of `board`."""
    return "SD card" in ways(bsp, board)


def sd_words(folder: Path, board: str, image: Path) -> list[str]:
    """The command that makes an image for an SD card from the tree in `folder`."""
    tool = f"./{SD_TOOL}" if folder == Path() else str(folder / SD_TOOL)
    return [tool, "-o", str(image), "-b", board, "-d", "SD"]


def text(bsp: Bsp, board: str) -> str:
    """What lies in the tree for whoever is to flash it."""
    lines = [f"\n{medium}:\n  {line}" for medium, line in ways(bsp, board).items()]
    if "SD card" in ways(bsp, board):
        lines.append("  sudo dd if=mirror-sd.img of=/dev/sdX bs=4M conv=fsync status=progress")
        lines.append("  The firmware on the board (QSPI) has to be of the same JetPack.")
    if not lines:
        lines = ["\nNo line is known for this board: see NVIDIA's guide."]
    return _TEXT.format(
        board=board,
        release=bsp.release,
        jetpack=bsp.known.jetpack,
        ways="\n".join([*lines, ""]),
        guide=QUICK_START.format(release=bsp.release),
    )
