"""`ytm-mirror ctl`: what it asks whom, what it keeps, and what it says when nobody answers."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mirror_process import COMMAND, error_line
from waiting import HANG_S
from ytm_device.control import client
from ytm_device.control.client import ask, ask_all
from ytm_device.control.command import CONCERNED
from ytm_device.control.server import MAX_CLIENTS, ControlServer, Handler
from ytm_device.options import SERVICES
from ytm_device.settings.source import SettingsSource

Ctl = Callable[..., subprocess.CompletedProcess[str]]
_NS_PER_S = 1_000_000_000


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    """Type `ytm-mirror ctl ARGUMENTS` where services meet in, and data are kept in, one folder."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        where = ["--run-dir", tmp_path, "--data", tmp_path]
        command = [*COMMAND, "ctl", *map(str, [*arguments, *where])]
        return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)

    return run


@contextmanager
def services(folder: Path, handlers: Mapping[str, Mapping[str, Handler]]) -> Iterator[None]:
    """Sockets of services that are looked at all the time, as theirs are."""
    leave = threading.Event()
    with ExitStack() as stack:
        servers = [
            stack.enter_context(ControlServer(folder / f"{name}.sock", verbs))
            for name, verbs in handlers.items()
        ]

        def serve() -> None:
            for turn in itertools.count():
                for server in servers:
                    server.poll(turn * _NS_PER_S // 1000)
                if leave.wait(0.001):
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            leave.set()
            thread.join(HANG_S)


class Stage:
    """Three services that note what they were told."""

    def __init__(self, folder: Path) -> None:
        self.told: list[tuple[str, str]] = []
        self._source = SettingsSource(folder / "none.toml", folder)

    def handlers(self, names: Sequence[str] = SERVICES) -> dict[str, dict[str, Handler]]:
        return {name: {verb: self._noting(name, verb) for verb in CONCERNED} for name in names}

    def _noting(self, name: str, verb: str) -> Handler:
        def handle() -> dict[str, object]:
            self.told.append((name, verb))
            if verb == "status":
                return {"mode": "replay", "problem": "no camera" if name == "reflect" else None}
            if verb == "reload":
                read, problem = self._source.read()
                return {"settings_problem": problem, "volume_db": read.sound.volume_db}
            return {}

        return handle


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    with services(tmp_path, made.handlers()):
        yield made


@pytest.mark.parametrize("verb", [verb for verb in CONCERNED if verb != "status"])
def test_a_verb_reaches_the_services_that_it_concerns(ctl: Ctl, stage: Stage, verb: str) -> None:
    result = ctl(verb)
    assert result.returncode == 0, result.stderr
    assert sorted(stage.told) == sorted((name, verb) for name in CONCERNED[verb])
    assert result.stderr.split("\n") == [*(f"{name}: done" for name in CONCERNED[verb]), ""]


def test_the_status_is_a_table_or_json(ctl: Ctl, stage: Stage) -> None:
    table = ctl("status")
    assert table.returncode == 0, table.stderr
    lines = [line for line in table.stdout.splitlines() if "ok" in line]
    assert [line.split()[1] for line in lines] == list(SERVICES)
    assert "no camera" in lines[0]
    assert "replay" in lines[1]
    answers = json.loads(ctl("status", "--json").stdout)
    assert answers["reflect"] == {"ok": True, "mode": "replay", "problem": "no camera"}
    assert set(answers) == set(SERVICES)


def test_who_is_not_there_is_named_and_the_others_are_told(ctl: Ctl, tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with services(tmp_path, stage.handlers(("sound",))):
        result = ctl("reload")
        answers = json.loads(ctl("status", "--json").stdout)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "reflect: is not running",
        "sound: done",
        "screen: is not running",
    ]
    assert answers["sound"]["ok"]
    assert answers["screen"] == {"ok": False, "error": "is not running", "running": False}


def test_a_setting_is_kept_before_the_services_read_it(ctl: Ctl, stage: Stage) -> None:
    result = ctl("set", "sound.volume_db", "-3", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["key"], report["value"]) == ("sound.volume_db", -3)
    assert [report[name]["volume_db"] for name in SERVICES] == [-3] * 3
    assert Path(report["file"]).read_text() == "[sound]\nvolume_db = -3\n"
    assert sorted(stage.told) == sorted((name, "reload") for name in SERVICES)
    report = json.loads(ctl("unset", "sound.volume_db", "--json").stdout)
    assert [report[name]["volume_db"] for name in SERVICES] == [0] * 3


def test_a_setting_is_kept_where_nobody_runs(ctl: Ctl, tmp_path: Path) -> None:
    result = ctl("set", "hours.open", "10:00-18:00")
    assert result.returncode == 0, result.stderr
    assert f'hours.open = "10:00-18:00", kept in {tmp_path}/mirror.toml' in result.stderr
    assert "sound: is not running" in result.stderr


def test_a_setting_that_cannot_be_is_refused_and_nobody_is_told(
    ctl: Ctl, stage: Stage, tmp_path: Path
) -> None:
    result = ctl("set", "sound.volume_db", "99")
    assert result.returncode == 2
    assert error_line(result.stderr) == "error: sound.volume_db 99: give dB from -60 to 12"
    assert not (tmp_path / "mirror.toml").exists()
    assert stage.told == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dance"], "dance: no such verb; give status, mute, unmute, replay, mirror, reload, set"),
        (["set"], "set: takes KEY and VALUE, as `ytm-mirror ctl set sound.volume_db -3`"),
        (["set", "sound.pcm"], "set: takes KEY and VALUE"),
        (["unset"], "unset: takes KEY, as `ytm-mirror ctl unset sound.volume_db`"),
        (["mute", "sound"], "mute: takes nothing more, as `ytm-mirror ctl mute`"),
        (["set", "sond.pcm", "a"], "sond.pcm: no such setting or table; there are bundle,"),
    ],
)
def test_what_was_typed_wrongly_is_named(ctl: Ctl, words: Sequence[str], message: str) -> None:
    result = ctl(*words)
    assert result.returncode == 2
    assert f"error: {message}" in error_line(result.stderr)


def test_without_a_data_folder_a_setting_is_refused(tmp_path: Path) -> None:
    command = [*COMMAND, "ctl", "set", "sound.pcm", "a", "--data", str(tmp_path / "none")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert result.returncode == 1
    assert "settings cannot be kept there (No such file or directory)" in error_line(result.stderr)


@pytest.mark.parametrize("kind", ["silent", "full"])
def test_a_service_that_hangs_holds_nobody_up(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "sound.sock"
    with ExitStack() as stack:
        hanging = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        hanging.bind(str(path))
        hanging.listen(MAX_CLIENTS)
        if kind == "full":
            for _ in range(MAX_CLIENTS + 1):
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                waiting.connect(str(path))
        begun_s = time.monotonic()
        answer = ask(tmp_path, "sound", "status")
        assert time.monotonic() - begun_s >= client.ANSWER_S * 0.99
    assert (answer.ok, answer.running) == (False, True)
    assert answer.error == "has not answered within 1 s"


@pytest.mark.parametrize(
    "said", [b"", b"\n", b"{", b"[]\n", b'{"ok": 1}\n', b"\xff\n", b"[" * 3000 + b"\n"]
)
def test_an_answer_that_cannot_be_read_is_no_answer(tmp_path: Path, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as odd:
        odd.bind(str(tmp_path / "sound.sock"))
        odd.listen()

        def answer_oddly() -> None:
            connection, _ = odd.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=answer_oddly)
        thread.start()
        answer = ask(tmp_path, "sound", "status")
        thread.join(HANG_S)
    assert (answer.ok, answer.running) == (False, True)
    assert answer.error.startswith("gave no answer that can be read")


def test_an_answer_without_end_is_read_no_further_than_a_status_may_be(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as endless:
        endless.bind(str(tmp_path / "sound.sock"))
        endless.listen()

        def babble() -> None:
            connection, _ = endless.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b"x" * 4096)
                except OSError:
                    return

        thread = threading.Thread(target=babble)
        thread.start()
        answer = ask(tmp_path, "sound", "status")
        thread.join(HANG_S)
        assert not thread.is_alive()
    assert not answer.ok


def test_a_socket_left_by_the_dead_is_nobody(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(tmp_path / "sound.sock"))
    answers = ask_all(tmp_path, SERVICES, "status")
    assert [answer.running for answer in answers.values()] == [False] * 3


def test_it_loads_nothing_that_can_hang() -> None:
    program = (
        "import sys; import ytm_device.mirror, ytm_device.control.command\n"
        "slow = {'gi', 'ytm_device.sound.alsa', 'pygame', 'onnxruntime', 'zmq', 'cv2'}\n"
        "print(*slow & set(sys.modules))"
    )
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True, timeout=HANG_S)
    assert loaded.split() == []
