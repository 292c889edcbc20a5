"""The small FAT partition from which UEFI and BIOS start: GRUB, and a kernel for each slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ytm_build.image.running import run

LABEL = "YTM-BOOT"
GRUB = Path("/usr/lib/grub")
ENVIRONMENT_BYTES = 1024
_ENVIRONMENT_HEAD = "# GRUB Environment Block\n"
_MODULES = ("part_gpt", "fat", "search", "search_label", "linux", "normal", "configfile", "loadenv")
_BY_FIRMWARE = {"x86_64-efi": ("efi_gop", "efi_uga"), "i386-pc": ("biosdisk", "vbe", "vga")}
_EARLY = f"search --no-floppy --set=root --label {LABEL}\nconfigfile /grub.cfg\n"
# One of two slots, named in a block of fixed size that is overwritten in one piece.
_MENU = """\
set timeout=0
set slot=a
load_env slot
source /$slot/boot.cfg
boot
"""


@dataclass(frozen=True)
class Kernel:
    """What a slot starts with."""

    kernel: Path
    initrd: Path
    command_line: str


def environment(values: Mapping[str, str]) -> bytes:
    """GRUB's environment block: what `grub-editenv` writes."""
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    return (_ENVIRONMENT_HEAD + lines).encode().ljust(ENVIRONMENT_BYTES, b"#")


def grub(firmware: str, out: Path, work: Path) -> None:
    """Make a GRUB for `firmware` (x86_64-efi or i386-pc) that reads everything from the partition.

    Raises:
        ImageError: GRUB is not there.
    """
    early = work / "early.cfg"
    early.write_text(_EARLY, encoding="ascii")
    modules = (*_MODULES, *_BY_FIRMWARE[firmware])
    run(
        ["grub-mkimage", "-O", firmware, "-o", str(out), "-c", str(early), "-p", "/", *modules],
        "install grub-common, grub-efi-amd64-bin and grub-pc-bin",
    )


def write_boot(out: Path, size: int, slots: Mapping[str, Kernel], work: Path) -> None:
    """Write the FAT file system with GRUB, its menu and the kernels.

    Args:
        out: the file.
        size: its bytes.
        slots: by name, "a" among them.
        work: a folder for what goes in.

    Raises:
        ImageError: it does not fit, or a tool is missing.
    """
    with out.open("wb") as file:
        file.truncate(size)
    run(
        ["mkfs.vfat", "-F", "32", "-n", LABEL, "-i", "59544d01", "--invariant", str(out)],
        "install dosfstools",
    )
    efi = work / "BOOTX64.EFI"
    grub("x86_64-efi", efi, work)
    files = {"EFI/BOOT/BOOTX64.EFI": efi}
    for name, text in {"grub.cfg": _MENU.encode(), "grubenv": environment({"slot": "a"})}.items():
        files[name] = work / name
        files[name].write_bytes(text)
    for slot, kernel in slots.items():
        config = work / f"boot-{slot}.cfg"
        config.write_text(
            f"linux /{slot}/vmlinuz {kernel.command_line}\ninitrd /{slot}/initrd\n",
            encoding="ascii",
        )
        files |= {
            f"{slot}/boot.cfg": config,
            f"{slot}/vmlinuz": kernel.kernel,
            f"{slot}/initrd": kernel.initrd,
        }
    folders = sorted({parent for name in files for parent in Path(name).parents} - {Path()})
    for folder in folders:
        run(["mmd", "-i", str(out), f"::{folder}"], "install mtools")
    for name, source in files.items():
        run(["mcopy", "-i", str(out), str(source), f"::{name}"], "the boot partition is too small")
