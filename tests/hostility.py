"""Who speaks where they should not: at the address of the reflections, and at the sockets."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import zmq

from waiting import HANG_S
from ytm_bundle.bundle import Bundle
from ytm_device.bus import wire
from ytm_device.frame import Reflection
from ytm_device.run_dirs import endpoint

FLOODERS = 4
"""Clients of each socket, at once."""
NONSENSE = (b"\xff" * 200 + b"\n", b"[" * 4000 + b"\n", b'{"verb": "' + b"x" * (1 << 20), b"{}\n")
SILENT_EVERY = 5
"""One client in so many connects, says nothing, and stays."""
MOST_SILENT = 1000
SEED = 3
KINDS = (
    "random bytes",
    "truncated",
    "too long",
    "oversized",
    "of another bundle",
    "of another version",
    "not a number",
    "of other sizes",
    "from the future",
    "from the past",
    "flipped bits",
)


def reflection(bundle: Bundle, **changes: object) -> Reflection:
    """A good one, but for `changes`."""
    replay = bundle.replay()
    good = Reflection(
        image=np.array(replay.images[0]),
        mel=np.array(replay.mels[0], np.float32),
        presence=True,
        presence_since_ns=1,
        taken_ns=time.monotonic_ns(),
        sequence=0,
        bundle_id=bundle.id,
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def patched(message: bytes, offset: int, value: bytes) -> bytes:
    return message[:offset] + value + message[offset + len(value) :]


def bad_messages(bundle: Bundle, kind: str) -> Iterator[bytes]:
    """Messages of one kind, for ever."""
    chance = np.random.default_rng(SEED)
    while True:
        good = wire.encode(reflection(bundle))
        if kind == "random bytes":
            yield chance.bytes(int(chance.integers(0, 20_000)))
        elif kind == "truncated":
            yield good[: int(chance.integers(0, len(good)))]
        elif kind == "too long":
            yield good + bytes(int(chance.integers(1, 1000)))
        elif kind == "oversized":
            yield bytes(wire.MAX_MESSAGE_BYTES + 1)
        elif kind == "of another bundle":
            yield wire.encode(reflection(bundle, bundle_id="ab" * wire.ID_BYTES))
        elif kind == "of another version":
            yield patched(good, len(wire.MAGIC), bytes([wire.VERSION + 1]))
        elif kind == "not a number":
            yield patched(good, wire.HEADER_BYTES, struct.pack("<f", np.nan))
        elif kind == "of other sizes":
            yield wire.encode(
                reflection(bundle, image=np.zeros((5, 7, 3), np.uint8), mel=np.zeros((3, 4), "<f4"))
            )
        elif kind == "from the future":
            yield wire.encode(reflection(bundle, taken_ns=time.monotonic_ns() + 10**15))
        elif kind == "from the past":
            yield wire.encode(reflection(bundle, taken_ns=-(2**62), presence_since_ns=-(2**62)))
        else:
            assert kind == "flipped bits"
            at = int(chance.integers(0, wire.HEADER_BYTES))
            yield patched(good, at, chance.bytes(1))


@contextmanager
def speaking(run_dir: Path) -> Iterator[zmq.Socket[bytes]]:
    """A publisher that may say anything."""
    context = zmq.Context()
    publisher = context.socket(zmq.PUB)
    publisher.setsockopt(zmq.LINGER, 0)
    publisher.bind(endpoint(run_dir))
    try:
        yield publisher
    finally:
        context.destroy(linger=0)


def flood(path: Path, leave: threading.Event) -> None:
    """Ask nonsense, too much, or nothing, as fast as a service lets in."""
    turn = 0
    with ExitStack() as silent:
        while not leave.is_set():
            turn += 1
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(0.05)
            with suppress(OSError):
                connection.connect(str(path))
                if turn % SILENT_EVERY:
                    connection.sendall(NONSENSE[turn % len(NONSENSE)])
            if turn % SILENT_EVERY:
                connection.close()
            else:
                silent.callback(connection.close)
            if turn % MOST_SILENT == 0:
                silent.close()


@contextmanager
def flooding(sockets: Sequence[Path]) -> Iterator[None]:
    """Clients without manners at these sockets."""
    leave = threading.Event()
    threads = [
        threading.Thread(target=flood, args=(path, leave))
        for path in sockets
        for _ in range(FLOODERS)
    ]
    with ExitStack() as stack:
        for thread in threads:
            stack.callback(thread.join, HANG_S)
            thread.start()
        stack.callback(leave.set)
        yield
