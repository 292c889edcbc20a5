"""Settings that break while everything runs, disks that are full, and people who ask too much."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from hostility import flooding
from installation import Installation, installed
from planting import planted
from pressure import fill, small
from waiting import HANG_S
from ytm_device.control.server import MAX_CLIENTS
from ytm_device.options import SERVICES, SOUND

FLOOD_S = float(os.environ.get("YTM_FLOOD_S", "3"))
BROKEN = {
    "no TOML": b"[sound\nvolume_db = ",
    "another type": b'[sound]\nvolume_db = "loud"\n',
    "out of range": b"[sound]\nvolume_db = 1000\n",
    "unknown key": b"[sound]\nvolume = 1\n",
    "random bytes": bytes(range(256)) * 8,
    "too large": b"#" * (1 << 20),
    "nested": b"a = " + b"[" * 5000,
}


@pytest.fixture(scope="module")
def installation(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> Iterator[Installation]:
    with installed(folder, bundle, ball, card_library, environment) as running:
        running.mirrors()
        yield running


@pytest.mark.parametrize("what", BROKEN)
def test_broken_settings_are_told_and_change_nothing(installation: Installation, what: str) -> None:
    overlay = installation.data / "mirror.toml"
    with planted(installation, f"settings broken: {what}") as fault:
        overlay.write_bytes(BROKEN[what])
        for service in SERVICES:
            answer = installation.ask(service, "reload")
            assert answer["ok"]
            assert str(overlay) in answer["settings_problem"]
        for service in SERVICES:
            installation.wait_status(service, settings_problem=lambda problem: bool(problem))
        installation.mirrors()
        overlay.unlink()
        fault.mended()
        for service in SERVICES:
            assert installation.ask(service, "reload")["settings_problem"] is None
        fault.recovered()


def test_a_full_disk_is_told_and_the_old_settings_stay(
    installation: Installation, tmp_path: Path
) -> None:
    with small(tmp_path):
        flags = ["--data", tmp_path, "--run-dir", installation.run_dir]
        assert installation.ctl("set", "sound.volume_db", "-3", *flags).returncode == 0
        before = (tmp_path / "mirror.toml").read_bytes()
        with planted(installation, "disk full") as fault:
            filler = fill(tmp_path)
            refused = installation.ctl("set", "sound.volume_db", "-6", *flags)
            assert refused.returncode == 1
            assert "No space left" in refused.stderr
            assert (tmp_path / "mirror.toml").read_bytes() == before
            filler.unlink()
            fault.mended()
            assert installation.ctl("set", "sound.volume_db", "-6", *flags).returncode == 0
            assert b"-6" in (tmp_path / "mirror.toml").read_bytes()
            fault.recovered()


def test_a_full_run_folder_does_not_end_the_show(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> None:
    with (
        small_run(folder, bundle, ball, card_library, environment) as installation,
        planted(installation, "/run full", restarts=len(SERVICES)) as fault,
    ):
        filler = fill(installation.run_dir)
        said = {name: installation.status(name) for name in SERVICES}
        for name in SERVICES:
            run = installation.supervisor.kill(name)
            installation.supervisor.wait_ready(name, run)
        for name in SERVICES:
            wait_mode(installation, name)
            assert installation.status(name) == said[name]
        filler.unlink()
        fault.mended()
        installation.mirrors()
        fault.recovered()


def wait_mode(installation: Installation, service: str) -> None:
    """Wait until a service whose status cannot be written says at its socket that it mirrors."""
    until_s = time.monotonic() + HANG_S
    while installation.ask(service, "status").get("mode") != "mirror":
        assert time.monotonic() < until_s
        time.sleep(0.1)


@contextmanager
def small_run(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> Iterator[Installation]:
    """An installation whose run folder is small."""
    run_dir = folder / "small-run"
    run_dir.mkdir()
    with (
        small(run_dir),
        installed(folder, bundle, ball, card_library, environment, run_dir=run_dir) as installation,
    ):
        installation.mirrors()
        yield installation


def test_a_flood_of_requests_ends_nothing(installation: Installation) -> None:
    before = {name: installation.wait_status(name) for name in SERVICES}
    with planted(installation, "requests in a flood") as fault:
        with flooding([installation.run_dir / f"{name}.sock" for name in SERVICES]):
            time.sleep(FLOOD_S)
            for name in SERVICES:
                installation.wait_status(name, mode="mirror")
        fault.mended()
        for name in SERVICES:
            assert installation.ask(name, "status")["ok"]
        fault.recovered()
    for name in SERVICES:
        after = installation.wait_status(name)
        assert after["threads"] == before[name]["threads"]
        assert after["descriptors"] <= before[name]["descriptors"] + MAX_CLIENTS


def test_ctl_speaks_to_all_that_run(installation: Installation) -> None:
    done = installation.ctl("status", "--json", "--run-dir", installation.run_dir)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == set(SERVICES)
    assert installation.ctl("mute", "--run-dir", installation.run_dir).returncode == 0
    installation.wait_status(SOUND, muted=True)
    assert installation.ctl("unmute", "--run-dir", installation.run_dir).returncode == 0
    installation.wait_status(SOUND, muted=False)
