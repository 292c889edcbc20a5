"""The sound on a root that cannot be written, and on processors that this machine is not."""

from __future__ import annotations

import functools
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mirror_process import COMMAND
from sound_latency import DITHER, heard_by_card, with_card
from waiting import HANG_S, wait_for
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.sound.streaming.compiled import LIBRARY
from ytm_device.status import read_status

RATE_HZ = 48000
START_HANG_S = 15
"""Five times the 3 s that are wanted."""
READ_ONLY = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
awk '{ print $5 }' /proc/self/mountinfo | while read -r folder; do
  [ "$folder" = "$1" ] || mount -o remount,bind,ro "$folder"
done
for folder in / /tmp /var/tmp "$2"; do
  [ ! -w "$folder" ] || { echo "$folder can be written" >&2; exit 1; }
done
shift 2
echo ready
read -r _
exec "$@"
"""
"""Arguments: a folder for a tmpfs, another that must be read-only, a command. It begins with a
line on standard input, so that only the command is timed."""

PUSHES = 5
PUSH = f"""
import ctypes
import numpy as np
from ytm_bundle.bundle import open_bundle
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.sound.streaming.compiled import LIBRARY, CompiledStream
from ytm_device.sound.streaming.tables import StreamTables

with open_bundle(DEMO_BUNDLE) as bundle:
    sound = bundle.manifest.sound
    tables = StreamTables(sound, sound.inversion, bundle.mel_matrices())
    frames = sound.unscale(bundle.replay().mels[0]).T.copy()
stream = CompiledStream(tables)
hops = np.zeros(({PUSHES}, tables.hop), np.float32)
for frame, hop in zip(frames, hops):
    stream.push(frame, hop)
library = ctypes.CDLL(str(LIBRARY))
push, first = (
    ctypes.cast(function, ctypes.c_void_p).value
    for function in (library.ytm_stream_push, library.ytm_stream_bytes)
)
print(push - first, hops.tobytes().hex())
"""
BASE = {"ytm_stream_push", "ytm_stream_push.default"}
"""What a processor without extensions runs; the former where the compiler makes no others."""
AVX_SINCE = (7, 2)
"""The QEMU that first emulates AVX."""


def _can_unshare() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare for a read-only root (Debian package util-linux)")
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"may not make a read-only root ({tried.stderr.strip()}); run it as root")


def _sounds(folder: Path) -> bool:
    """The card in `folder` has heard something that is not silence."""
    try:
        return bool(np.any(np.abs(heard_by_card(folder).samples) > DITHER))
    except FileNotFoundError:
        return False


@contextmanager
def _on_read_only_root(
    run_dir: Path, command: Sequence[object], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """`command`, started when what is inside begins; only `run_dir`, a tmpfs, can be written."""
    script = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", run_dir, DEMO_BUNDLE, *command]
    process = subprocess.Popen(
        list(map(str, script)),
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        process.stdin.write("\n")
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def bare(card_library: Path, environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """A card that writes into `run`, and no folder that belongs to anybody."""
    card = with_card(tmp_path / "run", card_library, environment, tmp_path / "asound.conf")
    own = ("HOME", "XDG_")
    return {name: value for name, value in card.items() if not name.startswith(own)}


def test_it_starts_and_plays_on_a_read_only_root(bare: dict[str, str], tmp_path: Path) -> None:
    _can_unshare()
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    command = [*COMMAND, "sound", "--pcm", "card", "--bundle", DEMO_BUNDLE, "--run-dir", run_dir]
    with _on_read_only_root(run_dir, command, bare) as process:
        started_ns = time.monotonic_ns()
        inside = Path(f"/proc/{process.pid}/root{run_dir}")
        wait_for(lambda: process.poll() is not None or _sounds(inside))
        assert process.poll() is None, process.communicate()[1]
        heard = heard_by_card(inside)
        wait_for(lambda: read_status(inside, "sound").get("samples", 0))
        process.terminate()
        assert (process.communicate(timeout=HANG_S)[1], process.returncode) == ("", 0)
    first = int(np.argmax(np.abs(heard.samples) > DITHER))
    starting_s = (heard.at_ns(first, RATE_HZ) - started_ns) / 1e9
    print(f"\nfrom its start to the first sound, read-only root: {starting_s:.2f} s")
    assert starting_s <= START_HANG_S


def _emulator(cpu: str) -> list[str]:
    """What goes before a command, for it to run on this processor."""
    if platform.machine() != "x86_64":
        pytest.skip("the library has one variant on this architecture")
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        pytest.skip("needs qemu-x86_64 for other processors (Debian package qemu-user)")
    return [emulator, "-cpu", cpu]


@functools.cache
def _pushed(cpu: str | None) -> tuple[np.ndarray, str]:
    """The first hops, float32 (n,), and the name of the function that made them."""
    command = [*(_emulator(cpu) if cpu else []), sys.executable, "-c", PUSH]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
    distance, hops = done.stdout.split()
    return np.frombuffer(bytes.fromhex(hops), np.float32), _function(int(distance))


def _function(distance: int) -> str:
    """What in the library is so many bytes after `ytm_stream_bytes`."""
    listed = subprocess.run(["nm", LIBRARY], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    functions = {row[2]: int(row[0], 16) for row in rows if len(row) == 3 and row[1] in "tT"}
    at = functions["ytm_stream_bytes"] + distance
    (name,) = (name for name, address in functions.items() if address == at)
    return name


def _version(emulator: str) -> tuple[int, ...]:
    said = subprocess.run([emulator, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+)\.(\d+)", said.stdout)
    assert found, said.stdout
    return tuple(map(int, found.groups()))


@pytest.mark.parametrize("cpu", ["Nehalem", "Haswell", "max"])
def test_other_processors_make_the_same_sound(cpu: str) -> None:
    emulated, name = _pushed(cpu)
    native, native_name = _pushed(None)
    error = np.linalg.norm(emulated - native) / np.linalg.norm(native)
    print(f"\n{cpu}: {name}, here: {native_name}, relative difference {error:.1e}")
    assert np.abs(native).max() > 0
    assert error <= 1e-3


def test_each_processor_runs_what_it_can() -> None:
    emulator = _emulator("Haswell")[0]
    _, base = _pushed("Nehalem")
    assert base in BASE
    if base == "ytm_stream_push":
        pytest.skip("this compiler makes one variant for all processors (GCC 12 makes several)")
    if _version(emulator) < AVX_SINCE:
        pytest.skip("this QEMU emulates no processor with AVX (7.2 does)")
    _, faster = _pushed("Haswell")
    assert faster == "ytm_stream_push.arch_x86_64_v3"
