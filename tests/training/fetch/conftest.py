"""A site on this machine, and films drawn for it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fetching import QUICK
from video_site import Site, open_site
from ytm_training.collect.command import main
from ytm_training.scenes.videos import write_videos


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let yt-dlp leave its connection to a page that it read half to the garbage collector."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """No such connection is left for the tests that follow."""
    yield
    gc.collect()


@pytest.fixture
def site() -> Iterator[Site]:
    with open_site() as site:
        yield site


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four drawn scenes of four seconds."""
    folder = tmp_path_factory.mktemp("films")
    return list(write_videos(folder, 4, seed=1, seconds=4.0, size=(160, 120)))


@dataclass(frozen=True)
class Ended:
    """What a command printed."""

    stdout: str
    stderr: str


@pytest.fixture
def collect_links(tmp_path, monkeypatch, capsys) -> Callable[..., Ended]:
    """Run ytm-collect on addresses as a person would, and see its exit code."""

    def run(addresses: list[str], out: Path, *flags: str, code: int = 0) -> Ended:
        urls = tmp_path / "urls.txt"
        urls.write_text("\n".join(addresses))
        command = ["ytm-collect", "--out", str(out), "--urls", str(urls), *QUICK, *flags]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        printed = Ended(*capsys.readouterr())
        assert (ended.value.code or 0) == code, printed.stderr
        return printed

    return run
