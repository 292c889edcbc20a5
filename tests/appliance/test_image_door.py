"""The door of an image, from the street: who scans it, who knocks without end, and who has the key.

Its very root file system runs in a container, whose cable ends in another network namespace. Its
key and image: see `make test-appliance`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.image import IMAGE, KEY, NEEDS_IMAGE, skipped_for
from appliance.image_root import ADDRESS, Street, started, why_not
from appliance.machine import SERVICES
from waiting import HANG_S, wait_for

CROWD = 500
"""Connections at once."""

pytestmark = [skipped_for(why_not()), NEEDS_IMAGE]

SCAN = f"""
import errno, socket
open_ = []
for port in range(1, 65536):
    with socket.socket() as link:
        link.settimeout(5)
        found = link.connect_ex(("{ADDRESS}", port))
        if found == 0:
            open_.append(port)
        assert found in (0, errno.ECONNREFUSED), (port, found)
print(*open_)
"""
STAND_THERE = f"""
import errno, resource, socket
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
crowd = [socket.socket() for _ in range({CROWD})]
for link in crowd:
    link.settimeout(5)
    assert link.connect_ex(("{ADDRESS}", 22)) in (0, errno.ECONNRESET)
print("there", flush=True)
input()
"""


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with started(IMAGE, tmp_path_factory.mktemp("root")) as street:
        wait_for(street.machine.all_active)
        yield street


def _python(street: Street, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        street.words(sys.executable, "-c", script),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _enter(street: Street, *options: str) -> subprocess.CompletedProcess[str]:
    words = [
        "ssh",
        *options,
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "LogLevel=ERROR",
    ]
    words += ["-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    return subprocess.run(
        street.words(*words, f"root@{ADDRESS}", "echo inside"),
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )


def _with_key(street: Street, key: object) -> subprocess.CompletedProcess[str]:
    return _enter(street, "-i", str(key), "-o", "IdentitiesOnly=yes")


def test_who_scans_it_finds_the_door_alone(street: Street) -> None:
    said, _ = _python(street, SCAN).communicate(timeout=10 * HANG_S)
    assert said.split() == ["22"]


def test_the_key_opens_and_nothing_else(street: Street, tmp_path: Path) -> None:
    assert _with_key(street, KEY).stdout == "inside\n"
    other = tmp_path / "key"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)]
    subprocess.run(words, check=True)
    password = ("-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password")
    for refused in (_with_key(street, other), _enter(street, *password)):
        assert refused.returncode == 255
        assert "Permission denied (publickey)" in refused.stderr


def _figures(street: Street) -> dict[str, Any]:
    told = {name: street.machine.status(name) for name in SERVICES}
    return {"underruns": told["sound"]["underruns"], "pids": street.machine.pids()}


def test_a_crowd_at_the_door_disturbs_nobody(street: Street) -> None:
    wait_for(lambda: all(street.machine.status(name) for name in SERVICES))
    before, played = _figures(street), street.machine.status("sound")["samples"]
    crowd = _python(street, STAND_THERE)
    assert crowd.stdout is not None
    assert crowd.stdout.readline() == "there\n"
    wait_for(lambda: street.machine.status("sound")["samples"] > played + 96_000)
    assert _figures(street) == before
    crowd.communicate("\n", timeout=HANG_S)
    assert crowd.returncode == 0
    wait_for(lambda: _with_key(street, KEY).stdout == "inside\n")
