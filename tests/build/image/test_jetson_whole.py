"""A whole tree, made with real programs: a Debian root for this processor stands in for NVIDIA's.

It takes minutes, a gigabyte of room four times, root, and the net, so it needs to be asked for:
YTM_JETSON_ROOT names a root file system that mmdebstrap made (build/image/base-* of `ytm-image`),
YTM_JETSON_WHEELS the folder of wheels for its Python beside it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from build.image.bsp_tree import apply_nvidias, fake_bsp
from build.image.footprints import footprint
from build.image.jetson_request import CLONE, request
from ytm_build.image import first_boot
from ytm_build.image.bsp import open_bsp
from ytm_build.image.building import Building
from ytm_build.image.l4t import GENERATIONS
from ytm_build.image.pinned import BUILT, download_words, pins
from ytm_build.image.tree import Tree
from ytm_device.bundles import DEMO_BUNDLE

ROOT, WHEELS = os.environ.get("YTM_JETSON_ROOT"), os.environ.get("YTM_JETSON_WHEELS")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBm2TJ4mkP9uyMeBBaGSWKzD5eT0VCLJc8xNHdBTFxTd me\n"
INSIDE = CLONE / "provisioning/inside.sh"
CUDA = ("cuda-cudart-dev-12-6", "cuda-driver-dev-12-6", "cuda-nvcc-12-6")

pytestmark = pytest.mark.skipif(
    ROOT is None or WHEELS is None, reason="takes minutes; YTM_JETSON_ROOT and YTM_JETSON_WHEELS"
)


def package(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A Debian package with nothing but `files` in it."""
    made = folder / name
    for path, text in files.items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(text)
    (made / "DEBIAN").mkdir(parents=True)
    (made / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    )
    subprocess.run(["dpkg-deb", "--build", made, folder / f"{name}.deb"], check=True)
    shutil.rmtree(made)
    return folder / f"{name}.deb"


def nvidias_packages(root: Path) -> None:
    """Install packages by NVIDIA's names."""
    folder = root / "packages"
    folder.mkdir()
    for name in ("nvidia-l4t-core", "nvidia-l4t-cuda", *CUDA):
        package(folder, name, {})
    beside = "usr/lib/python3/dist-packages"
    files = {f"{beside}/tensorrt/__init__.py": "", f"{beside}/numpy/__init__.py": "old = True\n"}
    package(folder, "python3-libnvinfer", files)
    # Something for building that is to be fetched, and removed again.
    script = "dpkg --install /packages/*.deb && dpkg --purge python3-venv"
    subprocess.run([INSIDE, root, "sh", "-c", script], check=True)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    bsp = fake_bsp(folder)
    shutil.rmtree(bsp / "rootfs")
    subprocess.run(["cp", "-a", "--reflink=auto", str(ROOT), bsp / "rootfs"], check=True)
    root = bsp / "rootfs"
    nvidias_packages(root)
    apply_nvidias(root, "36.4.3", "nv-oem-config")
    (root / "usr/bin/python3.10").symlink_to("python3")
    with (root / "etc/shadow").open("a") as file:
        file.write("nvidia:$1$salt$hash:19000:0:99999:7:::\n")
    with (root / "etc/passwd").open("a") as file:
        file.write("nvidia:x:1000:1000::/home/nvidia:/bin/bash\n")
    (folder / "key.pub").write_text(KEY)
    bundle = folder / "bundle"
    shutil.copytree(DEMO_BUNDLE, bundle)
    asked = request(bsp, folder / "out")
    key = Building(CLONE, asked.work, open_bsp(bsp), asked.tree)._key()
    shutil.copytree(str(WHEELS), asked.work / f"wheels-jetson-{key}")
    for own in (asked.work / f"wheels-jetson-{key}").glob("youtube_mirror-*.whl"):
        own.unlink()
    before = footprint(bsp / "rootfs/etc")
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ytm-image"), "--target", "jetson", "--bsp", bsp),
            *("--accept-nvidia-licence", "--out", folder / "out", "--work", asked.work),
            *("--bundle", bundle, "--ssh-key", folder / "key.pub", "--power-mode", "MAXN"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert footprint(bsp / "rootfs/etc") == before
    return folder / "out"


def inside(made: Path, script: str) -> str:
    words = [INSIDE, made / "rootfs", "sh", "-ec", script]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def test_it_has_taken_its_place(made: Path) -> None:
    assert not list(made.parent.glob(".*.partial"))
    assert (made / "YOUTUBE-MIRROR.txt").is_file()
    assert (made / "flash.sh").is_file()


def test_the_mirror_is_in_it_with_its_own_numpy_and_nvidias_tensorrt(made: Path) -> None:
    look = "import numpy, tensorrt; print(numpy.__version__, tensorrt.__file__)"
    version, where = inside(made, f"/opt/ytm/venv/bin/python -c '{look}'").split()
    assert version[0].isdigit()
    assert where == "/opt/ytm/tensorrt/tensorrt/__init__.py"
    assert "reflect" in inside(made, "/opt/ytm/venv/bin/ytm-mirror --help")
    assert (made / "rootfs/opt/ytm/bundle/SHA256SUMS").is_file()
    assert (made / "rootfs/etc/ytm/authorized_keys").read_text() == KEY


def test_nothing_asks_listens_or_upgrades(made: Path) -> None:
    tree = Tree(made / "rootfs")
    assert first_boot.still_asked(tree) == []
    units = tree.root / "etc/systemd/system"
    for name in ("nvgetty", "nv-l4t-usb-device-mode", "NetworkManager", "gdm3", "getty@"):
        assert (units / f"{name}.service").readlink() == Path("/dev/null")
    assert inside(made, "apt-mark showhold").split() == ["nvidia-l4t-core", "nvidia-l4t-cuda"]
    assert (tree.root / "etc/machine-id").read_text() == ""
    assert not list((tree.root / "etc/ssh").glob("ssh_host_*"))


def test_no_password_opens_it(made: Path) -> None:
    for line in (made / "rootfs/etc/shadow").read_text().splitlines():
        assert line.split(":")[1][:1] in {"*", "!"}, line


def test_what_building_needed_is_gone_and_nothing_else(made: Path) -> None:
    here = set(inside(made, "dpkg-query -W -f '${Package}\\n'").split())
    assert "python3-venv" not in here
    assert {"gcc", "nvidia-l4t-core", "python3-libnvinfer", *CUDA} <= here
    assert not (made / "rootfs/build").exists()
    assert not (made / "rootfs/usr/sbin/policy-rc.d").exists()


def test_units_are_understood(made: Path) -> None:
    names = "data.mount ytm-format.service ytm-engines.service ytm-screen.service ytm.target"
    said = inside(made, f"systemd-analyze verify --man=no {names} 2>&1 || true")
    assert not [line for line in said.splitlines() if "ytm" in line or "data.mount" in line], said


@pytest.mark.parametrize("major", sorted(GENERATIONS))
def test_every_wheel_of_a_board_can_be_fetched(tmp_path: Path, major: int) -> None:
    generation = GENERATIONS[major]
    text = "\n".join(path.read_text() for path in (CLONE / "provisioning").glob("require*.txt"))
    fetched = [pin for pin in pins(text, generation.python) if pin.name not in BUILT]
    (tmp_path / "list").write_text("".join(f"{pin.line}\n" for pin in fetched))
    words = download_words(tmp_path / "list", tmp_path / "wheels", generation)
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *words], check=True)
    assert len(list((tmp_path / "wheels").glob("*.whl"))) == len(fetched)
