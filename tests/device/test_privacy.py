"""No frame and no sound of a visitor is written or sent: seen from outside, by the kernel's eyes.

As long as `YTM_SOAK_S` says; the full length is for `make test-soak`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mirror_process import COMMAND
from small_videos import moving
from sound_latency import with_card
from tracing import Act, Allowed, acts, need_strace, run_traced, traced
from waiting import HANG_S, wait_for
from ytm_device.options import SERVICES

SOAK_S = float(os.environ.get("YTM_SOAK_S", "8"))
LOOK_S = 0.2
COMPILED = r".*/orcexec\.\w{6}"
"""Code that GStreamer's library ORC makes for this processor: a file of that name until mapped."""
WORK = {"reflect": "reflections", "sound": "samples", "screen": "frames"}
KNOW_PLUGINS = """
import gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
"""
MAX_STATUS_BYTES = 4096
MAX_WORDS = 300
"""Characters. Of pictures of 112x112 pixels, these would be too few to be any."""
MAX_SAID_BYTES = 8192
"""On standard output and error, by all services together."""


@pytest.fixture(autouse=True)
def _tracing() -> None:
    need_strace()


@pytest.fixture
def quiet(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """As on a board, where Python and GStreamer keep no notes of their own.

    Libraries that report to their makers do not where they believe they are tested: let them not.
    """
    hidden = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS")
    kept = {name: value for name, value in environment.items() if name not in hidden}
    kept |= {"HOME": str(tmp_path), "GST_REGISTRY": str(tmp_path / "gstreamer-registry")}
    subprocess.run([sys.executable, "-c", KNOW_PLUGINS], env=kept, check=True, timeout=HANG_S)
    return kept | {"GST_REGISTRY_UPDATE": "no", "PYTHONDONTWRITEBYTECODE": "1"}


def _allowed(run_dir: str, card: Path) -> Allowed:
    services = "|".join(SERVICES)
    return Allowed(
        written=(
            rf"{run_dir}/\.?({services})\.json(\.partial)?",
            rf"{run_dir}/({services})\.sock",
            # The sound card: a real one, and the file that stands in for it here.
            r"/dev/snd/\w+",
            rf"{re.escape(str(card))}/card\.(raw|log)",
            COMPILED,
            # Screens, cameras, and what has no memory.
            r"/dev/(dri/\w+|fb\d|video\d+|tty\d*|null)",
            # Names of threads, and who goes first where memory is short: both are in memory.
            r"/proc/(self|\d+)/(task/\d+/comm|oom_score_adj)",
        ),
        addresses=(
            # A socket of `ytm-mirror ctl` has another name for a moment, as a status does.
            rf"{run_dir}/(\.?({services})\.sock(\.\d+)?|reflections)",
            # The screen of this machine.
            r"@?/tmp/\.X11-unix/X\d+",
            r"/run/udev/control",
        ),
        shared=(COMPILED, r"/dev/(snd|dri)/\w+", r"/dev/(fb|video)\d+"),
    )


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_WORDS
    return value is None or isinstance(value, bool | int | float)


def _suspicious(path: Path) -> dict[str, Any]:
    """What in a status is neither a number nor a few words."""
    content = path.read_bytes()
    fields: Mapping[str, Any] = json.loads(content)
    found = {name: value for name, value in fields.items() if not _is_short(value)}
    return found | ({"bytes": len(content)} if len(content) > MAX_STATUS_BYTES else {})


def _statuses(environment: dict[str, str]) -> dict[str, Path]:
    runtime = Path(environment["XDG_RUNTIME_DIR"])
    return {name: path for name in SERVICES for path in runtime.glob(f"ytm-*/{name}.json")}


def _has_worked(environment: dict[str, str]) -> bool:
    statuses = _statuses(environment)
    said = {name: json.loads(path.read_bytes()) for name, path in statuses.items()}
    return len(said) == len(SERVICES) and all(said[name].get(WORK[name]) for name in SERVICES)


@pytest.mark.parametrize("camera", ["file", "demo"])
def test_the_services_write_their_status_and_speak_among_themselves_only(
    camera: str,
    tmp_path: Path,
    quiet: dict[str, str],
    card_library: Path,
    x_server,
    tiny_bundle_path: Path,
) -> None:
    card, traces, here = (tmp_path / name for name in ("card", "traces", "here"))
    for folder in (card, traces, here):
        folder.mkdir()
    seen = moving(tmp_path / "visitor.mp4", frames=45) if camera == "file" else camera
    environment = with_card(card, card_library, quiet, tmp_path / "card.conf")
    environment["DISPLAY"] = x_server.display
    arguments = ["--camera", seen, "--pcm", "card", "--bundle", tiny_bundle_path]
    process = subprocess.Popen(
        traced([*COMMAND, *arguments], traces),
        cwd=here,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: process.poll() is not None or _has_worked(environment))
        assert process.poll() is None, process.communicate()
        (run_dir,) = {str(path.parent) for path in _statuses(environment).values()}
        _watch(environment, SOAK_S)
        process.terminate()
        printed, said = process.communicate(timeout=HANG_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, said
    assert len(printed) + len(said) <= MAX_SAID_BYTES
    done = acts(traces, here)
    # What is known to happen was seen, so what was not seen did not happen.
    for name in SERVICES:
        assert Act("move", f"{run_dir}/{name}.json") in done
    assert Act("write", str(card / "card.raw")) in done
    assert Act("address", f"{run_dir}/reflections") in done
    assert _allowed(re.escape(run_dir), card).leaks(done) == []
    assert list(here.iterdir()) == []


def _watch(environment: dict[str, str], seconds: float) -> None:
    """See for so long that there are only numbers and words in the statuses."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for path in _statuses(environment).values():
            assert _suspicious(path) == {}
        time.sleep(LOOK_S)


LEAKS = {
    "a frame in a file": (
        "open('frame.png', 'wb').write(bytes(112 * 112 * 3))",
        "write {here}/frame.png",
    ),
    "a frame beside the status": (
        "open('{run}/frame.raw', 'wb').write(bytes(99))",
        "write {run}/frame.raw",
    ),
    "a frame appended": ("open('frames', 'ab').write(bytes(99))", "write {here}/frames"),
    "a file without a name": (
        "import os; os.write(os.open('.', os.O_TMPFILE | os.O_RDWR), bytes(99))",
        "write {here}/#",
    ),
    "a status moved away": (
        "import os; os.rename('{run}/reflect.json', '{here}/kept.json')",
        "move {here}/kept.json",
    ),
    "a name for what is open": (
        "import os; os.link('{run}/reflect.json', 'kept.json')",
        "move {here}/kept.json",
    ),
    "a shared mapping": (
        "import mmap, os; mmap.mmap(os.open('{run}/reflect.json', os.O_RDWR), 2)[0:1] = b'x'",
        "share {run}/reflect.json",
    ),
    "a child that writes": (
        "import subprocess; subprocess.run(['sh', '-c', 'echo frame > out'])",
        "write {here}/out",
    ),
    "a thread that writes": (
        "import threading; threading.Thread(target=open, args=('out', 'w')).start()",
        "write {here}/out",
    ),
    "a connection": (
        "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('127.0.0.1', 9))",
        "family AF_INET",
    ),
    "a datagram": (
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
        "family AF_INET",
    ),
    "a datagram of the next version": (
        "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "family AF_INET6",
    ),
    "raw packets": (
        "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "family AF_PACKET",
    ),
    "routes": (
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
        "family NETLINK_ROUTE",
    ),
    "a stranger's socket": (
        "import socket; socket.socket(socket.AF_UNIX).connect_ex('/run/stranger.sock')",
        "address /run/stranger.sock",
    ),
    "a socket for strangers": (
        "import socket; socket.socket(socket.AF_UNIX).bind('open.sock')",
        "address open.sock",
    ),
    "a datagram for a stranger": (
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "try: s.sendto(b'x', '/run/stranger.sock')\nexcept OSError: pass",
        "address /run/stranger.sock",
    ),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_would_be_seen(leak: str, tmp_path: Path, quiet: dict[str, str]) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "reflect.json").write_text("{}")
    places = {"here": str(tmp_path), "run": str(run_dir)}
    text, expected = (part.format(**places) for part in LEAKS[leak])
    result, done = run_traced([sys.executable, "-S", "-c", text], tmp_path, quiet)
    assert result.returncode == 0, result.stderr
    leaks = _allowed(re.escape(str(run_dir)), tmp_path / "card").leaks(done)
    assert any(found.startswith(expected) for found in leaks), leaks


def test_what_is_allowed_is_no_leak(tmp_path: Path, quiet: dict[str, str]) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    text = (
        "import mmap, os, socket\n"
        f"open('{run_dir}/.sound.json.partial', 'w').write('1')\n"
        f"os.replace('{run_dir}/.sound.json.partial', '{run_dir}/sound.json')\n"
        "open('/dev/null', 'w'); mmap.mmap(-1, 4096)[0:1] = b'x'\n"
        f"socket.socket(socket.AF_UNIX).bind('{run_dir}/sound.sock')\n"
    )
    result, done = run_traced([sys.executable, "-S", "-c", text], tmp_path, quiet)
    assert result.returncode == 0, result.stderr
    assert Act("move", f"{run_dir}/sound.json") in done
    assert _allowed(re.escape(str(run_dir)), tmp_path / "card").leaks(done) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"frame": [0] * 9},
        {"frame": {"r": 1}},
        {"frame": "A" * 400},
        {f"pixel_{n}": n for n in range(400)},
    ],
)
def test_a_picture_in_a_status_would_be_seen(tmp_path: Path, fields: dict[str, Any]) -> None:
    path = tmp_path / "reflect.json"
    path.write_text(json.dumps({"mode": "mirror", "frames": 3}))
    assert _suspicious(path) == {}
    path.write_text(json.dumps({"mode": "mirror", **fields}))
    assert _suspicious(path) != {}
