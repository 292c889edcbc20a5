"""The socket of a service: it answers, it never waits, and nothing said to it costs much."""

from __future__ import annotations

import itertools
import json
import random
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from waiting import HANG_S, wait_for
from ytm_bundle.errors import DeviceError
from ytm_device.control.client import Answer, ask
from ytm_device.control.server import (
    CLIENT_S,
    LOOK_S,
    MAX_CLIENTS,
    MAX_REQUEST_BYTES,
    ControlServer,
)

NS_PER_S = 1_000_000_000
START_NS = 7 * NS_PER_S


def _handlers() -> dict[str, Any]:
    state = {"muted": False}

    def mute() -> dict[str, bool]:
        state["muted"] = True
        return dict(state)

    def fail() -> dict[str, bool]:
        raise DeviceError("the card: no sound; plug it in")

    return {"status": lambda: {"mode": "mirror", **state}, "mute": mute, "replay": fail}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sound.sock"


@pytest.fixture
def server(path: Path) -> Iterator[ControlServer]:
    with ControlServer(path, _handlers()) as made:
        assert made.problem is None
        yield made


@contextmanager
def connected(path: Path, said: bytes = b"") -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        # Without a bound: with one, Python would not wait for room in the kernel's queue.
        client.connect(str(path))
        client.settimeout(HANG_S)
        client.sendall(said)
        yield client


def answer_to(server: ControlServer, path: Path, said: bytes, *, end: bool = False) -> Any:
    """What it answers at its next two looks; None if it ends the connection without a word."""
    with connected(path, said) as client:
        if end:
            client.shutdown(socket.SHUT_WR)
        server.poll(START_NS)
        server.poll(START_NS)
        heard = client.recv(1 << 16)
        # What it had said beyond its line is thrown away, of which the kernel tells it.
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    if not heard:
        return None
    assert heard.endswith(b"\n")
    return json.loads(heard)


def test_a_line_is_answered_by_a_line(server: ControlServer, path: Path) -> None:
    asked = b'{"verb": "status"}\n'
    assert answer_to(server, path, asked) == {"ok": True, "mode": "mirror", "muted": False}
    assert answer_to(server, path, b'{"verb":"mute"}\n') == {"ok": True, "muted": True}
    assert answer_to(server, path, asked) == {"ok": True, "mode": "mirror", "muted": True}
    assert answer_to(server, path, b'{"verb":"replay"}\n') == {
        "ok": False,
        "error": "the card: no sound; plug it in",
    }


def test_who_ends_without_a_line_feed_is_answered_too(server: ControlServer, path: Path) -> None:
    assert answer_to(server, path, b'{"verb": "mute"}', end=True) == {"ok": True, "muted": True}
    assert answer_to(server, path, b"", end=True) is None


def test_a_request_may_come_in_pieces(server: ControlServer, path: Path) -> None:
    with connected(path) as client:
        for byte in b'{"verb": "mute"}':
            client.send(bytes([byte]))
            server.poll(START_NS)
        client.send(b"\n and what is after it does not matter")
        server.poll(START_NS)
        assert json.loads(client.recv(4096)) == {"ok": True, "muted": True}


@pytest.mark.parametrize(
    "said",
    [
        b"\n",
        b"{}\n",
        b'{"verb": "mute"\n',
        b'{"verb": 1}\n',
        b'{"verb": ["mute"]}\n',
        b'{"verb": null}\n',
        b'{"verb": "mute", "more": 1}\n',
        b'["verb"]\n',
        b'"mute"\n',
        b"mute\n",
        b"\xff\xfe\x00\n",
        b"[" * 4000 + b"\n",
        b'{"verb":' * 500 + b"\n",
        b"9" * 4000 + b"\n",
        b"NaN\n",
    ],
)
def test_what_is_no_request_is_refused(server: ControlServer, path: Path, said: bytes) -> None:
    refused = {"ok": False, "error": 'no request; send {"verb": "status"} and a line feed'}
    assert answer_to(server, path, said) == refused


@pytest.mark.parametrize("verb", ["dance", "", "MUTE", "__class__", "mute "])
def test_an_unknown_verb_is_named_with_those_there_are(
    server: ControlServer, path: Path, verb: str
) -> None:
    assert answer_to(server, path, json.dumps({"verb": verb}).encode() + b"\n") == {
        "ok": False,
        "error": f"{verb}: no such verb; there are status, mute, replay",
    }


def test_a_line_of_the_greatest_length_is_read_and_none_beyond(
    server: ControlServer, path: Path
) -> None:
    longest = b'{"verb": "mute"}'.ljust(MAX_REQUEST_BYTES)
    assert answer_to(server, path, longest + b"\n") == {"ok": True, "muted": True}
    too_long = {"ok": False, "error": "over 4096 bytes before the end of the line"}
    assert answer_to(server, path, longest + b" \n") == too_long


def test_a_megabyte_without_a_line_feed_is_refused_after_four_kilobytes(
    server: ControlServer, path: Path
) -> None:
    with connected(path) as client:
        flood = threading.Thread(target=_send, args=(client, b"x" * (1 << 20)))
        flood.start()
        wait_for(lambda: not flood.is_alive(), lambda: server.poll(START_NS))
        assert b"over 4096 bytes" in client.recv(4096)
        flood.join()


def _send(client: socket.socket, content: bytes) -> None:
    try:
        client.sendall(content)
    except OSError:
        # The server has ended the connection, as it should.
        return


def test_who_says_nothing_or_too_slowly_is_dropped_by_the_clock_given(
    server: ControlServer, path: Path
) -> None:
    with connected(path) as silent, connected(path) as slow:
        late_ns = START_NS + round(CLIENT_S * NS_PER_S)
        server.poll(START_NS)
        for at_ns in range(START_NS, late_ns, NS_PER_S // 10):
            slow.send(b" ")
            server.poll(at_ns)
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.recv(1)
        silent.setblocking(True)
        server.poll(late_ns)
        assert silent.recv(1) == b""
        with pytest.raises(ConnectionError):
            # It had said something that nobody read.
            slow.send(b"\n")


def test_no_more_are_let_in_than_it_has_room_for_and_the_others_wait(
    server: ControlServer, path: Path
) -> None:
    descriptors = _descriptors()
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(path)) for _ in range(MAX_CLIENTS)]
        server.poll(START_NS)
        asking = stack.enter_context(connected(path, b'{"verb": "mute"}\n'))
        server.poll(START_NS + 1)
        assert _descriptors() - descriptors == len(silent) + 1 + MAX_CLIENTS
        asking.setblocking(False)
        with pytest.raises(BlockingIOError):
            asking.recv(1)
        asking.settimeout(HANG_S)
        late_ns = START_NS + round(CLIENT_S * NS_PER_S)
        server.poll(late_ns)
        server.poll(late_ns + 1)
        assert json.loads(asking.recv(4096))["ok"]
    assert _descriptors() == descriptors


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_one_look_answers_one_request(server: ControlServer, path: Path) -> None:
    with ExitStack() as stack:
        asking = [
            stack.enter_context(connected(path, b'{"verb": "mute"}\n')) for _ in range(MAX_CLIENTS)
        ]
        for client in asking:
            client.setblocking(False)
        for answered in range(1, MAX_CLIENTS + 1):
            server.poll(START_NS)
            assert sum(_has_heard(client) for client in asking) == answered


def _has_heard(client: socket.socket) -> bool:
    try:
        return bool(client.recv(4096, socket.MSG_PEEK))
    except BlockingIOError:
        return False


def test_who_leaves_before_the_answer_harms_nobody(server: ControlServer, path: Path) -> None:
    for _ in range(50):
        with connected(path, b'{"verb": "mute"}\n'):
            pass
        server.poll(START_NS)
    assert answer_to(server, path, b'{"verb": "mute"}\n') == {"ok": True, "muted": True}


def test_five_hundred_connections_of_nonsense_leave_nothing_behind(
    server: ControlServer, path: Path
) -> None:
    descriptors, before_kib = _descriptors(), _memory_kib()
    generator = random.Random(7)
    now_ns = START_NS

    def flood() -> None:
        for _ in range(500):
            with connected(path) as client:
                _send(client, generator.randbytes(generator.randrange(9000)))

    thread = threading.Thread(target=flood)
    thread.start()

    def turn() -> None:
        nonlocal now_ns
        now_ns += NS_PER_S // 100
        server.poll(now_ns)

    wait_for(lambda: _polled_until(thread, turn))
    for _ in range(500):
        turn()
    assert _descriptors() == descriptors
    assert _memory_kib() - before_kib < 20_000
    assert answer_to(server, path, b'{"verb": "mute"}\n') == {"ok": True, "muted": True}


def _polled_until(thread: threading.Thread, turn: Any) -> bool:
    for _ in range(1000):
        turn()
    return not thread.is_alive()


def _memory_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def test_the_socket_is_for_owner_and_group_alone_and_goes_with_the_service(
    server: ControlServer, path: Path
) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    server.close()
    server.close()
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("left", ["socket", "file"])
def test_what_the_dead_have_left_is_replaced(path: Path, left: str) -> None:
    if left == "file":
        path.touch()
    else:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(path))
    with ControlServer(path, _handlers()) as server:
        assert answer_to(server, path, b'{"verb": "mute"}\n') == {"ok": True, "muted": True}


def test_the_socket_of_a_successor_is_left_alone(server: ControlServer, path: Path) -> None:
    with ControlServer(path, _handlers()) as successor:
        server.poll(START_NS)
        server.close()
        assert answer_to(successor, path, b'{"verb": "mute"}\n')["ok"]


@pytest.mark.parametrize("why", ["no folder", "a folder in its place", "a name too long"])
def test_a_socket_that_cannot_be_made_is_a_problem_that_may_end(tmp_path: Path, why: str) -> None:
    path = tmp_path / "run" / "sound.sock"
    if why == "a name too long":
        path = tmp_path / "run" / ("x" * 200)
    if why == "a folder in its place":
        path.mkdir(parents=True)
    descriptors = _descriptors()
    with ControlServer(path, _handlers()) as server:
        assert str(server.problem).startswith(f"{path}: cannot listen there (")
        server.poll(START_NS)
        assert server.problem is not None
        assert _descriptors() == descriptors
        if why == "a name too long":
            return
        path.rmdir() if path.exists() else path.parent.mkdir()
        server.poll(START_NS + round(LOOK_S * NS_PER_S))
        assert server.problem is None
        assert answer_to(server, path, b'{"verb": "mute"}\n') == {"ok": True, "muted": True}
        assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_socket_that_has_vanished_is_made_again(server: ControlServer, path: Path) -> None:
    path.unlink()
    server.poll(START_NS)
    assert answer_to(server, path, b'{"verb": "mute"}\n') == {"ok": True, "muted": True}


def test_a_full_run_folder_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "nr_inodes=2", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, timeout=HANG_S).returncode:
        pytest.skip("may not mount a file system here")
    try:
        (folder / "full").touch()
        with ControlServer(folder / "sound.sock", _handlers()) as server:
            assert "No space left on device" in str(server.problem)
            (folder / "full").unlink()
            server.poll(START_NS)
            assert server.problem is None
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=HANG_S)


@contextmanager
def running(work: Callable[[], object]) -> Iterator[None]:
    """`work` is done over and over in another thread."""
    leave = threading.Event()

    def repeat() -> None:
        while not leave.is_set():
            work()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        leave.set()
        thread.join(HANG_S)
        assert not thread.is_alive()


def test_our_own_client_is_answered_while_others_flood(server: ControlServer, path: Path) -> None:
    turns = itertools.count()

    def serve() -> None:
        server.poll(START_NS + next(turns) * NS_PER_S // 100)
        time.sleep(0.001)

    def flood() -> None:
        with connected(path) as client:
            _send(client, b"x" * 5000)

    with running(serve), running(flood), running(flood):
        answer = wait_for(lambda: _answered(ask(path.parent, "sound", "mute")))
    assert answer.fields == {"muted": True}


def _answered(answer: Answer) -> Answer | None:
    return answer if answer.ok else None
