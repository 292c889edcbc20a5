"""Asking the services that run: each at its socket, side by side, for at most a second."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ytm_device.status import MAX_STATUS_BYTES

ANSWER_S = 1.0
"""How long a service may take to answer."""
_RETRY_S = 0.01


@dataclass(frozen=True)
class Answer:
    """What came back from one service."""

    ok: bool
    error: str = ""
    """Why not."""
    running: bool = True
    """Somebody was there to be asked."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else was answered."""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        failure = {} if self.ok else {"error": self.error, "running": self.running}
        return {"ok": self.ok, **failure, **self.fields}


def ask_all(run_dir: Path, services: Sequence[str], verb: str) -> dict[str, Answer]:
    """Service -> what it answered; those in `run_dir` are asked side by side."""
    with ThreadPoolExecutor(len(services)) as pool:
        answers = pool.map(lambda service: ask(run_dir, service, verb), services)
        return dict(zip(services, answers, strict=True))


def ask(run_dir: Path, service: str, verb: str) -> Answer:
    """Ask one service; waits at most `ANSWER_S`."""
    path = run_dir / f"{service}.sock"
    try:
        line = _exchange(path, json.dumps({"verb": verb}).encode() + b"\n")
    except (FileNotFoundError, ConnectionRefusedError):
        return Answer(False, "is not running", running=False)
    except PermissionError:
        return Answer(False, f"{path}: not for you; be root, or in the group that owns it")
    except TimeoutError:
        return Answer(False, f"has not answered within {ANSWER_S:g} s")
    except OSError as error:
        return Answer(False, f"{path}: cannot be asked ({error.strerror or error})")
    return _understood(line)


def _exchange(path: Path, request: bytes) -> bytes:
    """Send and receive a line each.

    Raises:
        OSError: as the socket says; TimeoutError if all took too long.
    """
    deadline_s = time.monotonic() + ANSWER_S
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        _connect(connection, path, deadline_s)
        connection.settimeout(_left_s(deadline_s))
        connection.sendall(request)
        heard = b""
        while b"\n" not in heard and len(heard) <= MAX_STATUS_BYTES:
            connection.settimeout(_left_s(deadline_s))
            more = connection.recv(MAX_STATUS_BYTES)
            if not more:
                break
            heard += more
    return heard.partition(b"\n")[0]


def _connect(connection: socket.socket, path: Path, deadline_s: float) -> None:
    connection.setblocking(False)
    while True:
        try:
            return connection.connect(str(path))
        except BlockingIOError:
            # Others wait to be let in, as many as the kernel lets queue.
            time.sleep(min(_RETRY_S, _left_s(deadline_s)))


def _left_s(deadline_s: float) -> float:
    """Seconds until `deadline_s`.

    Raises:
        TimeoutError: it has passed.
    """
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _understood(line: bytes) -> Answer:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        return Answer(False, "gave no answer that can be read; is it of the same version?")
    fields = {name: value for name, value in answer.items() if name not in ("ok", "error")}
    return Answer(answer["ok"], str(answer.get("error", "")), fields=fields)
