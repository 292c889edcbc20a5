"""A bundle that may be written into, and the command in this process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ytm_build.command import main


@dataclass(frozen=True)
class Ran:
    """What the command did."""

    code: int
    out: str
    said: str


RunCommand = Callable[..., Ran]


@pytest.fixture
def bundle_path(tiny_bundle_path: Path, tmp_path: Path) -> Path:
    """A tiny bundle of this test's own."""
    return shutil.copytree(tiny_bundle_path, tmp_path / "bundle")


@pytest.fixture
def ytm_build_engine(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> RunCommand:
    """`ytm_build_engine(word, ...)` runs the command with these words."""

    def run(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["ytm-build-engine", *map(str, words)])
        code: object = 0
        try:
            main()
        except SystemExit as left:
            code = left.code
        out, said = capfd.readouterr()
        assert isinstance(code, int | None)
        return Ran(code or 0, out, said)

    return run
