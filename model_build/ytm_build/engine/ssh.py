"""A board at the other end of ssh: the system's own, which lets nobody in but by a key."""

from __future__ import annotations

import re
import shlex
import subprocess
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from ytm_build.engine.show import printable
from ytm_build.engine.wire import Pipe
from ytm_bundle.errors import EngineError, UsageError
from ytm_device.owner import Owner

PATIENCE_S = 120.0
"""The board says that it is alive every second while it builds."""
_END_WITHIN_S = 3.0
_KEPT_LINES = 5
_LONGEST_LINE = 2000
_WHERE = "/opt/ytm/venv/bin"
"""Where an image has the project's commands."""
_ADDRESS = re.compile(r"[^\s-]\S*")
_OPTION = re.compile(r"[A-Za-z]+=.*")
_NO_PASSWORDS = ("BatchMode=yes", "PasswordAuthentication=no", "KbdInteractiveAuthentication=no")
_DEFAULTS = ("ConnectTimeout=20", "ServerAliveInterval=15", "ServerAliveCountMax=4")


@dataclass(frozen=True)
class Board:
    """Which board, and how to get there. Fails when it is made if that cannot work."""

    address: str
    """As ssh takes it, such as `root@mirror.local`."""
    options: tuple[str, ...] = ()
    """Of ssh, as in its configuration: `NAME=VALUE`."""
    data: str | None = None
    """What lasts there; None: as an image has it."""
    command: str | None = None
    """`ytm-build-engine` there; None: where an image or the search path has it."""

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address):
            raise UsageError(f"--on {self.address!r}: give USER@BOARD, as for ssh")
        for option in self.options:
            if not _OPTION.fullmatch(option):
                raise UsageError(f"--ssh-option {option!r}: give NAME=VALUE, such as Port=2222")

    @property
    def words(self) -> list[str]:
        """The command line of ssh; of an option that is given twice, ssh takes the first."""
        options = (*_NO_PASSWORDS, *self.options, *_DEFAULTS)
        given = [word for option in options for word in ("-o", option)]
        return ["ssh", "-T", *given, "--", self.address, self._there()]

    def _there(self) -> str:
        """What the board's shell is to do, whichever shell it is."""
        into = [] if self.data is None else ["--into", self.data]
        command = shlex.join([self.command or "ytm-build-engine", "--answer", *into])
        return shlex.join(["sh", "-c", f'PATH="$PATH:{_WHERE}"; exec {command}'])


class Connection(Owner):
    """A conversation with a board."""

    def __init__(self, board: Board) -> None:
        """Begin it.

        Raises:
            EngineError: there is no ssh.
        """
        try:
            self._ssh = subprocess.Popen(
                board.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except FileNotFoundError as error:
            raise EngineError("ssh: is not installed; install openssh-client") from error
        assert self._ssh.stdin is not None
        assert self._ssh.stdout is not None
        assert self._ssh.stderr is not None
        self._said: deque[bytes] = deque(maxlen=_KEPT_LINES)
        self._listener = threading.Thread(target=self._listen, args=[self._ssh.stderr], daemon=True)
        self._listener.start()
        self.pipe = Pipe(self._ssh.stdout.fileno(), self._ssh.stdin.fileno(), PATIENCE_S)

    def close(self) -> None:
        """End it; the board does not go on by itself."""
        self._end()
        for stream in (self._ssh.stdin, self._ssh.stdout, self._ssh.stderr):
            assert stream is not None
            with suppress(OSError):
                stream.close()

    def last_words(self) -> str:
        """What ssh and the board said beside the conversation, which is over."""
        self._end()
        lines = [printable(line.decode(errors="replace")) for line in self._said]
        return "; ".join(line for line in lines if line)

    def _end(self) -> None:
        assert self._ssh.stdin is not None
        with suppress(OSError):
            self._ssh.stdin.close()
        try:
            self._ssh.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._ssh.kill()
            self._ssh.wait()
        self._listener.join(_END_WITHIN_S)

    def _listen(self, stream: IO[bytes]) -> None:
        while line := stream.readline(_LONGEST_LINE):
            self._said.append(line)
