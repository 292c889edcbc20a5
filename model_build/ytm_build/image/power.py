"""NVIDIA's power modes, chosen by name: their numbers differ from module to module.

Each module has a file of its own in /etc/nvpmodel, and nvpower.sh links the right one to
/etc/nvpmodel.conf at every start, so that the default has to be set in the files themselves.
"""

from __future__ import annotations

import re

from ytm_build.image.tree import Change, Removed, Tree, Written
from ytm_bundle.errors import ImageError, UsageError

FOLDER = "etc/nvpmodel"
_REMEMBERED = "var/lib/nvpmodel/status"
"""The mode that was chosen last, which goes before the default."""
_MODE = re.compile(r"^<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", re.MULTILINE)
_DEFAULT = re.compile(r"^(<\s*PM_CONFIG\s+DEFAULT=)\d+(\s*>)", re.MULTILINE)


def modes(text: str) -> dict[str, int]:
    """The power modes of a file of nvpmodel, by name."""
    return {name: int(number) for number, name in _MODE.findall(text)}


def with_mode(tree: Tree, name: str) -> list[Change]:
    """What makes `name` the mode in which every module starts that has it.

    Raises:
        UsageError: no module has it.
        ImageError: a file of modes names no default, or there are none.
    """
    files = {path: tree.read(path) or "" for path in tree.names(FOLDER, ["*.conf"])}
    if not files:
        raise ImageError(f"/{FOLDER}: holds no power modes; run apply_binaries.sh of the BSP")
    having = {path: text for path, text in files.items() if name in modes(text)}
    if not having:
        offered = sorted({each for text in files.values() for each in modes(text)})
        raise UsageError(f"--power-mode: no module has {name!r}; there are {', '.join(offered)}")
    changes: list[Change] = []
    for path, text in having.items():
        changed, count = _DEFAULT.subn(rf"\g<1>{modes(text)[name]}\g<2>", text)
        if count != 1:
            raise ImageError(f"/{path}: names {count} defaults instead of one")
        changes.append(Written(path, changed))
    return [*changes, Removed(_REMEMBERED)]
