"""What a process can do where it runs, as JSON on standard output. Run in the sandbox of a unit."""

from __future__ import annotations

import ctypes
import errno
import grp
import json
import mmap
import os
import pwd
import resource
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ytm_device import wall_clock
from ytm_device.sound import realtime

PLACES = ("/", "/etc", "/usr", "/opt/ytm/venv", "/var", "/tmp", "/run", "/root", "/home", "/data")
OWN_PLACES = ("/run/ytm", "/data/ytm")
FAMILIES = ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_UNIX")
CLONE_NEWUSER = 0x10000000
MCL_CURRENT = 1
SUID = 0o4755


def attempt(action: Callable[..., object], *arguments: object) -> str:
    """Name of the error that `action` meets; `done` for none."""
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def _write(folder: str) -> None:
    path = Path(folder) / f"probe-{os.getpid()}"
    path.write_bytes(b"x")
    path.unlink()


def _open(path: str) -> None:
    os.close(os.open(path, os.O_RDWR))


def _open_socket(family: str) -> None:
    socket.socket(getattr(socket, family), socket.SOCK_DGRAM).close()


def _call(function: str, argument: int) -> None:
    """Call a function of the C library that gives 0 if all went well."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(argument):
        raise OSError(ctypes.get_errno(), function)


def _set_suid() -> None:
    path = Path(f"/data/ytm/probe-{os.getpid()}")
    path.touch()
    try:
        path.chmod(SUID)
    finally:
        path.unlink()


def _executable_memory() -> None:
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _owner(process: Path) -> int | None:
    try:
        return process.stat().st_uid
    except FileNotFoundError:
        return None


def _process_owners() -> set[int | None]:
    """User ids of all processes that can be seen."""
    processes = (path for path in Path("/proc").iterdir() if path.name.isdigit())
    return {_owner(path) for path in processes} - {None}


def _interfaces() -> list[str]:
    lines = Path("/proc/self/net/dev").read_text().splitlines()[2:]
    return [line.split(":")[0].strip() for line in lines]


def main() -> None:
    """Try everything; arguments are devices to open."""
    found = {
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "groups": sorted(grp.getgrgid(each).gr_name for each in os.getgroups()),
        "writes": {place: attempt(_write, place) for place in (*PLACES, *OWN_PLACES)},
        "sockets": {name: attempt(_open_socket, name) for name in FAMILIES},
        "interfaces": _interfaces(),
        "devices": {path: attempt(_open, path) for path in sys.argv[1:]},
        "only_own_processes": _process_owners() == {os.getuid()},
        "cpuinfo": Path("/proc/cpuinfo").exists(),
        "core_limit": resource.getrlimit(resource.RLIMIT_CORE),
        "core_holds": int(Path("/proc/self/coredump_filter").read_text(), 16),
        "clock_can_be_asked": wall_clock._kernel_clock()[0] != -1,
        "set_clock": attempt(time.clock_settime, time.CLOCK_REALTIME, time.time()),
        "namespace": attempt(_call, "unshare", CLONE_NEWUSER),
        "set_suid": attempt(_set_suid),
        "executable_memory": attempt(_executable_memory),
        "lock_memory": attempt(_call, "mlockall", MCL_CURRENT),
        "real_time": attempt(
            os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(realtime.PRIORITY)
        ),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
