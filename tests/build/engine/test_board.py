"""Engines are built on a board over SSH, and whatever is cut, the same call goes on.

The board is a real sshd on the loopback, where ONNX Runtime stands in for the GPU.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loopback_board import LoopbackBoard, loopback_board
from waiting import wait_for
from ytm_build.engine import ssh
from ytm_build.engine.board import build_there
from ytm_build.engine.build import Outcome, build_engines
from ytm_build.engine.choice import Backend
from ytm_build.engine.events import Done, Event, Said
from ytm_build.engine.onnx import OnnxBuilder
from ytm_build.engine.partial import Arriving
from ytm_build.engine.show import BuildDisplay
from ytm_build.engine.ssh import Board
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.engines import find_engines
from ytm_bundle.errors import BundleError, EngineError, UsageError
from ytm_bundle.manifest import GRAPH_NAMES
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.engines.platform import onnx_key

HELD = GRAPH_NAMES[3]


@dataclass
class Display:
    """What the terminal would show."""

    told: list[Event] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    """Bytes to be sent, for each run in which there were any."""
    fetched: list[int] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        self.told.append(event)

    def moved(self, what: str, done: int, total: int) -> None:
        (self.sent if what.startswith("sending") else self.fetched).append(total - done)

    def kept(self) -> list[str]:
        return [each.report.name for each in self.told if isinstance(each, Done) and each.kept]


@pytest.fixture(scope="module")
def one_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackBoard]:
    with loopback_board(tmp_path_factory.mktemp("board")) as board:
        yield board


@pytest.fixture
def board(one_board: LoopbackBoard) -> LoopbackBoard:
    """With nothing on it."""
    wait_for(lambda: not one_board.commands())
    shutil.rmtree(one_board.data)
    one_board.data.mkdir()
    one_board.hold.unlink(missing_ok=True)
    return one_board


def there(
    bundle: Bundle, board: Board, place: Path, *, force: bool = False
) -> tuple[Outcome, Display]:
    display = Display()
    outcome = build_there(bundle, board, place, display, Backend.onnxruntime, force)
    return outcome, display


def begin(bundle: Bundle, board: Board, place: Path, *, force: bool = False) -> Future[object]:
    """The same beside what goes on here."""
    executor = ThreadPoolExecutor(1)
    future: Future[object] = executor.submit(lambda: there(bundle, board, place, force=force))
    executor.shutdown(wait=False)
    return future


def bytes_of(bundle: Bundle) -> int:
    return sum(path.stat().st_size for path in bundle.folder.rglob("*") if path.is_file())


def test_engines_are_built_there_and_brought_here(
    tiny_bundle: Bundle, board: LoopbackBoard, tmp_path: Path
) -> None:
    outcome, display = there(tiny_bundle, board.board(), tmp_path / "engines")
    key = onnx_key(tiny_bundle)
    assert outcome.built
    assert outcome.engines == find_engines([tmp_path / "engines"], key)
    on_board = find_engines([board.data / "engines"], key)
    assert on_board is not None
    assert on_board.id == outcome.engines.id
    done = [event.report.name for event in display.told if isinstance(event, Done)]
    assert done == list(GRAPH_NAMES)
    assert display.sent[-1] == display.fetched[-1] == 0
    # Nothing of the bundle stays there, and nothing half here.
    assert [path.name for path in board.data.iterdir()] == ["engines"]
    assert [path.name for path in (tmp_path / "engines").iterdir()] == [key.folder]


def test_what_is_there_is_neither_sent_nor_built_again(
    tiny_bundle: Bundle, board: LoopbackBoard, tmp_path: Path
) -> None:
    there(tiny_bundle, board.board(), tmp_path / "first")
    again, display = there(tiny_bundle, board.board(), tmp_path / "first")
    assert (again.built, display) == (False, Display())
    elsewhere, display = there(tiny_bundle, board.board(), tmp_path / "second")
    assert (elsewhere.built, display.sent, display.told) == (True, [], [])
    assert find_engines([tmp_path / "second"], onnx_key(tiny_bundle)) == elsewhere.engines


def test_a_bundle_that_the_board_plays_is_not_sent(
    tiny_bundle: Bundle, board: LoopbackBoard, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle.folder, board.data / "bundle")
    outcome, display = there(tiny_bundle, board.board(), tmp_path)
    assert (outcome.built, display.sent) == (True, [])
    with open_bundle(DEMO_BUNDLE) as demo:
        assert there(demo, board.board(), tmp_path)[1].sent == []


def test_damaged_engines_on_the_board_are_named_and_built_again(
    tiny_bundle: Bundle, board: LoopbackBoard, tmp_path: Path
) -> None:
    folder = there(tiny_bundle, board.board(), tmp_path / "first")[0].engines.folder.name
    damaged = board.data / "engines" / folder / "sound_decoder.engine"
    damaged.write_bytes(b"x")
    _, display = there(tiny_bundle, board.board(), tmp_path / "second")
    said = [event.text for event in display.told if isinstance(event, Said)]
    assert said
    assert all(str(damaged) in text for text in said)
    assert find_engines([board.data / "engines"], onnx_key(tiny_bundle)) is not None


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_a_connection_cut_while_sending_goes_on_from_that_byte(
    tiny_bundle: Bundle, board: LoopbackBoard, tmp_path: Path, share: float
) -> None:
    mark = tmp_path / "mark"
    all_bytes = bytes_of(tiny_bundle)
    option = board.stopping_after(round(share * all_bytes) + 20_000, mark)
    run = begin(tiny_bundle, board.board(None, option), tmp_path / "engines")
    wait_for(lambda: mark.exists() or run.done())
    assert not run.done()
    board.cut()
    with pytest.raises(EngineError, match="the same command goes on"):
        run.result()
    wait_for(lambda: not board.commands())
    (incoming,) = (board.data / "incoming").iterdir()
    there_already = sum(path.stat().st_size for path in incoming.rglob("*") if path.is_file())
    assert there_already > share * all_bytes / 2
    outcome, display = there(tiny_bundle, board.board(), tmp_path / "engines")
    assert outcome.built
    # The first piece that is shown was already sent.
    assert max(display.sent) < all_bytes - there_already
    assert find_engines([tmp_path / "engines"], onnx_key(tiny_bundle)) == outcome.engines


def test_a_connection_cut_while_building_goes_on_with_the_graph_that_is_not_finished(
    tiny_bundle: Bundle, board: LoopbackBoard, tmp_path: Path
) -> None:
    key, command = onnx_key(tiny_bundle), board.holding()
    good, _ = there(tiny_bundle, board.board(), tmp_path / "before")
    board.hold.write_text(HELD)
    run = begin(tiny_bundle, board.board(command), tmp_path / "engines", force=True)
    notes = f".unfinished-*/{GRAPH_NAMES[2]}.json"
    wait_for(lambda: list((board.data / "engines").glob(notes)))
    board.cut()
    with pytest.raises(EngineError, match="the same command goes on"):
        run.result()
    # It does not go on building for nobody.
    wait_for(lambda: not board.commands())
    on_board = find_engines([board.data / "engines"], key)
    assert on_board is not None
    assert on_board.id == good.engines.id
    board.hold.unlink()
    # Without those that stand there, what was finished is what is gone on from.
    shutil.rmtree(on_board.folder)
    outcome, display = there(tiny_bundle, board.board(command), tmp_path / "engines")
    assert display.kept() == list(GRAPH_NAMES[:3])
    assert find_engines([tmp_path / "engines"], key) == outcome.engines


def test_a_workstation_killed_while_fetching_goes_on_from_that_byte(
    tiny_bundle: Bundle, board: LoopbackBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "engines"
    build_engines(tiny_bundle, OnnxBuilder(), [board.data / "engines"], bool)
    dying = Display()

    def die(what: str, done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(dying, "moved", die)
    with pytest.raises(KeyboardInterrupt):
        build_there(tiny_bundle, board.board(), place, dying, Backend.onnxruntime, False)
    assert find_engines([place], onnx_key(tiny_bundle)) is None
    arrived = {path.name for path in place.glob(".arriving-*/*.engine")}
    assert arrived
    taken: list[str] = []
    take = Arriving.take
    monkeypatch.setattr(
        Arriving,
        "take",
        lambda self, file, *rest: (taken.append(file.name), take(self, file, *rest)),
    )
    outcome, _ = there(tiny_bundle, board.board(), place)
    assert taken
    assert not arrived & set(taken)
    assert find_engines([place], onnx_key(tiny_bundle)) == outcome.engines
    assert not list(place.glob(".*"))


def test_a_full_board_says_what_it_needs(
    tiny_bundle: Bundle, board: LoopbackBoard, tmp_path: Path
) -> None:
    shutil.rmtree(board.data)
    with pytest.raises(EngineError, match=r"data: no such folder on the board; give --board-data"):
        there(tiny_bundle, board.board(), tmp_path)
    board.data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(board.data)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        with pytest.raises(EngineError, match=r"MiB on the board, and 0 are free; make room"):
            there(tiny_bundle, board.board(), tmp_path)
    finally:
        subprocess.run(["umount", str(board.data)], check=True)


def test_nobody_is_asked_for_a_password(
    tiny_bundle: Bundle, board: LoopbackBoard, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="Permission denied"):
        there(tiny_bundle, board.board(key="stranger"), tmp_path)
    words = board.board().words
    for option in ("BatchMode=yes", "PasswordAuthentication=no"):
        assert words[words.index(option) - 1] == "-o"
    # Of an option given twice ssh takes the first, so a passed one cannot undo these.
    typed = board.board(None, "PasswordAuthentication=yes").words
    assert typed.index("PasswordAuthentication=no") < typed.index("PasswordAuthentication=yes")


def test_a_board_whose_key_is_not_known_is_left_alone(
    tiny_bundle: Bundle, board: LoopbackBoard, tmp_path: Path
) -> None:
    option = f"UserKnownHostsFile={tmp_path / 'none'}"
    with pytest.raises(EngineError, match="Host key verification failed"):
        there(tiny_bundle, board.board(None, option), tmp_path)


def test_a_board_without_the_project_is_named(
    tiny_bundle: Bundle, board: LoopbackBoard, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="not found"):
        there(tiny_bundle, board.board(Path("/nowhere/ytm-build-engine")), tmp_path)


@pytest.mark.parametrize("address", ["", "-oProxyCommand=touch /x", "a b"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="give USER@BOARD"):
        Board(address)


@pytest.mark.parametrize("option", ["", "Port", "-p=3", "Port 3"])
def test_what_is_no_option_of_ssh_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match="give NAME=VALUE"):
        Board("board", (option,))


HOSTILE = """#!{python}
# Answers each line with the next of these, whatever is asked.
import sys
from pathlib import Path
for answer in {answers!r}:
    sys.stdin.buffer.readline()
    for piece in answer if isinstance(answer, list) else [answer]:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
sys.stdin.buffer.read()
"""


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def prepared(bundle: Bundle, **changes: object) -> bytes:
    key = onnx_key(bundle).model_copy(update=changes)
    return line(tell="prepared", version=1, key=key.model_dump())


def file(name: str, size: int = 1, content: bytes = b"x") -> dict[str, object]:
    return {"name": name, "size": size, "sha256": hashlib.sha256(content).hexdigest()}


def all_files() -> list[dict[str, object]]:
    names = (*(f"{name}.engine" for name in GRAPH_NAMES), "report.json")
    return [file(name) for name in names]


def built(files: list[dict[str, object]]) -> bytes:
    return line(tell="built", built=True, files=files)


WANTS_NONE = line(tell="wants", files=[])
ESCAPES = line(tell="event", event={"text": "\x1b]0;owned\x07 \x1b[2J"})


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([[b"x" * 65536] * 200], "a line is too long"),
        ([b"Welcome to the board\n"], "not understood .*Welcome"),
        ([b"[" * 5000 + b"\n"], "not understood"),
        ([b"\xff\xfe\x00\n"], "not understood"),
        ([line(tell="failed", text="\x1b[31mno")], r"\?\[31mno"),
        ([line(tell="prepared", version=1, key={})], "not understood"),
        ([line(tell="taken", name="x")], "out of turn"),
        (["prepared with other graphs"], "other engines than were asked for"),
        (["prepared", line(tell="wants", files=[{"name": "x", "offset": 0}])], "not offered"),
        (
            ["prepared", line(tell="wants", files=[{"name": "mel.npz", "offset": 1 << 40}])],
            "not understood",
        ),
        (
            ["prepared", line(tell="wants", files=[{"name": "../mel.npz", "offset": 0}])],
            "not understood",
        ),
        (["prepared", WANTS_NONE, ESCAPES * 2000 + built([])], "other files than were asked"),
        (["prepared", WANTS_NONE, built([*all_files(), file("more.engine")])], "other files"),
        (["prepared", WANTS_NONE, built([file("../../x.engine")])], "not understood"),
        (["prepared", WANTS_NONE, built([file("/etc/x.engine")])], "not understood"),
        (["prepared", WANTS_NONE, built([file("a/../b")])], "not understood"),
        (["prepared", WANTS_NONE, built([file("x", size=1 << 60)])], "not understood"),
        (["prepared", WANTS_NONE, built(all_files()), b"y"], "was damaged on the way"),
        (["prepared", WANTS_NONE, built(all_files()), *[b"x"] * 7], "report.json"),
    ],
)
def test_a_hostile_board_is_refused(
    tiny_bundle: Bundle,
    board: LoopbackBoard,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    answers: list[object],
    words: str,
) -> None:
    said = {
        "prepared": prepared(tiny_bundle),
        "prepared with other graphs": prepared(tiny_bundle, graphs={"x": "0" * 64}),
    }
    answers = [said.get(each, each) if isinstance(each, str) else each for each in answers]
    script = board.script("hostile", HOSTILE.format(python=sys.executable, answers=answers))
    place = tmp_path / "engines"
    with (
        pytest.raises((EngineError, BundleError), match=words) as raised,
        BuildDisplay() as display,
    ):
        build_there(tiny_bundle, board.board(script), place, display, Backend.onnxruntime, False)
    assert find_engines([place], onnx_key(tiny_bundle)) is None
    assert {path.name for path in tmp_path.iterdir()} <= {"engines"}
    assert "\x1b" not in capsys.readouterr().err + str(raised.value)


def test_a_board_that_says_nothing_is_left(
    tiny_bundle: Bundle,
    board: LoopbackBoard,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssh, "PATIENCE_S", 2.0)
    script = board.script("silent", f"#!{sys.executable}\nimport sys\nsys.stdin.read()\n")
    with pytest.raises(EngineError, match="nothing came for 2 s"):
        there(tiny_bundle, board.board(script), tmp_path)


def test_the_command_brings_engines_into_the_bundle(
    board: LoopbackBoard, bundle_path: Path, ytm_build_engine
) -> None:
    there_ = board.board()
    options = [word for each in there_.options for word in ("--ssh-option", each)]
    ran = ytm_build_engine(
        *(bundle_path, "--on", there_.address, *options, "--backend", "onnxruntime"),
        *("--board-data", there_.data, "--board-command", there_.command, "--json"),
    )
    assert ran.code == 0, ran.said
    told = json.loads(ran.out)
    assert told["built"]
    assert Path(told["engines"]).parent == bundle_path / "engines"
    with open_bundle(bundle_path) as bundle:
        assert find_engines([bundle_path / "engines"], onnx_key(bundle)) is not None
