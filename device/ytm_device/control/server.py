"""What a service hears from people: requests over a Unix socket, a line of JSON each, and answers.

A client sends `{"verb": "mute"}` and a line feed, is answered `{"ok": true, ...}` or
`{"ok": false, "error": "..."}` and a line feed, and the connection ends.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ytm_bundle.errors import YtmError
from ytm_device.owner import Owner

Handler = Callable[[], Mapping[str, Any]]
"""Does what its verb says, at once, and gives what is to be answered; may raise YtmError."""

MAX_CLIENTS = 8
"""Connected at once; others wait in the kernel's queue, which holds as many."""
MAX_REQUEST_BYTES = 4 << 10
CLIENT_S = 2.0
"""How long a client may take to ask."""
LOOK_S = 5.0
"""How often a socket that could not be made, or has vanished, is made again."""
_MODE = 0o660
_NS_PER_S = 1_000_000_000


@dataclass
class _Client:
    """Somebody who has connected and not yet asked."""

    connection: socket.socket
    leave_ns: int
    """CLOCK_MONOTONIC: when it has waited long enough."""
    said: bytes = b""
    ended: bool = False
    """It says nothing more."""

    def listen(self) -> None:
        """Take what it has said since, up to one byte more than a request may have."""
        if self.request() is not None:
            return
        try:
            heard = self.connection.recv(MAX_REQUEST_BYTES + 1 - len(self.said))
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        self.said += heard
        self.ended = not heard

    def request(self) -> bytes | None:
        """What it asks, once that is complete or too long."""
        line, end, _ = self.said.partition(b"\n")
        complete = end or len(self.said) > MAX_REQUEST_BYTES or (self.ended and self.said)
        return line if complete else None

    def answer(self, answer: Mapping[str, Any]) -> None:
        """Tell it, if it is still there."""
        with suppress(OSError):
            self.connection.send(json.dumps(answer).encode() + b"\n")


class ControlServer(Owner):
    """Listens at one path. Nothing of it waits, and each `poll` does little.

    It costs at most `MAX_CLIENTS` connections and as many requests of `MAX_REQUEST_BYTES`.
    """

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        """Listen at `path`; a socket that the dead have left there is replaced.

        Args:
            path: of the socket, in a folder that is there.
            handlers: verb -> what it does.
        """
        self.problem: str | None = None
        """Why nobody can ask; None if they can."""
        self._path, self._handlers = path, handlers
        self._listener: socket.socket | None = None
        self._clients: list[_Client] = []
        self._look_ns = 0
        self._look()

    def poll(self, now_ns: int) -> None:
        """Let in who came, hear what they say, answer one of them; on CLOCK_MONOTONIC."""
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + round(LOOK_S * _NS_PER_S)
            self._look()
        self._let_in(now_ns)
        answered = False
        for client in tuple(self._clients):
            client.listen()
            request = client.request()
            if request is not None and not answered:
                client.answer(self._answer(request))
                answered = True
                self._drop(client)
            elif (request is None and client.ended) or now_ns >= client.leave_ns:
                self._drop(client)

    def close(self) -> None:
        """Listen no more, and take the socket away unless another service has put its own there."""
        for client in tuple(self._clients):
            self._drop(client)
        if self._listener is None:
            return
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        self._listener.close()
        self._listener = None

    def _look(self) -> None:
        """Make the socket unless there is one."""
        if self._listener is not None:
            if self._path.exists():
                return
            self._listener.close()
            self._listener = None
        try:
            self._listen()
        except OSError as error:
            self.problem = (
                f"{self._path}: cannot listen there ({error.strerror or error}); nobody can ask or"
                " tell this service anything"
            )
        else:
            self.problem = None

    def _listen(self) -> None:
        # Made beside it and renamed: clients find the old socket, or one that can be used.
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with ExitStack() as undo:
            listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            listener.setblocking(False)
            temporary.unlink(missing_ok=True)
            listener.bind(str(temporary))
            undo.callback(temporary.unlink, missing_ok=True)
            temporary.chmod(_MODE)
            listener.listen(MAX_CLIENTS)
            self._inode = temporary.stat().st_ino
            temporary.replace(self._path)
            undo.pop_all()
        self._listener = listener

    def _let_in(self, now_ns: int) -> None:
        while self._listener is not None and len(self._clients) < MAX_CLIENTS:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                # Nobody waits, or there are no descriptors left for who does.
                return
            connection.setblocking(False)
            leave_ns = now_ns + round(CLIENT_S * _NS_PER_S)
            self._clients.append(_Client(connection, leave_ns))

    def _drop(self, client: _Client) -> None:
        client.connection.close()
        self._clients.remove(client)

    def _answer(self, request: bytes) -> Mapping[str, Any]:
        try:
            handler = self._handlers[_verb(request)]
        except KeyError as error:
            known = ", ".join(self._handlers)
            return _refusal(f"{error.args[0]}: no such verb; there are {known}")
        except ValueError as error:
            return _refusal(str(error))
        try:
            return {"ok": True, **handler()}
        except YtmError as error:
            return _refusal(str(error))


def _refusal(error: str) -> Mapping[str, Any]:
    return {"ok": False, "error": error}


def _verb(request: bytes) -> str:
    """The verb of a request.

    Raises:
        ValueError: it is no request.
    """
    if len(request) > MAX_REQUEST_BYTES:
        raise ValueError(f"over {MAX_REQUEST_BYTES} bytes before the end of the line")
    try:
        asked = json.loads(request)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict) or set(asked) != {"verb"} or not isinstance(asked["verb"], str):
        raise ValueError('no request; send {"verb": "status"} and a line feed')
    return asked["verb"]
