"""The wheel holds the rooms and the demo bundle, and the mirror runs from it without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[1]
PACKAGES = (
    "model_build/ytm_bundle",
    "device/ytm_device",
    "training/ytm_training",
    "model_build/ytm_build",
)
LEFT_OUT = {"torch", "librosa", "lightning", "av", "pyarrow", "yt-dlp", "onnx", "pandas", "pytest"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    run([*command, "--wheel-dir", str(folder), str(TREE)])
    (built,) = folder.glob("*.whl")
    return built


def run(command: list[str], **environment: str) -> str:
    """Run `command` to its end; its output, or a failure that shows what it said."""
    result = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
    return result.stdout


def tree_files() -> Iterator[str]:
    """Every file of the rooms as the wheel should name it."""
    for package in PACKAGES:
        root = TREE / package
        for path in root.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root.parent).as_posix()


def test_the_wheel_holds_the_rooms_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    assert names - metadata == set(tree_files())
    assert "ytm_device/demo_bundle/manifest.json" in names
    assert any(name.endswith("/licenses/LICENSE") for name in metadata)


@pytest.fixture(scope="module")
def empty_venv(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and its device extra; needs PyPI, as `make setup` does."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run([sys.executable, "-m", "venv", str(folder)])
    run([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", f"{wheel}[device]"])
    return folder


def test_the_device_extra_brings_nothing_of_training(empty_venv: Path) -> None:
    listed = run([str(empty_venv / "bin/python"), "-m", "pip", "list", "--format", "json"])
    installed = {row["name"].lower() for row in json.loads(listed)}
    assert "youtube-mirror" in installed
    assert not LEFT_OUT & installed


def test_the_installed_mirror_answers_the_drawn_visitor(empty_venv: Path, tmp_path: Path) -> None:
    command = [str(empty_venv / "bin/ytm-mirror"), "--camera", "demo", "--headless"]
    printed = run([*command, "--seconds", "3", "--json"], PYTHONPATH="", HOME=str(tmp_path))
    figures = json.loads(printed)
    assert figures["camera"] == "demo"
    assert figures["reflect"]["reflections"] > 0
    assert figures["sound"]["samples"] > 0
    assert figures["screen"]["frames"] > 0
