"""What processes write, send and share, as the kernel saw it: `strace`, and who reads its words.

Every way out of a process begins with a call that is watched: a file opened for writing, moved or
mapped; a socket made, connected, bound or written to by address. What is already open is pipes of
the tests' own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from waiting import HANG_S

FILES = ("open", "openat", "openat2", "creat", "open_by_handle_at", "truncate", "mknod", "mknodat")
MOVES = ("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat")
SOCKETS = ("socket", "socketpair", "connect", "bind", "sendto", "sendmsg", "sendmmsg")
OTHERS = ("mmap", "io_uring_setup", "process_vm_writev", "mount", "swapon")
CALLS = (*FILES, *MOVES, *SOCKETS, *OTHERS)
_WRITING = re.compile(r"\bO_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)\b")
_LINE = re.compile(r"(\w+)\((.*)\)\s+= (-?\w+)(?:<(.*)>)?")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_FOLDER = re.compile(r"(?:AT_FDCWD|\d+)<([^>]*)>")
_MAPPED = re.compile(r"MAP_SHARED\w*[^,]*, \d+<([^>]*)>")
_FAMILY = re.compile(r"\b(?:AF|PF)_\w+")
_ADDRESS = re.compile(r"sun_path=(@?)" + _QUOTED.pattern)
_NAMELESS = ("anon_inode:", "memfd:", "/memfd:", "socket:", "pipe:")


@dataclass(frozen=True)
class Act:
    """Something by which data could leave a process."""

    kind: str
    """`write`, `move`, `share`, `family`, `address` or `call`."""
    target: str
    """A path, an address family, a socket's address, or the name of the call."""


def need_strace() -> None:
    """Skip where processes cannot be traced."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace to see what is written and sent (Debian package strace)")
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this machine lets nobody trace: {tried.stderr.strip()}")


def traced(command: Sequence[object], folder: Path) -> list[str]:
    """`command`, its children and threads, traced into files in `folder`, one for each thread.

    It stays the process that is started; who traces is its grandchild.
    """
    calls = ",".join(f"?{call}" for call in CALLS)
    options = ["-D", "--seccomp-bpf", "-f", "-ff", "-y", "-qq", "-s", "0", "-e", f"trace={calls}"]
    return ["strace", *options, "-e", "signal=none", "-o", str(folder / "of"), *map(str, command)]


def acts(folder: Path, working: Path) -> set[Act]:
    """All that was done in the traces in `folder`, by processes that were started in `working`."""
    found = set()
    for trace in folder.glob("of.*"):
        with trace.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                found.update(_acts_of(line.rstrip(), working))
    return found


def _acts_of(line: str, working: Path) -> Iterator[Act]:
    said = _LINE.match(line)
    if said is None:
        # Cut short by the end of its process. Nothing but exits and signals may look otherwise.
        assert line.startswith(("+++", "---")) or "unfinished" in line or " = ?" in line, line
        return
    call, arguments, result, path = said.groups()
    # A connection that is still being made, and one that was refused, was tried all the same.
    if result == "-1" and call not in SOCKETS:
        return
    if call in SOCKETS:
        yield from _socket_acts(call, arguments)
    elif call in MOVES:
        yield Act("move", _moved_to(arguments, working))
    elif call == "mmap":
        mapped = _MAPPED.search(arguments)
        if "PROT_WRITE" in arguments and mapped is not None and not _nameless(mapped[1]):
            yield Act("share", mapped[1])
    elif call in FILES:
        if call in ("creat", "truncate", "mknod", "mknodat") or _WRITING.search(arguments):
            yield Act("write", path or _moved_to(arguments, working))
    else:
        yield Act("call", call)


def _nameless(path: str) -> bool:
    """Memory, which nobody else can open by a name."""
    return path.startswith(_NAMELESS)


def _moved_to(arguments: str, working: Path) -> str:
    """The last path among `arguments`, from the folder it is meant in."""
    folders = [working, *(Path(folder) for folder in _FOLDER.findall(arguments))]
    return str(folders[-1] / _QUOTED.findall(arguments)[-1])


def _socket_acts(call: str, arguments: str) -> Iterator[Act]:
    if call in ("socket", "socketpair"):
        netlink = re.search(r"NETLINK_\w+", arguments)
        family = _FAMILY.search(arguments)
        yield Act("family", netlink[0] if netlink else family[0] if family else arguments)
        return
    for family in _FAMILY.findall(arguments):
        if family not in ("AF_UNIX", "AF_NETLINK"):
            yield Act("family", family)
    for abstract, address in _ADDRESS.findall(arguments):
        yield Act("address", f"{abstract}{address}")


@dataclass(frozen=True)
class Allowed:
    """Where a mirror may write, and whom it may speak to: patterns of whole targets."""

    written: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()

    def leaks(self, done: set[Act]) -> list[str]:
        """What is not allowed, in words."""
        lawful = {
            "write": self.written,
            "move": self.written,
            "share": self.shared,
            "address": self.addresses,
            # Hot-plugged devices are told of by the kernel, to whoever listens on this machine.
            "family": ("AF_UNIX", "NETLINK_KOBJECT_UEVENT"),
            "call": (),
        }
        return sorted(
            f"{act.kind} {act.target}"
            for act in done
            if not any(re.fullmatch(pattern, act.target) for pattern in lawful[act.kind])
        )


def run_traced(
    command: Sequence[object], folder: Path, environment: dict[str, str]
) -> tuple[subprocess.CompletedProcess[str], set[Act]]:
    """Run a short `command` to its end in `folder`, and give all that it did."""
    traces = folder / "traces"
    traces.mkdir()
    result = subprocess.run(
        traced(command, traces),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    return result, acts(traces, folder)
