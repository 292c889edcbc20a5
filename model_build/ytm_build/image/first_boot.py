"""NVIDIA's questions at the first start, before which nothing else runs: that they are not asked.

JetPack 6 asks by oem-config (nv-oem-config.target), JetPack 7 by nv-oobe.target; apply_binaries.sh
makes one of them the default target.
"""

from __future__ import annotations

from ytm_build.image.tree import Change, Linked, Removed, Tree, Written

DEFAULT = "etc/systemd/system/default.target"
_GOAL = "/lib/systemd/system/multi-user.target"
_OURS = "etc/systemd/system"
_THEIRS = ("lib/systemd/system", "usr/lib/systemd/system")
_ASKING = ("nv-oem-config*", "oem-config*", "nv-oobe*", "ubiquity*", "cloud-init*", "cloud-config*")
_UNITS = tuple(
    f"{name}.{kind}" for name in _ASKING for kind in ("service", "target", "socket", "path")
)
_NOWHERE = "/dev/null"


def answered(tree: Tree) -> list[Change]:
    """What lets a board start into the mirror without a question."""
    changes: list[Change] = [Linked(DEFAULT, _GOAL)]
    # What NVIDIA's l4t_create_default_user.sh leaves behind as well.
    changes.append(Written("etc/nv/nvautoconfig", ""))
    if tree.path("etc/cloud").is_dir():
        changes.append(Written("etc/cloud/cloud-init.disabled", ""))
    changes += [Removed(path) for path in _wanted(tree)]
    changes += [Linked(f"{_OURS}/{name}", _NOWHERE) for name in _asking(tree)]
    return changes


def still_asked(tree: Tree) -> list[str]:
    """What would still ask, or still be started, at the first start; empty where nothing does."""
    problems = []
    target = tree.target(DEFAULT) or "nothing"
    if target.rsplit("/", 1)[-1] != "multi-user.target":
        problems.append(f"/{DEFAULT} is {target}")
    problems += [f"/{path} would be started" for path in _wanted(tree)]
    problems += [
        f"{name} is not masked"
        for name in _asking(tree)
        if tree.target(f"{_OURS}/{name}") != _NOWHERE
    ]
    return problems


def _asking(tree: Tree) -> list[str]:
    """The units that ask, wherever they come from."""
    folders = (_OURS, *_THEIRS)
    found = [path for folder in folders for path in tree.names(folder, _UNITS)]
    return sorted({path.rsplit("/", 1)[-1] for path in found})


def _wanted(tree: Tree) -> list[str]:
    """The links by which systemd would start them."""
    folders = tree.names(_OURS, ["*.wants", "*.requires"])
    return [path for folder in folders for path in tree.names(folder, _UNITS)]
