"""The root file system of an image, started in a container, at this machine's own speed.

What is below the kernel is not there: no medium, no camera, card, display or watchdog. Its network
ends in a namespace of its own, the street, from where anybody may knock.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.machine import NSPAWN, Machine, end, machine_of, scope
from appliance.machine import why_not as why_no_container
from appliance.virtual import partition

ADDRESS, NEIGHBOUR = "10.99.0.1", "10.99.0.2"
_ROOT_NUMBER = 3
"""Of the partition with the first root."""


def why_not() -> str | None:
    """Why it cannot be started here; None where it can."""
    missing = [tool for tool in ("unsquashfs", "sfdisk", "ip") if shutil.which(tool) is None]
    return f"needs {' '.join(missing)}" if missing else why_no_container()


@dataclass(frozen=True)
class Street:
    """Where the machine's cable ends."""

    machine: Machine
    namespace: str

    def words(self, *words: str) -> list[str]:
        """A command that is run there."""
        return ["ip", "netns", "exec", self.namespace, *words]


@contextmanager
def started(image: Path, folder: Path, data: Path | None = None) -> Iterator[Street]:
    """Start the root of `image`, as it was flashed, in a container; gone afterwards.

    Args:
        image: made by `ytm-image`.
        folder: of the unpacked root and what the machine prints.
        data: a folder that stands for the partition of what lasts; None: it is missing.
    """
    begin, _ = partition(image, _ROOT_NUMBER)
    root = folder / "root"
    subprocess.run(
        [
            *("unsquashfs", "-quiet", "-no-progress", "-offset", str(begin)),
            *("-dest", str(root), str(image)),
        ],
        check=True,
        capture_output=True,
    )
    binds = [] if data is None else [f"--bind={data}:/data"]
    name = f"y{uuid.uuid4().hex[:8]}"
    with (folder / "console.log").open("wb") as console:
        process = subprocess.Popen(
            [
                *(*NSPAWN, f"--directory={root}", "--volatile=overlay", "--network-veth"),
                *(*scope(), f"--machine={name}", *binds, "--boot"),
            ],
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
    try:
        machine = machine_of(process, folder / "console.log", root / "etc", data or root / "data")
        _lead_to(name, f"ve-{name}")
        machine.run("ip", "address", "add", f"{ADDRESS}/24", "dev", "host0")
        machine.run("ip", "link", "set", "host0", "up")
        yield Street(machine, name)
    finally:
        end(process)
        subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        shutil.rmtree(root, ignore_errors=True)


def _lead_to(namespace: str, cable: str) -> None:
    for words in (
        ("netns", "add", namespace),
        ("link", "set", cable, "netns", namespace),
        ("-n", namespace, "address", "add", f"{NEIGHBOUR}/24", "dev", cable),
        ("-n", namespace, "link", "set", cable, "up"),
    ):
        subprocess.run(["ip", *words], check=True, capture_output=True)
