"""A Debian image for a mini PC: root, boot, two slots and what lasts, from Debian's packages."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ytm_build.image.boot import GRUB, Kernel, grub, write_boot
from ytm_build.image.clone import (
    CERTIFICATES_INSIDE,
    certificates,
    copy_clone,
    listed_packages,
    pip_environment,
)
from ytm_build.image.disk import (
    ALIGNED,
    BIOS_BOOT,
    LINUX,
    SYSTEM,
    Partition,
    aligned,
    make_startable,
    starts,
    write_disk,
)
from ytm_build.image.running import run
from ytm_bundle.errors import ImageError
from ytm_bundle.files import replacing

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
BOOT_BYTES = 128 << 20
DATA_BYTES = 512 << 20
SLOT_SPARE = 1.25
"""A slot is so much larger than what is in it, for what comes later."""
IDENTITY = "59544D52-4D49-5252-4F52-000000000100"
_SALT = "59544d"
_DATA_UUID = "59544d52-4d49-5252-4f52-00000000da7a"
_VERITY_UUID = "59544d52-4d49-5252-4f52-000000000a0a"
_QUIET = "quiet loglevel=0 vt.global_cursor_default=0 fbcon=nodefer systemd.show_status=no"
_ALWAYS = (
    "root=/dev/mapper/ytm-root rootfstype=squashfs ro panic=10 net.ifnames=0"
    # Nobody is there to be asked, and a torn superblock is only then read from its copy.
    " fsck.repair=yes"
)
_NEEDS_DEBIAN = "install mmdebstrap, and see that the Debian mirror can be reached"


@dataclass(frozen=True)
class Request:
    """What is to be made."""

    tree: Path
    """A clone of this project."""
    work: Path
    """Where steps are kept, so that the next image takes less time."""
    bundle: Path | None
    ssh_key: Path | None
    console: str | None
    """Where the kernel speaks, such as ttyS0; nowhere unless given."""
    epoch: int
    """Seconds since 1970 that every file is dated with."""


Say = Callable[[str], None]


def make_image(request: Request, out: Path, say: Say) -> None:
    """Make a disk image at `out`; what stood there stays until it is whole.

    Raises:
        ImageError: a tool is missing or failed.
    """
    if os.geteuid() != 0:
        raise ImageError("only root can make a root file system; try again with sudo")
    request.work.mkdir(parents=True, exist_ok=True)
    base = _base(request, say)
    wheels = _wheels(request, base, say)
    root = _installed(request, base, wheels, say)
    say("packing the root")
    slot, digest, offset = _packed(request, root)
    kernel = _kernel(request, root, f"ytm.slot=ytm-a ytm.digest={digest} ytm.offset={offset}")
    boot = request.work / "boot.vfat"
    write_boot(boot, BOOT_BYTES, {"a": kernel}, request.work)
    data = _data(request)
    say("writing the disk")
    core = request.work / "core.img"
    grub("i386-pc", core, request.work)
    slot_bytes = aligned(round(slot.stat().st_size * SLOT_SPARE))
    partitions = [
        Partition("ytm-bios", BIOS_BOOT, ALIGNED, core),
        Partition("ytm-boot", SYSTEM, BOOT_BYTES, boot),
        Partition("ytm-a", LINUX, slot_bytes, slot),
        Partition("ytm-b", LINUX, slot_bytes),
        Partition("ytm-data", LINUX, DATA_BYTES, data),
    ]
    with replacing(out) as temporary:
        write_disk(temporary, partitions, IDENTITY)
        first = (GRUB / "i386-pc/boot.img").read_bytes()
        make_startable(temporary, first, core.read_bytes(), starts(partitions)[0])


def _base(request: Request, say: Say) -> Path:
    """Debian with the packages for building, kept until the list of packages is another."""
    names = listed_packages(request.tree, "", "build", "image")
    key = hashlib.sha256(" ".join([SUITE, MIRROR, *names]).encode()).hexdigest()[:16]
    base = request.work / f"base-{key}"
    if base.is_dir():
        return base
    say(f"Debian {SUITE}: {len(names)} packages and what they need; minutes")
    temporary = request.work / "base.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    initial = request.tree / "provisioning/appliance/image/etc/initramfs-tools"
    hook = f"cp -r {initial}/. $1/etc/initramfs-tools/"
    run(
        [
            *("mmdebstrap", "--variant=minbase", "--mode=root", f"--include={','.join(names)}"),
            *(
                "--aptopt=Apt::Install-Recommends false",
                f"--essential-hook=mkdir -p $1/etc/initramfs-tools && {hook}",
            ),
            *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"),
            *("--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=force-confold"),
            *(SUITE, str(temporary), MIRROR),
        ],
        _NEEDS_DEBIAN,
    )
    temporary.rename(base)
    return base


def _wheels(request: Request, base: Path, say: Say) -> Path:
    """Every Python package as a wheel for that Debian, built in it; the project's own anew."""
    pinned = request.tree / "provisioning/requirements.txt"
    key = hashlib.sha256(pinned.read_bytes() + base.name.encode()).hexdigest()[:16]
    wheels = request.work / f"wheels-{key}"
    inside = base / "build"
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir()
    try:
        if not wheels.is_dir():
            say("Python packages: downloading, and building what has no wheel")
            shutil.copy(pinned, inside / "requirements.txt")
            _pip(
                base,
                "wheel",
                "--require-hashes",
                "--wheel-dir=/build/out",
                "--requirement=/build/requirements.txt",
            )
            (inside / "out").rename(inside / "done")
            shutil.copytree(inside / "done", request.work / "wheels.partial", dirs_exist_ok=True)
            (request.work / "wheels.partial").rename(wheels)
        copy_clone(request.tree, inside / "tree")
        _pip(base, "wheel", "--no-deps", "--wheel-dir=/build/own", "/build/tree")
        for old in wheels.glob("youtube_mirror-*.whl"):
            old.unlink()
        for wheel in (inside / "own").glob("*.whl"):
            shutil.copy(wheel, wheels)
    finally:
        shutil.rmtree(inside, ignore_errors=True)
    return wheels


def _pip(base: Path, *words: str) -> None:
    """Run pip in that Debian."""
    environment = pip_environment()
    if not (base / "build/pip").is_dir():
        shutil.copy(certificates(), base / CERTIFICATES_INSIDE.lstrip("/"))
        shutil.copy("/etc/resolv.conf", base / "etc/resolv.conf")
        venv = ["chroot", str(base), "python3", "-m", "venv", "/build/pip"]
        run(venv, _NEEDS_DEBIAN, environment)
    run(
        ["chroot", str(base), "/build/pip/bin/python", "-m", "pip", "--quiet", *words],
        "see that PyPI can be reached",
        environment,
    )


def _installed(request: Request, base: Path, wheels: Path, say: Say) -> Path:
    """A copy of the base with the mirror in it, closed."""
    root = request.work / "root"
    shutil.rmtree(root, ignore_errors=True)
    say("installing")
    subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(root)], check=True)
    image = request.tree / "provisioning/appliance/image"
    subprocess.run(
        ["cp", "-r", "--no-preserve=ownership,timestamps", f"{image}/.", str(root)], check=True
    )
    script = str(request.tree / "provisioning/install.sh")
    words = [script, "--root", str(root), "--wheels", str(wheels), "--close"]
    for flag, value in (("--bundle", request.bundle), ("--ssh-key", request.ssh_key)):
        if value is not None:
            words += [flag, str(value)]
    run(words, "see what install.sh said")
    return root


def _kernel(request: Request, root: Path, about_root: str) -> Kernel:
    boot = root / "boot"
    kernel = next(iter(sorted(boot.glob("vmlinuz-*"))), None)
    initrd = next(iter(sorted(boot.glob("initrd.img-*"))), None)
    if kernel is None or initrd is None:
        raise ImageError(f"{boot}: holds no kernel with its initrd")
    console = f"console={request.console}" if request.console else _QUIET
    return Kernel(kernel, initrd, f"{_ALWAYS} {about_root} {console}")


def _packed(request: Request, root: Path) -> tuple[Path, str, int]:
    """The root as one file with the digests of its blocks behind it; their digest, and where."""
    packed = request.work / "root.squashfs"
    packed.unlink(missing_ok=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(request.epoch)}
    run(
        [
            "mksquashfs",
            str(root),
            str(packed),
            "-comp",
            "zstd",
            "-Xcompression-level",
            "9",
            "-noappend",
            "-no-progress",
            "-all-time",
            str(request.epoch),
            "-e",
            "boot/vmlinuz*",
            "boot/initrd*",
            "-wildcards",
        ],
        "install squashfs-tools",
        {name: value for name, value in environment.items() if name != "SOURCE_DATE_EPOCH"},
    )
    offset = aligned(packed.stat().st_size)
    with packed.open("r+b") as file:
        file.truncate(offset)
    said = run(
        [
            "veritysetup",
            "format",
            str(packed),
            str(packed),
            f"--hash-offset={offset}",
            f"--salt={_SALT}",
            f"--uuid={_VERITY_UUID}",
            f"--data-blocks={offset // 4096}",
        ],
        "install cryptsetup-bin",
    )
    digest = next(line.split()[-1] for line in said.splitlines() if line.startswith("Root hash"))
    return packed, digest, offset


def _data(request: Request) -> Path:
    """The file system for what lasts, with the folder that the services write to."""
    data = request.work / "data.ext4"
    content = request.work / "data"
    shutil.rmtree(content, ignore_errors=True)
    content.mkdir()
    data.unlink(missing_ok=True)
    with data.open("wb") as file:
        file.truncate(DATA_BYTES)
    run(
        [
            "mke2fs",
            "-q",
            "-t",
            "ext4",
            "-L",
            "ytm-data",
            "-U",
            _DATA_UUID,
            "-E",
            f"hash_seed={_DATA_UUID},lazy_itable_init=0,lazy_journal_init=0",
            "-m",
            "1",
            "-d",
            str(content),
            str(data),
        ],
        "install e2fsprogs",
        {**os.environ, "E2FSPROGS_FAKE_TIME": str(request.epoch)},
    )
    return data
