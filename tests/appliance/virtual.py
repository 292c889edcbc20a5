"""A virtual mini PC that boots the very image: screen, sound card, watchdog and disks, emulated.

QEMU without hardware acceleration: a boot takes about a minute, and a few frames a second are all
it shows. What is judged here is order and content, never speed. It is driven from outside, as a
technician would: by SSH over a network that ends at this machine, by its power and by its plugs.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

QEMU = "qemu-system-x86_64"
SERVICES = ("reflect", "sound", "screen")
BIN = "/opt/ytm/venv/bin"
"""Where the mirror's commands are in the machine."""
BOOT_S = 900.0
"""A bound that only a hang reaches: a boot takes one minute on a quiet machine."""
RATE_HZ = 48000
AUDIBLE = 100
"""Of 32767."""
_MEMORY_MB = 2048
_SECTOR = 512
_WIDTH, _HEIGHT = 640, 360
# With `-cpu max` SDL's full screen crashed in most runs.
_CPU = "Nehalem"


def why_not() -> str | None:
    """Why no virtual machine can be started here; None where one can."""
    for tool in (QEMU, "qemu-img", "ssh"):
        if shutil.which(tool) is None:
            return f"needs {tool}"
    return None


@dataclass
class Virtual:
    """A virtual machine, switched on."""

    folder: Path
    """Where its disks, sockets and recordings are."""
    key: Path
    """The private key that opens its door."""
    port: int
    """Of this machine, which leads to its SSH server."""
    process: subprocess.Popen[bytes] = field(repr=False)

    def qmp(self, command: str, **arguments: Any) -> Any:
        """Ask the emulator itself."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(60)
            link.connect(str(self.folder / "qmp"))
            lines = link.makefile("rw")
            json.loads(lines.readline())
            for words in (
                {"execute": "qmp_capabilities"},
                {"execute": command, "arguments": arguments},
            ):
                lines.write(json.dumps(words) + "\n")
                lines.flush()
                answer = _answer(lines)
            return answer

    def wait_for_event(self, name: str, bound_s: float = BOOT_S) -> None:
        """Wait until the emulator itself says that something happened, such as WATCHDOG."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(bound_s)
            link.connect(str(self.folder / "qmp"))
            lines = link.makefile("rw")
            lines.readline()
            lines.write(json.dumps({"execute": "qmp_capabilities"}) + "\n")
            lines.flush()
            while json.loads(lines.readline()).get("event") != name:
                pass

    def screen(self) -> npt.NDArray[np.uint8]:
        """What its screen shows: uint8 (height, width, 3), RGB."""
        path = self.folder / "screen.ppm"
        path.unlink(missing_ok=True)
        self.qmp("screendump", filename=str(path))
        picture = cv2.imread(str(path))
        assert picture is not None, path
        return np.asarray(picture[:, :, ::-1])

    def heard(self) -> npt.NDArray[np.int16]:
        """What its sound card played so far: int16 (frames, 2), 48 kHz."""
        raw = (self.folder / "sound.wav").read_bytes()[44:]
        return np.frombuffer(raw[: len(raw) // 4 * 4], "<i2").reshape(-1, 2)

    def try_(
        self, command: str, timeout_s: float = 120, give: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in it by SSH, as root, that may fail."""
        return subprocess.run(
            ["ssh", *self.ssh_options(), "root@127.0.0.1", command],
            input=give,
            capture_output=True,
            timeout=timeout_s,
        )

    def run(self, command: str, timeout_s: float = 120, give: bytes = b"") -> str:
        """Run a command in it by SSH that must not fail, and give what it printed."""
        done = self.try_(command, timeout_s, give)
        said = done.stdout.decode(errors="replace")
        assert done.returncode == 0, (
            f"{command}: {done.returncode} {said}{done.stderr.decode(errors='replace')}"
        )
        return said.strip()

    def ssh_options(self) -> list[str]:
        """How it is reached."""
        return [
            *("-p", str(self.port), "-i", str(self.key), "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *("-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20", "-o", "IdentitiesOnly=yes"),
        ]

    def status(self, service: str) -> dict[str, Any]:
        """What a service last said of itself; empty where it said nothing yet."""
        done = self.try_(f"cat /run/ytm/{service}.json")
        try:
            fields: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            return {}
        return fields

    def show(self, unit: str, name: str) -> str:
        """A property of a unit, as systemd has it."""
        return self.run(f"systemctl show --property {name} --value {unit}")

    def health(self) -> tuple[int, str]:
        """Exit code of `ytm-health` in it, and what it printed."""
        done = self.try_(f"{BIN}/ytm-health", 300)
        return done.returncode, done.stdout.decode(errors="replace")

    def wait_for_all(self) -> None:
        """Wait until every service says how it is, and the mirror is seen and heard."""
        self.wait_for_door()
        self.wait_for(lambda: all(self.status(name) for name in SERVICES))
        self.wait_until_seen_and_heard()

    def wait_for_door(self) -> None:
        """Wait until it lets in who has the key."""
        self.wait_for(lambda: self.try_("true", 60).returncode == 0)

    def wait_for(self, condition: Any, bound_s: float = BOOT_S) -> Any:
        """Ask `condition` until it says something true; an answer that takes too long is none."""
        deadline_s = time.monotonic() + bound_s
        while True:
            assert self.process.poll() is None, (self.folder / "qemu.log").read_text()
            try:
                found = condition()
            except subprocess.TimeoutExpired:
                found = None
            if found:
                return found
            assert time.monotonic() < deadline_s, (
                f"did not happen in {bound_s:g} s\n{self.console()[-2000:]}"
            )
            time.sleep(1)

    def wait_until_seen_and_heard(self) -> None:
        """Wait until the screen is not black, and a second of sound that was not there is heard."""
        self.wait_for(lambda: self.screen().std() > 1)
        before = len(self.heard())
        self.wait_for(lambda: len(self.heard()) > before + RATE_HZ)
        self.wait_for(lambda: np.abs(self.heard()[before:].astype(int)).max() > AUDIBLE)

    def console(self) -> str:
        """What its kernel printed on the serial line."""
        path = self.folder / "serial.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def end(self) -> None:
        """Pull the plug, and let the emulator write to the end what it was writing."""
        self.qmp("quit")
        self.process.wait(60)

    def cut_power(self) -> None:
        """Pull the plug."""
        self.process.kill()
        self.process.wait()


def _answer(lines: Any) -> Any:
    while True:
        said = json.loads(lines.readline())
        if "error" in said:
            raise AssertionError(said["error"])
        if "return" in said:
            return said["return"]


def disk_over(image: Path, folder: Path) -> Path:
    """A disk that begins as `image`, and keeps to itself what is written to it."""
    disk = folder / "disk.qcow2"
    subprocess.run(
        [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            str(image.absolute()),
            str(disk),
        ],
        check=True,
    )
    return disk


def partition(image: Path, number: int) -> tuple[int, int]:
    """Where the partition begins in the image, and its size, in bytes."""
    table = subprocess.run(["sfdisk", "--json", str(image)], capture_output=True, check=True)
    found = json.loads(table.stdout)["partitiontable"]["partitions"][number - 1]
    return found["start"] * _SECTOR, found["size"] * _SECTOR


@contextmanager
def switched_on(
    folder: Path,
    disk: Path,
    key: Path,
    *,
    firmware: str = "bios",
    screen: bool = True,
    card: bool = True,
    log: Path | None = None,
    read_only: bool = False,
) -> Iterator[Virtual]:
    """Switch a machine on; off, without a word, afterwards.

    Args:
        folder: of its sockets and recordings; what they recorded before is gone.
        disk: as `disk_over` makes it.
        key: private key of the door.
        firmware: bios or uefi.
        screen: a monitor is plugged in.
        card: there is a sound card.
        log: gets every write and flush of the disk, as `write_log` reads it; made anew.
        read_only: the disk takes no writes.
    """
    for name in ("qmp", "serial.log", "sound.wav"):
        (folder / name).unlink(missing_ok=True)
    port = _free_port()
    words = [
        *(QEMU, "-accel", "tcg,thread=multi", "-cpu", _CPU, "-M", "q35"),
        *("-smp", "2", "-m", str(_MEMORY_MB), "-nodefaults", "-display", "none"),
        *_drive(disk, log, read_only),
        *(
            "-netdev",
            f"user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22",
            "-device",
            "virtio-net-pci,netdev=n",
        ),
        *("-device", "i6300esb", "-action", "watchdog=reset"),
        *("-qmp", f"unix:{folder}/qmp,server=on,wait=off"),
        *("-serial", f"file:{folder}/serial.log"),
        *("-device", "virtio-rng-pci"),
    ]
    if firmware == "uefi":
        words += ["-bios", "/usr/share/ovmf/OVMF.fd"]
    if screen:
        words += ["-device", f"virtio-gpu-pci,xres={_WIDTH},yres={_HEIGHT}"]
    if card:
        words += ["-audiodev", f"wav,id=a,path={folder}/sound.wav,out.frequency=48000"]
        words += ["-device", "intel-hda", "-device", "hda-output,audiodev=a"]
    with (folder / "qemu.log").open("wb") as said:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        yield Virtual(folder, key, port, process)
    finally:
        process.kill()
        process.wait()


def _drive(disk: Path, log: Path | None, read_only: bool) -> list[str]:
    if log is None:
        locked = ",readonly=on" if read_only else ""
        return ["-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe{locked}"]
    log.write_bytes(b"")
    return [
        *("-blockdev", f"driver=file,node-name=file,filename={disk},cache.no-flush=on"),
        *("-blockdev", "driver=qcow2,node-name=disk,file=file,cache.no-flush=on"),
        *("-blockdev", f"driver=file,node-name=log,filename={log},cache.no-flush=on"),
        *("-blockdev", "driver=blklogwrites,node-name=logged,file=disk,log=log"),
        # With one queue there is one flush at a time.
        *("-device", "virtio-blk-pci,drive=logged,num-queues=1"),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
