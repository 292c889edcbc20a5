"""What tests need in C: cards and cameras at the outermost edge, compiled where they are used."""

from __future__ import annotations

import subprocess
from pathlib import Path

from waiting import HANG_S

_OPTIONS = ("-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-DPIC", "-pthread")


def shared_library(source: Path, folder: Path, *linked: str) -> Path:
    """`source`, compiled into `folder` and linked with, for example, `-lasound`."""
    library = folder / f"lib{source.stem}.so"
    command = ["gcc", *_OPTIONS, "-o", library, source, *linked]
    subprocess.run(command, check=True, timeout=HANG_S)
    return library
