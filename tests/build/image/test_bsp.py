"""What is said to be NVIDIA's BSP: broken and hostile ones are refused, and never changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from build.image.bsp_tree import elf, fake_bsp, release_text
from build.image.footprints import footprint
from build.image.jetson_request import request
from ytm_build.image import jetson
from ytm_build.image.bsp import licence, machine, occupied, open_bsp
from ytm_build.image.ready import emulated
from ytm_bundle.errors import ImageError, UsageError, YtmError


@pytest.mark.parametrize(
    ("release", "jetpack", "python"), [("36.4.3", "6.2", "3.10"), ("39.2.1", "7.2.1", "3.12")]
)
def test_a_bsp_of_either_generation_is_taken(
    tmp_path: Path, release: str, jetpack: str, python: str
) -> None:
    folder = fake_bsp(tmp_path, release)
    bsp = open_bsp(folder)
    assert (bsp.release, bsp.known.jetpack, bsp.generation.python) == (release, jetpack, python)
    assert "jetson-orin-nano-devkit" in bsp.boards()
    assert machine(bsp.rootfs) == "aarch64"
    assert licence(folder).name.startswith("Tegra_Software_License_Agreement")
    assert occupied(folder) > 0


def without(name: str) -> Callable[[Path], None]:
    def spoil(bsp: Path) -> None:
        path = bsp / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def instead(name: str, target: str) -> Callable[[Path], None]:
    def spoil(bsp: Path) -> None:
        without(name)(bsp)
        (bsp / name).symlink_to(target)

    return spoil


def saying(text: str) -> Callable[[Path], None]:
    def spoil(bsp: Path) -> None:
        (bsp / "rootfs/etc/nv_tegra_release").write_text(text)

    return spoil


def emptied(bsp: Path) -> None:
    shutil.rmtree(bsp / "rootfs")
    (bsp / "rootfs").mkdir()
    (bsp / "rootfs/README.txt").touch()


def ours(bsp: Path) -> None:
    (bsp / "YOUTUBE-MIRROR.txt").symlink_to("/nowhere/to/be/written")


def binary(bsp: Path) -> None:
    (bsp / "rootfs/etc/nv_tegra_release").write_bytes(b"\xff\xfe\x00")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (without("rootfs"), "no Linux_for_Tegra of NVIDIA's: it has no rootfs"),
        (without("flash.sh"), r"it has no flash\.sh"),
        (without("tools/kernel_flash/l4t_initrd_flash.sh"), "it has no tools/kernel_flash"),
        (emptied, "rootfs is empty; unpack NVIDIA's sample root file system"),
        (without("rootfs/etc/nv_tegra_release"), r"apply_binaries\.sh first"),
        (saying(""), "says no release"),
        (binary, "nv_tegra_release: cannot be read"),
        (saying(release_text("36.4.7")), r"L4T 36\.4\.7: .*take one of"),
        (saying(release_text("37.0.1")), r"L4T 37\.0\.1: nobody has looked at it"),
        (saying(release_text("39.2.1")), r"has no Python 3\.12"),
        (ours, "was made by ytm-image"),
        (instead("rootfs", "/"), "rootfs is a link to /"),
        (instead("bootloader", "../elsewhere"), "bootloader is a link"),
        (instead("rootfs/etc", "/etc"), "rootfs/etc: is a link to /etc, not a folder"),
        (instead("rootfs/var", "../../../var"), "rootfs/var: is a link"),
        (instead("rootfs/dev", "/dev"), "rootfs/dev: is a link"),
        (without("rootfs/run"), "rootfs/run: is missing"),
        (instead("rootfs/etc/nv_tegra_release", "nv_tegra_release"), "round in a circle"),
        (instead("rootfs/etc/nv_tegra_release", "/etc/os-release"), r"apply_binaries\.sh first"),
    ],
)
def test_broken_and_hostile_ones_are_refused(
    tmp_path: Path, spoil: Callable[[Path], None], why: str
) -> None:
    bsp = fake_bsp(tmp_path)
    spoil(bsp)
    before = footprint(bsp)
    with pytest.raises(YtmError, match=why):
        open_bsp(bsp)
    assert footprint(bsp) == before


def test_a_link_to_a_bsp_stands_for_what_it_leads_to(tmp_path: Path) -> None:
    bsp = fake_bsp(tmp_path)
    (tmp_path / "link").symlink_to(bsp)
    # A copy of the link would be the operator's own.
    assert open_bsp(tmp_path / "link").folder == bsp.resolve()


def test_the_folder_above_is_named(tmp_path: Path) -> None:
    fake_bsp(tmp_path)
    with pytest.raises(UsageError, match=r"give .*/Linux_for_Tegra"):
        open_bsp(tmp_path)
    with pytest.raises(UsageError, match="is no folder"):
        open_bsp(tmp_path / "missing")


@pytest.mark.parametrize(
    ("head", "why"),
    [(elf(0x28), "for a processor that no Jetson has"), (b"#!/bin/sh\n", "is no program")],
)
def test_programs_of_other_processors_are_seen(tmp_path: Path, head: bytes, why: str) -> None:
    bsp = fake_bsp(tmp_path)
    (bsp / "rootfs/usr/bin/dash").write_bytes(head)
    with pytest.raises(ImageError, match=why):
        machine(open_bsp(bsp).rootfs)


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POCF\n", True),
        ("enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: \noffset 0\n", False),
        ("disabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: F\n", False),
    ],
)
def test_an_emulator_counts_where_it_is_found_from_within(
    tmp_path: Path, text: str, there: bool
) -> None:
    (tmp_path / "qemu-aarch64").write_text(text)
    assert emulated("aarch64", tmp_path) == there
    assert not emulated("riscv64", tmp_path)
    assert not emulated("aarch64", tmp_path / "not mounted")


def test_a_request_that_cannot_work_is_refused(tmp_path: Path) -> None:
    bsp, out = fake_bsp(tmp_path), tmp_path / "out"
    jetson.check(request(bsp, out))
    with pytest.raises(UsageError, match=r"no 'x'; it has jetson-agx-orin-devkit, "):
        jetson.check(request(bsp, out, board="x"))
    with pytest.raises(UsageError, match="no module has 'TURBO'"):
        jetson.check(request(bsp, out, power_mode="TURBO"))
    with pytest.raises(UsageError, match="--sd-image: NVIDIA's tools make none"):
        jetson.check(request(bsp, out, board="jetson-agx-thor-devkit", sd_image=out))
    for place in (bsp, bsp / "inside", tmp_path):
        with pytest.raises(UsageError, match="--out"):
            jetson.check(request(bsp, place))
    (tmp_path / "link").symlink_to(bsp)
    with pytest.raises(UsageError, match="--out"):
        jetson.check(request(bsp, tmp_path / "link"))
    out.mkdir()
    jetson.check(request(bsp, out))
    (out / "something").touch()
    with pytest.raises(UsageError, match="is there already"):
        jetson.check(request(bsp, out))
    (bsp / "rootfs/build").symlink_to("/somewhere")
    with pytest.raises(UsageError, match="has a folder /build"):
        jetson.check(request(bsp, tmp_path / "other"))
