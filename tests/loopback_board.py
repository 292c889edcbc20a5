"""A board at the other end of a real sshd, on this machine: own port, own keys, no passwords."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from waiting import wait_for
from ytm_build.engine.ssh import Board

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
BIN = Path(sys.executable).parent
HOLDING = """#!{python}
# ytm-build-engine, whose builder waits before a graph while a file is there.
import time
from pathlib import Path
from ytm_build.command import main
from ytm_build.engine.onnx import OnnxBuilder
hold, real = Path({hold!r}), OnnxBuilder.build
def build(self, graph, cache):
    while hold.exists() and hold.read_text() == graph.stem:
        time.sleep(0.02)
    return real(self, graph, cache)
OnnxBuilder.build = build
main()
"""
PROXY = """
# Between ssh and a port: passes so many bytes on, then marks a file and passes nothing on.
import os, select, socket, sys
from pathlib import Path
port, most, mark = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
there = socket.create_connection(("127.0.0.1", port))
passed = 0
while True:
    wanted = [there] if passed >= most else [there, 0]
    for ready in select.select(wanted, [], [])[0]:
        data = there.recv(65536) if ready is there else os.read(0, 16384)
        if not data:
            sys.exit()
        if ready is there:
            os.write(1, data)
        else:
            there.sendall(data)
            passed += len(data)
            if passed >= most:
                mark.touch()
"""


@dataclass(frozen=True)
class LoopbackBoard:
    """What stands for a board."""

    folder: Path
    port: int
    sshd: int
    """Process id."""

    @property
    def data(self) -> Path:
        """What lasts there."""
        return self.folder / "data"

    @property
    def hold(self) -> Path:
        """While this names a graph, the board does not build it."""
        return self.folder / "hold"

    def board(self, command: Path | None = None, *options: str, key: str = "user") -> Board:
        """How to get there."""
        return Board(
            "root@127.0.0.1" if os.geteuid() == 0 else "127.0.0.1",
            (
                *options,
                f"Port={self.port}",
                f"IdentityFile={self.folder / key}",
                "IdentitiesOnly=yes",
                f"UserKnownHostsFile={self.folder / 'known_hosts'}",
                "GlobalKnownHostsFile=none",
                "LogLevel=ERROR",
            ),
            str(self.data),
            str(command or BIN / "ytm-build-engine"),
        )

    def holding(self) -> Path:
        """The command of a board that `hold` can hold."""
        return self.script("holding", HOLDING.format(python=sys.executable, hold=str(self.hold)))

    def script(self, name: str, text: str) -> Path:
        """A program on the board."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def stopping_after(self, most: int, mark: Path) -> str:
        """An option of ssh: pass `most` bytes to the board, then touch `mark` and hang."""
        proxy = self.script("proxy.py", PROXY)
        return f"ProxyCommand={sys.executable} {proxy} {self.port} {most} {mark}"

    def commands(self) -> list[int]:
        """Processes of `ytm-build-engine` on the board."""
        return [pid for pid, words in _processes() if "--answer" in words and self._mine(words)]

    def cut(self) -> None:
        """Kill every session of sshd, as if the cable were pulled."""
        sessions = _children(self.sshd)
        assert sessions
        for session in sessions:
            for pid in (*_children(session, "sshd"), session):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _mine(self, words: str) -> bool:
        return str(self.data) in words and "ssh" not in words.split("\0")[0]


@contextmanager
def loopback_board(folder: Path) -> Iterator[LoopbackBoard]:
    """Start sshd in `folder`."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("needs openssh-server and openssh-client")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "user", "stranger"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(keygen, check=True)
    (folder / "data").mkdir()
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    port = _free_port()
    host_key = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\n"
        "PermitRootLogin prohibit-password\n"
    )
    with (folder / "sshd.log").open("wb") as log:
        words = [SSHD, "-D", "-e", "-f", str(config)]
        with subprocess.Popen(words, stdout=log, stderr=log) as process:
            try:
                wait_for(lambda: _answers(port))
                yield LoopbackBoard(folder, port, process.pid)
            finally:
                for session in _children(process.pid):
                    with suppress(ProcessLookupError):
                        os.kill(session, signal.SIGKILL)
                process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _processes() -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield int(path.name), (path / "cmdline").read_text(errors="replace")


def _children(parent: int, name: str = "") -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            stat = (path / "stat").read_text()
            command = stat[stat.index("(") + 1 : stat.rindex(")")]
            if int(stat.rpartition(")")[2].split()[1]) == parent and name in command:
                found.append(int(path.name))
    return found
