"""A run trained for a moment, and the bundle made of it, shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_run import train, write_small_dataset
from ytm_build.export import GraphReport, build_bundle
from ytm_training.learn.run import Run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on a small dataset; read only."""
    folder = tmp_path_factory.mktemp("run")
    done = train(write_small_dataset(folder / "dataset", 6), folder / "run", "--max-epochs", "3")
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="session")
def built(run: Path) -> tuple[Path, list[GraphReport]]:
    """The bundle of that run, read only, and what its making reported."""
    out = run.parent / "bundle"
    return out, build_bundle(Run(run), out, "small", lambda report: None)
