"""The rooms import one way, and the device needs only what the device extra installs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

TREE = Path(__file__).resolve().parents[1]
ROOMS = ("model_build", "device", "training")
PROJECT = "youtube-mirror"

IMPORT_ALL = """
import importlib, pkgutil, sys
before = set(sys.modules)
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(folder / room) for room in ROOMS)
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_imports_keep_to_the_contracts() -> None:
    result = lint_imports(TREE)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("model_build/ytm_bundle", "import ytm_device.frame", "Rooms import only"),
        ("device/ytm_device", "import ytm_training.media", "Rooms import only"),
        ("device/ytm_device", "def late():\n    import torch", "The device never needs"),
        ("model_build/ytm_bundle", "from pyarrow import parquet", "The device never needs"),
        ("training/ytm_training", "import onnxruntime", "One module imports onnxruntime"),
        ("device/ytm_device", "from gi.repository import Gst", "One module imports gi"),
        ("device/ytm_device", "import pygame.display", "One module imports pygame"),
        ("model_build/ytm_build", "import tensorrt", "Two modules import tensorrt"),
        ("device/ytm_device", "from pycuda import driver", "One module imports pycuda"),
    ],
)
def test_an_import_that_breaks_a_contract_is_found(
    tmp_path: Path, module: str, line: str, contract: str
) -> None:
    shutil.copy(TREE / "pyproject.toml", tmp_path)
    for room in ROOMS:
        shutil.copytree(TREE / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / module / "planted.py").write_text(f"{line}\n", encoding="utf-8")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert re.search(rf"{contract}.* BROKEN", result.stdout), result.stdout


def test_one_module_calls_libasound() -> None:
    sources = [path for room in ROOMS for path in (TREE / room).rglob("*.py")]
    calling = [path.name for path in sources if "snd_pcm_" in path.read_text(encoding="utf-8")]
    assert calling == ["alsa.py"]


def distributions(requirements: list[Requirement]) -> set[str]:
    """What pip would install for `requirements`: normalised names, with all they need."""
    found: set[str] = set()
    pending = [(item.name, extra) for item in requirements for extra in {"", *item.extras}]
    seen: set[tuple[str, str]] = set()
    while pending:
        name, extra = pending.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found.add(normalised(name))
        for text in requires(name) or []:
            item = Requirement(text)
            if item.marker is None or item.marker.evaluate({"extra": extra}):
                pending += [(item.name, wanted) for wanted in {"", *item.extras}]
    return found


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def loaded_distributions(package: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, package], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    owners = packages_distributions()
    return {normalised(owner) for name in result.stdout.split() for owner in owners.get(name, [])}


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("ytm_bundle", ["numpy", "pydantic"]),
        ("ytm_device", [f"{PROJECT}[device]"]),
    ],
)
def test_a_room_loads_only_what_its_extra_installs(package: str, allowed: list[str]) -> None:
    installed = distributions([Requirement(name) for name in allowed])
    assert not {"torch", "librosa", "lightning", "av", "pyarrow", "yt-dlp"} & installed
    assert loaded_distributions(package) - installed - {PROJECT} == set()
