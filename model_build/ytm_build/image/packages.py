"""The system packages of a root file system, as dpkg's own list has them."""

from __future__ import annotations

import re

from ytm_build.image.tree import Change, Tree, Written
from ytm_bundle.errors import ImageError

_STATUS = "var/lib/dpkg/status"
_SOURCES = "etc/apt/sources.list.d"
_FIELD = re.compile(r"^(Package|Status): (.*)$", re.MULTILINE)
_NVIDIAS = "nvidia-l4t-"
_UNDECIDED = "<SOC>"


def installed(tree: Tree) -> set[str]:
    """The packages that are installed, held or not.

    Raises:
        ImageError: it has no list of packages.
    """
    return {name for name, words in _listed(tree) if words[-1:] == ["installed"]}


def held(tree: Tree) -> set[str]:
    """The packages that no upgrade touches.

    Raises:
        ImageError: it has no list of packages.
    """
    return {name for name, words in _listed(tree) if words[:1] == ["hold"]}


def nvidias(tree: Tree) -> list[str]:
    """The packages of the BSP, which an upgrade at the gallery would break the board with.

    Raises:
        ImageError: there are none.
    """
    names = sorted(name for name in installed(tree) if name.startswith(_NVIDIAS))
    if not names:
        raise ImageError(f"{tree.root}: has no packages {_NVIDIAS}*; run apply_binaries.sh")
    return names


def without_undecided_sources(tree: Tree) -> list[Change]:
    """What lets apt run: NVIDIA's source of one module alone is named at the first start only.

    CUDA and TensorRT are in the source of all modules.
    """
    changes: list[Change] = []
    for path in tree.names(_SOURCES, ["*.list"]):
        text = tree.read(path) or ""
        if _UNDECIDED in text:
            lines = [
                f"# {line}" if _UNDECIDED in line and not line.startswith("#") else line
                for line in text.splitlines()
            ]
            changes.append(Written(path, "\n".join([*lines, ""])))
    return changes


def _listed(tree: Tree) -> list[tuple[str, list[str]]]:
    """Every package with the words of its status, such as `install ok installed`."""
    text = tree.read(_STATUS)
    if text is None:
        raise ImageError(f"{tree.root}: has no /{_STATUS}, so it is not made of packages")
    paragraphs = [dict(_FIELD.findall(each)) for each in text.split("\n\n")]
    return [
        (fields["Package"], fields.get("Status", "").split())
        for fields in paragraphs
        if "Package" in fields
    ]
