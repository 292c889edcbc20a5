"""Which machine and which versions a figure belongs to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ytm_device.benchmark.report import Machine
from ytm_device.sound.streaming.compiled import LIBRARY

CPU_INFO = Path("/proc/cpuinfo")
_MODEL_KEYS = ("model name", "Model")
"""As x86 and ARM call it."""


def this_machine() -> Machine:
    """Describe it as it is at this moment."""
    return Machine(
        youtube_mirror=version("youtube-mirror"),
        python=platform.python_version(),
        numpy=np.__version__,
        cpu=cpu_model(CPU_INFO),
        cores=len(os.sched_getaffinity(0)),
        load_1_min=os.getloadavg()[0],
        kernel_compiled=LIBRARY.is_file(),
    )


def cpu_model(info: Path) -> str:
    """The model that a `/proc/cpuinfo` names first; the architecture where it names none."""
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in _MODEL_KEYS and value.strip():
            return value.strip()
    return platform.machine()
