"""Making a Jetson's tree, as far as it goes where NVIDIA's programs are missing; and every failure.

The programs in these trees are said to be for this machine's own processor, so that no emulator is
needed; they are empty, so that the first of them that is run fails.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from build.image.bsp_tree import elf, fake_bsp
from build.image.footprints import footprint
from build.image.jetson_request import CLONE, request
from waiting import wait_for
from ytm_build.image import first_boot, jetson
from ytm_build.image.ready import SPARE_BYTES
from ytm_build.image.tree import Tree
from ytm_bundle.errors import ImageError

COMMAND = Path(sys.executable).with_name("ytm-image")
WITHOUT_PROGRAMS = {
    "a copy of NVIDIA's BSP",
    "apt as it is to be meanwhile",
    "no questions at the first start",
    "what the kernel is told",
    "power mode MAXN_SUPER",
    "nothing of building is left",
    "the tree takes its place",
}


def mounts() -> bool:
    """Whether this user may mount in a namespace of their own."""
    words = ["unshare", "--mount", "mount", "-t", "tmpfs", "x", "/mnt"]
    return subprocess.run(words, capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not mounts(), reason="may not mount here: needs root")
needs_room = pytest.mark.skipif(
    shutil.disk_usage("/tmp").free < 1.2 * SPARE_BYTES, reason="needs 10 GB of room"
)


@pytest.fixture
def bsp(tmp_path: Path) -> Path:
    folder = fake_bsp(tmp_path)
    head = elf({"x86_64": 0x3E, "aarch64": 0xB7}[platform.machine()])
    (folder / "rootfs/usr/bin/dash").write_bytes(head)
    return folder


def words(bsp: Path, out: Path) -> list[str]:
    given = ("--target", "jetson", "--bsp", bsp, "--accept-nvidia-licence", "--out", out)
    return [str(each) for each in (COMMAND, *given, "--work", out.parent / "work")]


def test_what_needs_no_programs_is_really_done(tmp_path: Path, bsp: Path) -> None:
    before = footprint(bsp)
    asked = request(bsp, tmp_path / "out", power_mode="MAXN_SUPER")
    steps = [step for step in jetson.steps(asked) if step.what in WITHOUT_PROGRAMS]
    assert len(steps) == len(WITHOUT_PROGRAMS)
    for step in steps:
        if step.what == "nothing of building is left":
            (asked.tree.root / "build/tree").mkdir(parents=True)
        step.do()
    assert footprint(bsp) == before
    assert not asked.partial.exists()
    tree = Tree(tmp_path / "out/rootfs")
    assert first_boot.still_asked(tree) == []
    assert "fsck.repair=yes quiet" in str(tree.read("boot/extlinux/extlinux.conf"))
    assert "DEFAULT=2" in str(tree.read("etc/nvpmodel/nvpmodel_p3767_0003_super.conf"))
    assert not (tree.root / "build").exists()
    assert not (tree.root / "usr/sbin/policy-rc.d").exists()
    about = (tmp_path / "out/YOUTUBE-MIRROR.txt").read_text()
    assert "l4t_initrd_flash.sh --external-device nvme0n1p1" in about
    assert "https://docs.nvidia.com/jetson/archives/r36.4.3/DeveloperGuide" in about
    (tmp_path / "out/rootfs/bin/sh").resolve(strict=True)


def test_a_tree_that_is_not_the_mirrors_is_seen(bsp: Path) -> None:
    with pytest.raises(ImageError) as raised:
        jetson.look(Tree(bsp / "rootfs"))
    for part in ("default.target", "ytm.target is missing", "no ytm-mirror", "TensorRT", "core, "):
        assert part in str(raised.value)


@needs_mounts
@needs_room
def test_what_fails_half_way_leaves_nothing(tmp_path: Path, bsp: Path) -> None:
    before = footprint(bsp)
    done = subprocess.run(words(bsp, tmp_path / "out"), capture_output=True, text=True)
    assert done.returncode == 1
    assert "3 of " in done.stderr
    assert "apt-mark" in done.stderr
    assert footprint(bsp) == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["Linux_for_Tegra", "work"]


@needs_mounts
@needs_room
def test_a_killed_run_leaves_nothing_where_the_tree_will_be(tmp_path: Path, bsp: Path) -> None:
    (bsp / "bootloader/large").write_bytes(os.urandom(1 << 20) * 200)
    before = footprint(bsp)
    partial = tmp_path / ".out.partial"
    with subprocess.Popen(words(bsp, tmp_path / "out"), start_new_session=True) as process:
        wait_for(partial.exists)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (tmp_path / "out").exists()
    assert footprint(bsp) == before
    done = subprocess.run(words(bsp, tmp_path / "out"), capture_output=True, text=True)
    assert "3 of " in done.stderr
    assert not partial.exists()
    assert footprint(bsp) == before


@needs_mounts
@pytest.mark.parametrize(
    ("options", "why"),
    [("size=1m", "GB are needed, and 0.0 are free"), ("ro,size=20g", "Read-only file system")],
)
def test_a_full_or_read_only_disk_is_seen_first(
    tmp_path: Path, bsp: Path, options: str, why: str
) -> None:
    (tmp_path / "disk").mkdir()
    before = footprint(tmp_path)
    mount = f'mount -t tmpfs -o {options} x {tmp_path}/disk && exec "$@"'
    whole = ["unshare", "--mount", "sh", "-ec", mount, "sh", *words(bsp, tmp_path / "disk/out")]
    done = subprocess.run(whole, capture_output=True, text=True)
    assert done.returncode == 1
    assert why in done.stderr
    assert footprint(tmp_path) == before


@needs_mounts
@needs_room
def test_two_at_once_do_not_disturb_each_other(tmp_path: Path, bsp: Path) -> None:
    (tmp_path / "work").mkdir()
    held = [
        "flock",
        "--exclusive",
        "--close",
        str(tmp_path / "work"),
        *words(bsp, tmp_path / "out"),
    ]
    done = subprocess.run(held, capture_output=True, text=True)
    assert done.returncode == 1
    assert "another process makes a tree there" in done.stderr
    assert not (tmp_path / "out").exists()


@needs_mounts
def test_a_command_in_a_tree_sees_neither_devices_nor_environment(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("dev", "proc", "run", "usr"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    look = "ls /dev /run; env; ls -d /proc/[0-9]*; echo left >/dev/null; cat </dev/zero | head -c 1"
    # This machine's own programs, lent to the tree.
    lend = f'mount --rbind -o ro /usr {root}/usr && exec "$@"'
    inside = [str(CLONE / "provisioning/inside.sh"), str(root), "sh", "-c", look]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", lend, "sh", *inside],
        env={**os.environ, "SECRET": "x"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.split()
    assert {"null", "zero", "urandom", "fd", "systemd", "/proc/1"} <= set(lines)
    assert not {"sda", "vda", "mem", "loop0", "tty0"} & set(lines)
    assert "SECRET" not in done.stdout
    assert list((root / "dev").iterdir()) == []
    assert list((root / "run").iterdir()) == []
