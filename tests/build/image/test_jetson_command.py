"""`ytm-image --target jetson`, as far as it goes without NVIDIA's programs: every step said."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from build.image.bsp_tree import fake_bsp
from build.image.footprints import footprint
from build.image.jetson_request import CLONE
from ytm_build.image.ready import emulated

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBm2TJ4mkP9uyMeBBaGSWKzD5eT0VCLJc8xNHdBTFxTd me\n"
COMMAND = Path(sys.executable).with_name("ytm-image")


def ytm_image(*words: object) -> subprocess.CompletedProcess[str]:
    whole = [str(COMMAND), *map(str, words)]
    return subprocess.run(whole, capture_output=True, text=True, timeout=300)


def jetson(bsp: Path, out: Path, *words: object) -> subprocess.CompletedProcess[str]:
    given = ("--target", "jetson", "--bsp", bsp, "--accept-nvidia-licence", "--out", out)
    return ytm_image(*given, "--work", out.parent / "work", *words)


def runs_aarch64() -> bool:
    return platform.machine() == "aarch64" or emulated("aarch64")


def said_steps(text: str) -> list[str]:
    return re.findall(r"^\d+\. (.*)$", text, re.MULTILINE)


def test_the_licence_has_to_be_accepted(tmp_path: Path) -> None:
    bsp = fake_bsp(tmp_path)
    done = ytm_image("--target", "jetson", "--bsp", bsp, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "Tegra_Software_License_Agreement-Tegra-Linux.txt" in done.stderr
    assert "--accept-nvidia-licence" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_each_step_in_order_and_touches_nothing(tmp_path: Path) -> None:
    bsp = fake_bsp(tmp_path)
    (tmp_path / "key.pub").write_text(KEY)
    before = footprint(tmp_path)
    done = jetson(
        *(bsp, tmp_path / "out", "--dry-run", "--ssh-key", tmp_path / "key.pub"),
        *("--power-mode", "MAXN_SUPER", "--sd-image", tmp_path / "sd.img"),
    )
    assert done.returncode == 0, done.stderr
    assert footprint(tmp_path) == before
    assert said_steps(done.stderr) == [
        "a copy of NVIDIA's BSP",
        "apt as it is to be meanwhile",
        "NVIDIA's packages held",
        "system packages: the lists",
        "system packages: the mirror's",
        "system packages: what is there",
        "system packages: for building",
        "sources and pip in the tree",
        "Python packages: which are fetched, and which are built",
        "Python packages: wheels for aarch64, Python 3.10",
        "Python packages: what has no wheel, built in the tree; long where it is emulated",
        "Python packages: kept for the next time",
        "the project's own wheel",
        "all wheels in one place",
        "installing",
        "removing what only building needed",
        "closing",
        "no questions at the first start",
        "what the kernel is told",
        "power mode MAXN_SUPER",
        "nothing of building is left",
        "looking at what was made",
        "the tree takes its place",
        "an image for an SD card, by NVIDIA's tool",
    ]


def test_a_dry_run_says_exactly_what_would_be_run(tmp_path: Path) -> None:
    bsp, out = fake_bsp(tmp_path), tmp_path / "out"
    (tmp_path / "key.pub").write_text(KEY)
    done = jetson(bsp, out, "--dry-run", "--ssh-key", tmp_path / "key.pub")
    lines = [line.strip() for line in done.stderr.splitlines()]
    partial = tmp_path / ".out.partial"
    inside = rf"{CLONE}/provisioning/inside\.sh {partial}/rootfs"
    install = rf"{inside} bash /build/tree/provisioning/install\.sh --wheels /build/wheels --jetson"
    for pattern in (
        rf"cp -a --reflink=auto -- {bsp} {partial}",
        rf"{inside} apt-mark hold nvidia-l4t-core nvidia-l4t-cuda nvidia-l4t-init",
        rf"{inside} env DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet update",
        rf"{inside} .* apt-get .* install --no-install-recommends .*\bpython3-libnvinfer\b.*",
        rf"{inside} .* install .*\bg\+\+ .*cuda-cudart-dev-12-6 .*cuda-nvcc-12-6",
        r"write .*built\.txt: pycairo pygobject pycuda",
        r".*-m pip --quiet download .*--require-hashes.*--python-version=310.*aarch64.*",
        rf"{inside} env .*PIP_CERT=/build/certificates.* wheel .*--require-hashes.*",
        rf"{install} --ssh-key /build/key\.pub",
        rf"{install} --close",
        r"link /etc/systemd/system/default\.target -> /lib/systemd/system/multi-user\.target",
        r"link /etc/systemd/system/nv-oem-config\.service -> /dev/null",
        r"\+      APPEND \$\{cbootargs\} panic=10 fsck\.repair=yes quiet .*",
        rf"mv {partial} {out}",
        r"sudo \./tools/kernel_flash/l4t_initrd_flash\.sh --external-device nvme0n1p1 .* internal",
        r"sudo \./tools/jetson-disk-image-creator\.sh -o mirror-sd\.img -b jetson-orin-nano-devkit"
        r" -d SD",
    ):
        assert any(re.fullmatch(pattern, line) for line in lines), pattern
    # The packages that are there are not asked for again.
    assert not any(re.search(r"install .*\bpython3-venv\b", line) for line in lines)


def test_a_dry_run_says_what_stands_in_the_way(tmp_path: Path) -> None:
    done = jetson(fake_bsp(tmp_path), tmp_path / "out", "--dry-run")
    assert done.returncode == 0
    if not runs_aarch64():
        assert "not here: this machine cannot run programs for aarch64" in done.stderr
        assert "install qemu-user-static" in done.stderr


def test_without_an_emulator_nothing_is_begun(tmp_path: Path) -> None:
    if runs_aarch64():
        pytest.skip("this machine runs programs for aarch64")
    bsp = fake_bsp(tmp_path)
    before = footprint(tmp_path)
    done = jetson(bsp, tmp_path / "out")
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert footprint(tmp_path) == before


def test_jetpack_7_is_asked_for_its_own_packages(tmp_path: Path) -> None:
    bsp = fake_bsp(tmp_path, "39.2.1", "nv-oobe")
    done = jetson(bsp, tmp_path / "out", "--dry-run", "--board", "jetson-agx-thor-devkit")
    assert done.returncode == 0, done.stderr
    assert "L4T 39.2.1, JetPack 7.2.1" in done.stderr
    assert "cuda-cudart-dev-13-2" in done.stderr
    assert "--python-version=312" in done.stderr
    assert re.search(r"install .* libasound2t64 ", done.stderr)
    assert "link /etc/systemd/system/nv-oobe.target -> /dev/null" in done.stderr
    assert "No line is known for this board" in done.stderr


def test_a_remark_on_a_release_is_said(tmp_path: Path) -> None:
    done = jetson(fake_bsp(tmp_path, "36.5.0"), tmp_path / "out", "--dry-run")
    assert re.search(r"^note: .*624 MHz.*https://\S+\)$", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *(("--bsp", "x"), ("--accept-nvidia-licence", None), ("--board", "x")),
        *(("--power-mode", "MAXN"), ("--sd-image", "x"), ("--dry-run", None)),
    ],
)
def test_its_flags_are_for_it_alone(tmp_path: Path, flag: str, value: str | None) -> None:
    words = ["--target", "debian-amd64", "--out", tmp_path / "x", flag, *([value] if value else [])]
    done = ytm_image(*words)
    assert done.returncode == 2
    assert f"error: {flag}: only for --target jetson" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_needs_a_bsp(tmp_path: Path) -> None:
    done = ytm_image("--target", "jetson", "--out", tmp_path / "x")
    assert (done.returncode, "needs --bsp" in done.stderr) == (2, True)
