"""What is changed in NVIDIA's root file system: parameters, power, questions, packages, pins."""

from __future__ import annotations

from pathlib import Path

import pytest

from build.image.bsp_tree import EXTLINUX, fake_root, write
from ytm_build.image import extlinux, first_boot, power
from ytm_build.image.l4t import GENERATIONS
from ytm_build.image.packages import held, installed, nvidias, without_undecided_sources
from ytm_build.image.pinned import BUILT, download_words, pins
from ytm_build.image.tree import Linked, Tree
from ytm_bundle.errors import ImageError, UsageError

TREE = Path(__file__).resolve().parents[3]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    fake_root(tmp_path / "root", "36.4.3", "nv-oem-config")
    return Tree(tmp_path / "root")


def entries(text: str) -> dict[str, list[str]]:
    """Label -> its lines, as a boot loader reads them."""
    found: dict[str, list[str]] = {}
    label = ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["LABEL"]:
            label = words[1]
        elif words and label and not line.startswith("#"):
            found.setdefault(label, []).append(" ".join(words))
    return found


def test_the_kernel_is_silent_and_nvidias_entry_stays() -> None:
    text = extlinux.with_parameters(EXTLINUX, None)
    found = entries(text)
    assert list(found) == ["primary", "nvidia"]
    *head, append = found["primary"]
    words = append.split()
    assert words[:2] == ["APPEND", "${cbootargs}"]
    for word in (
        "quiet",
        "loglevel=0",
        "panic=10",
        "fsck.repair=yes",
        "vt.global_cursor_default=0",
    ):
        assert words.count(word) == 1
    assert found["nvidia"] == [*head, "APPEND ${cbootargs} quiet"]
    assert text.startswith("TIMEOUT 30\nDEFAULT primary\n")
    assert text.endswith(EXTLINUX[EXTLINUX.index("\n# LABEL backup") :])


def test_what_nvidias_flash_script_adds_goes_to_both_entries() -> None:
    # flash.sh: sed "/^[ \t]*APPEND/s|$| $cmdline|"
    text = extlinux.with_parameters(EXTLINUX, None)
    assert sum(line.lstrip().startswith("APPEND") for line in text.splitlines()) == 2


def test_the_kernel_may_speak() -> None:
    append = entries(extlinux.with_parameters(EXTLINUX, "ttyTCU0"))["primary"][-1]
    assert append.endswith("panic=10 fsck.repair=yes console=ttyTCU0")
    assert "quiet" not in append


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no default entry"),
        ("DEFAULT other\nLABEL primary\n  APPEND x\n", "names no default entry"),
        ("DEFAULT\nLABEL primary\n  APPEND x\n", "names no default entry"),
        ("DEFAULT primary\nLABEL primary\n  LINUX /boot/Image\n", "has no line APPEND"),
        (extlinux.with_parameters(EXTLINUX, None), "has an entry 'nvidia' already"),
    ],
)
def test_other_boot_files_are_refused(text: str, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        extlinux.with_parameters(text, None)


def test_a_power_mode_is_set_by_name_wherever_it_is(tree: Tree) -> None:
    small, large = tree.names("etc/nvpmodel", ["*super*"]), tree.names("etc/nvpmodel", ["*p3701*"])
    before = tree.read(small[0])
    tree.change(power.with_mode(tree, "MAXN"))
    assert "\n< PM_CONFIG DEFAULT=0 >\n" in str(tree.read(large[0]))
    assert tree.read(small[0]) == before
    assert tree.read("var/lib/nvpmodel/status") is None
    tree.change(power.with_mode(tree, "25W"))
    assert "\n< PM_CONFIG DEFAULT=3 >\n" in str(tree.read(large[0]))
    assert "\n< PM_CONFIG DEFAULT=1 >\n" in str(tree.read(small[0]))


def test_an_unknown_power_mode_is_refused_with_those_that_there_are(tree: Tree) -> None:
    with pytest.raises(UsageError, match=r"'EXAMPLE'.*10W, 15W, 25W, MAXN, MAXN_SUPER"):
        power.with_mode(tree, "EXAMPLE")
    with pytest.raises(UsageError, match="no module has '0'"):
        power.with_mode(tree, "0")


def test_files_of_power_modes_that_are_not_understood_are_refused(tree: Tree) -> None:
    write(tree.root, {"etc/nvpmodel/x.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n"})
    with pytest.raises(ImageError, match="names 0 defaults"):
        power.with_mode(tree, "MAXN")
    for path in (tree.root / "etc/nvpmodel").iterdir():
        path.unlink()
    with pytest.raises(ImageError, match="holds no power modes"):
        power.with_mode(tree, "MAXN")


@pytest.mark.parametrize("asking", ["nv-oem-config", "nv-oobe"])
def test_no_question_is_left(tmp_path: Path, asking: str) -> None:
    fake_root(tmp_path / "root", "39.2.1", asking)
    (tmp_path / "root/etc/cloud").mkdir()
    tree = Tree(tmp_path / "root")
    asked = first_boot.still_asked(tree)
    assert f"/{first_boot.DEFAULT} is {asking}.target" in asked
    assert f"{asking}.service is not masked" in asked
    assert any("would be started" in each for each in asked)
    tree.change(first_boot.answered(tree))
    assert first_boot.still_asked(tree) == []
    units = tree.root / "etc/systemd/system"
    assert (units / "default.target").readlink() == Path("/lib/systemd/system/multi-user.target")
    for kind in ("service", "target"):
        assert (units / f"{asking}.{kind}").readlink() == Path("/dev/null")
    assert list((units / f"{asking}.target.wants").iterdir()) == []
    assert (tree.root / "etc/nv/nvautoconfig").is_file()
    assert (tree.root / "etc/cloud/cloud-init.disabled").is_file()
    assert first_boot.answered(tree) != []
    tree.change(first_boot.answered(tree))
    assert first_boot.still_asked(tree) == []


@pytest.mark.parametrize(
    "planted", ["etc/systemd/system/multi-user.target.wants/nv-oem-config.service", "default"]
)
def test_a_question_that_came_back_is_seen(tree: Tree, planted: str) -> None:
    tree.change(first_boot.answered(tree))
    if planted == "default":
        tree.change([Linked(first_boot.DEFAULT, "nv-oem-config.target")])
    else:
        tree.change([Linked(planted, "/lib/systemd/system/nv-oem-config.service")])
    assert len(first_boot.still_asked(tree)) == 1


def test_packages_are_read_as_dpkg_has_them(tree: Tree) -> None:
    assert {"apt", "nvidia-l4t-core"} <= installed(tree)
    assert "gone" not in installed(tree)
    assert nvidias(tree) == ["nvidia-l4t-core", "nvidia-l4t-cuda", "nvidia-l4t-init"]
    assert held(tree) == set()
    status = tree.root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("install ok installed", "hold ok installed"))
    assert len(nvidias(tree)) == 3
    assert held(tree) >= set(nvidias(tree))
    status.write_text("Package: apt\nStatus: install ok installed\n")
    with pytest.raises(ImageError, match=r"run apply_binaries\.sh"):
        nvidias(tree)
    status.unlink()
    with pytest.raises(ImageError, match="not made of packages"):
        installed(tree)


def test_the_source_of_an_undecided_module_is_put_aside(tree: Tree) -> None:
    tree.change(without_undecided_sources(tree))
    (text,) = [tree.read(path) for path in tree.names("etc/apt/sources.list.d", ["*"])]
    assert text == (
        "deb https://repo.download.nvidia.com/jetson/common r36.4 main\n"
        "# deb https://repo.download.nvidia.com/jetson/<SOC> r36.4 main\n"
    )
    assert without_undecided_sources(tree) != []
    tree.change(without_undecided_sources(tree))
    assert str(text) == tree.read("etc/apt/sources.list.d/nvidia-l4t-apt-source.list")


@pytest.mark.parametrize("python", ["3.10", "3.12"])
def test_every_pin_of_a_jetson_has_digests_and_one_version(python: str) -> None:
    names = ("requirements.txt", "requirements-jetson.txt")
    text = "\n".join((TREE / "provisioning" / name).read_text() for name in names)
    found = pins(text, python)
    by_name = {pin.name: pin.line for pin in found}
    assert len(by_name) == len(found)
    assert set(by_name) >= BUILT
    assert {"numpy", "onnxruntime", "pygame-ce", "pyzmq", "pytools"} <= set(by_name)
    assert not {"colorama", "cffi", "pyreadline3"} & set(by_name)
    assert ("tomli" in by_name) == (python == "3.10")
    assert all(" --hash=sha256:" in line for line in by_name.values())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("numpy==1.0", "no exact version with digests"),
        ("numpy>=1.0 --hash=sha256:00", "no exact version with digests"),
        ("numpy --hash=sha256:00", "no exact version with digests"),
        ("-r other.txt", "cannot read"),
        ("--index-url=https://elsewhere.example", "cannot read"),
    ],
)
def test_what_is_not_pinned_is_refused(text: str, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        pins(text, "3.10")


def test_wheels_are_asked_for_as_the_board_runs_them() -> None:
    words = download_words(Path("list"), Path("into"), GENERATIONS[36])
    assert "--python-version=310" in words
    assert "--require-hashes" in words
    assert "--only-binary=:all:" in words
    assert "--platform=manylinux_2_35_aarch64" in words
    assert "--platform=manylinux_2_36_aarch64" not in words
