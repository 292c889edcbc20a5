"""A machine with the real systemd on this one's kernel: the units, and the project to run in them.

systemd-nspawn boots the host's own `/usr`, read-only, with an `/etc` made here and everything else
in memory. Nothing of the host's services or configuration comes along.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from waiting import HANG_S, wait_for

TREE = Path(__file__).resolve().parents[2]
PROVISIONING = TREE / "provisioning"
UNITS = PROVISIONING / "units"
SERVICES = ("sound", "screen", "reflect")
_USR = Path("/usr")
_VENV = Path("/opt/ytm/venv")
_HELPERS = PROVISIONING / "appliance/opt/ytm/libexec"
_TREE = Path("/opt/ytm/tree")
_PYTHON = Path("/opt/python")
_BOOTED = ("running", "degraded")
CONSOLE = "console.log"
JOURNAL = "journal.log"
_REBOOT_ASKED = 133
"""How systemd-nspawn ends when the machine reboots, with --keep-unit; else it boots it again."""
_PROPAGATED = Path("/run/systemd/nspawn/propagate")
NSPAWN = (
    # The machine goes with the tests, even if they are killed.
    *("setpriv", "--pdeathsig=TERM", "systemd-nspawn", "--quiet"),
    *("--register=no", "--console=pipe", "--private-network"),
    *("--resolv-conf=off", "--timezone=off"),
    # What a container may not do otherwise: load systemd's rules for devices, which are programs of
    # the kernel's, and ask whether the clock is set.
    "--capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON",
    "--system-call-filter=bpf adjtimex clock_adjtime",
)
# What stands where the camera, the card and the monitor would: the drawn visitor, an ALSA device
# that swallows what it is given, and memory that SDL draws into.
_SETTINGS = """\
[camera]
device = "demo"
"""
_ALSA = """\
pcm.!default { type null }
"""
_STAND_INS = f"""\
[Service]
Environment=PYTHONPATH={_TREE}/device:{_TREE}/model_build OMP_NUM_THREADS=1
Environment=ALSA_CONFIG_PATH=/etc/ytm/alsa.conf SDL_VIDEODRIVER=offscreen
"""
_COMMAND = f"""\
#!{_VENV}/bin/python3
from {{module}} import main

main()
"""
_COMMANDS = {"ytm-mirror": "ytm_device.mirror", "ytm-build-engine": "ytm_build.command"}


def why_not() -> str | None:
    """Why no machine can be booted here; None where one can."""
    if os.geteuid() != 0:
        return "needs root, to boot a container"
    if shutil.which("systemd-nspawn") is None:
        return "needs systemd-nspawn (Debian package systemd-container)"
    if not Path("/usr/lib/systemd/systemd").exists():
        return "needs systemd (Debian package systemd)"
    if not Path("/bin").is_symlink():
        return "needs a system whose /bin is in /usr"
    return None


@dataclass(frozen=True)
class Machine:
    """A booted machine."""

    leader: int
    """Process id of its systemd, outside."""
    etc: Path
    """Its `/etc`, outside."""
    data: Path
    """Its `/data`, outside."""
    rebooted: Callable[[], bool]
    """Whether it has restarted as a whole."""

    def try_(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root, that may fail."""
        return subprocess.run(
            ["nsenter", "--target", str(self.leader), "--all", *words],
            env={"PATH": "/usr/sbin:/usr/bin", "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )

    def run(self, *words: str) -> str:
        """Run a command in it, as root, that must not fail, and give its standard output."""
        result = self.try_(*words)
        assert result.returncode == 0, f"{' '.join(words)}: {result.stdout}{result.stderr}"
        return result.stdout.strip()

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit, as systemd has them."""
        lines = self.run("systemctl", "show", unit, f"--property={','.join(names)}").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def drop_in(self, unit: str, text: str) -> Path:
        """Add settings to a unit, the last word; the file, on the outside."""
        path = self.etc / f"systemd/system/{unit}.d/zz-test.conf"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        self.run("systemctl", "daemon-reload")
        return path

    def pids(self) -> dict[str, int]:
        """Service -> process id in the machine; 0 for none."""
        return {name: int(self.show(f"ytm-{name}", "MainPID")["MainPID"]) for name in SERVICES}

    def all_active(self) -> bool:
        """Whether every service has said that it is ready."""
        units = [f"ytm-{name}.service" for name in SERVICES]
        return self.try_("systemctl", "is-active", "--quiet", *units).returncode == 0 and all(
            self.show(unit, "ActiveState")["ActiveState"] == "active" for unit in units
        )

    def status(self, service: str) -> dict[str, Any]:
        """What a service last said of itself; empty where it said nothing yet."""
        path = Path(f"/proc/{self.leader}/root/run/ytm/{service}.json")
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        fields: dict[str, Any] = json.loads(text)
        return fields

    def journal(self, unit: str) -> str:
        """What a unit wrote, and what systemd wrote of it, since the machine is up."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")


@contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """Boot a machine with everything installed and `ytm.target` enabled; gone afterwards.

    Args:
        folder: empty; holds its `/etc`, its `/data`, what it printed and its journal.
    """
    binds = _prepare(folder)
    name = f"ytm-{uuid.uuid4().hex[:8]}"
    with (folder / CONSOLE).open("wb") as console:
        process = subprocess.Popen(
            [
                *(*NSPAWN, "--directory=/", "--volatile=yes", *scope(), f"--machine={name}"),
                *(*binds, "--boot"),
            ],
            # cgroup2 whatever the host has: the rules for devices need it.
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
    try:
        machine = machine_of(process, folder / CONSOLE, folder / "etc", folder / "data")
        try:
            yield machine
        finally:
            (folder / JOURNAL).write_text(machine.try_("journalctl", "--no-pager").stdout)
    finally:
        end(process)
        # Where the host's /run is on a disk, systemd-nspawn leaves this behind.
        shutil.rmtree(_PROPAGATED / name, ignore_errors=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """Switch a machine off."""
    process.terminate()
    try:
        process.wait(HANG_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def scope() -> list[str]:
    """Flags that say where systemd-nspawn keeps a machine."""
    # Where systemd is not the host's own init, there is nobody to ask for a scope.
    return [] if Path("/run/systemd/system").exists() else ["--keep-unit"]


def machine_of(process: subprocess.Popen[bytes], console: Path, etc: Path, data: Path) -> Machine:
    """The machine that systemd-nspawn runs as `process`, when it is up."""

    def leader_or_end() -> int | None:
        assert process.poll() is None, console.read_text(errors="replace")
        return _leader(process)

    leader = wait_for(leader_or_end)
    rebooted = partial(_rebooted, process, leader)
    machine = Machine(leader, etc, data, rebooted)
    wait_for(lambda: machine.try_("systemctl", "is-system-running").stdout.strip() in _BOOTED)
    return machine


def _leader(process: subprocess.Popen[bytes]) -> int | None:
    """Process id of the systemd that runs in the container, if any does yet."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return next((int(pid) for pid in listed if _name(pid) == "systemd"), None)


def _rebooted(process: subprocess.Popen[bytes], leader: int) -> bool:
    if process.poll() is not None:
        return process.returncode == _REBOOT_ASKED
    return _leader(process) not in (None, leader)


def _name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _prepare(folder: Path) -> list[str]:
    """Make `/etc`, `/data` and Python's environment; flags of systemd-nspawn that bind them."""
    etc, data, venv = (folder / name for name in ("etc", "data", "venv"))
    for each in (etc, data, venv):
        each.mkdir()
    # With a machine id it is no first boot, at which every service of the host's would be enabled.
    (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    for kind in ("sysusers.d", "tmpfiles.d"):
        shutil.copytree(PROVISIONING / kind, etc / kind)
    system = shutil.copytree(UNITS, etc / "systemd/system")
    for name in SERVICES:
        (system / f"ytm-{name}.service.d").mkdir()
        (system / f"ytm-{name}.service.d/stand-ins.conf").write_text(_STAND_INS)
    (etc / "ytm").mkdir()
    (etc / "ytm/mirror.toml").write_text(_SETTINGS)
    (etc / "ytm/alsa.conf").write_text(_ALSA)
    subprocess.run(
        ["systemctl", f"--root={folder}", "enable", "ytm.target", "ytm-data.service"]
        + [f"ytm-{name}.service" for name in SERVICES],
        check=True,
        capture_output=True,
        timeout=HANG_S,
    )
    return [f"--bind={etc}:/etc", f"--bind={data}:/data", *_python(venv)]


def _python(venv: Path) -> list[str]:
    """Make the environment that the units expect; flags that bind it and what it leads to.

    It is not the tests' own: that may be in somebody's home, which the units do not see.
    """
    base, site = Path(sys.base_prefix), Path(sysconfig.get_path("purelib"))
    home = base if base.is_relative_to(_USR) else _PYTHON
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (venv / "bin").mkdir()
    for name in ("python", "python3"):
        (venv / "bin" / name).symlink_to(home / "bin" / version)
    for name, module in _COMMANDS.items():
        (venv / "bin" / name).write_text(_COMMAND.format(module=module))
        (venv / "bin" / name).chmod(0o755)
    (venv / "pyvenv.cfg").write_text(f"home = {home}/bin\n")
    packages = venv / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    inside = _VENV / packages.relative_to(venv)
    binds = {venv: _VENV, site: inside, TREE: _TREE, _HELPERS: Path("/opt/ytm/libexec")}
    binds |= {} if home == base else {base: home}
    return [f"--bind-ro={outside}:{where}" for outside, where in binds.items()]
