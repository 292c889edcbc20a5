"""The same command on a Dask cluster of two workers, of which one dies on the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from fetching import HANG_S, QUICK, collecting, environment
from video_site import Film

pytest.importorskip("distributed", reason="needs Dask, of the extra `cluster`")
VIDEOS = 8


def start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler, and its two workers."""
    told = tmp_path / "scheduler.json"
    scheduler = start(
        *("distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1"),
        *("--scheduler-file", str(told), "--no-dashboard"),
    )
    workers: list[subprocess.Popen[bytes]] = []
    try:
        deadline = time.monotonic() + HANG_S
        while not told.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        address = json.loads(told.read_text())["address"]
        workers += [
            start(
                *("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"),
                *("--no-dashboard", "--local-directory", str(tmp_path / f"worker{number}")),
            )
            for number in range(2)
        ]
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait(60)


def settled(dataset: Path) -> int:
    archive = dataset / "archive.jsonl"
    return len(archive.read_text().splitlines()) if archive.exists() else 0


def test_a_worker_that_dies_costs_nothing(cluster, site, films, tmp_path) -> None:
    address, workers = cluster
    site.films = {f"v{number}": Film(films[number % 4]) for number in range(VIDEOS)}
    site.films["gone"] = Film(films[0], "gone")
    urls, dataset = tmp_path / "urls.txt", tmp_path / "dataset"
    urls.write_text("\n".join(map(site.address, site.films)))
    command = collecting(dataset, "--urls", str(urls), *QUICK, "--scheduler", address, "--json")
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    deadline = time.monotonic() + HANG_S
    while settled(dataset) < 3 and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running.poll() is None
    workers[0].send_signal(signal.SIGKILL)
    printed, messages = running.communicate(timeout=HANG_S)
    assert running.returncode == 0, messages
    report = json.loads(printed)
    assert report["kept_videos"] == VIDEOS
    assert report["skipped"] == {"removed": 1}
    rows = pd.read_parquet(dataset / "shards")
    assert sorted(rows["source"]) == sorted(site.address(f"v{n}") for n in range(VIDEOS))
    # The one that the dead worker had is asked for by the other.
    assert sum(site.pages.values()) <= VIDEOS + 1 + 1
    lines = (dataset / "archive.jsonl").read_text().splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == VIDEOS + 1
