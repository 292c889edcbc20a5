"""A site on this machine, and films drawn for it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fetching import HANG_S, QUICK, collecting, environment
from video_site import Site, open_site
from ytm_training.scenes.videos import write_videos


@pytest.fixture
def site() -> Iterator[Site]:
    with open_site() as site:
        yield site


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four drawn scenes of four seconds."""
    folder = tmp_path_factory.mktemp("films")
    return list(write_videos(folder, 4, seed=1, seconds=4.0, size=(160, 120)))


@pytest.fixture
def collect_links(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ytm-collect on addresses as a person would, and see its exit code."""

    def run(
        addresses: list[str], out: Path, *flags: str, code: int = 0, **more: str
    ) -> subprocess.CompletedProcess[str]:
        urls = tmp_path / "urls.txt"
        urls.write_text("\n".join(addresses))
        ended = subprocess.run(
            collecting(out, "--urls", str(urls), *QUICK, *flags),
            capture_output=True,
            text=True,
            timeout=HANG_S,
            env=environment(**more),
        )
        assert ended.returncode == code, ended.stderr
        return ended

    return run
