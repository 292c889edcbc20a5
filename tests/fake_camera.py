"""The camera of `fake_v4l2.c`, what can happen to it, and a process that looks through it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waiting import HANG_S, wait_for
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.choice import choose_camera
from ytm_device.camera.controls import Picturing
from ytm_device.camera.opening import keep_open

SIZE = 32
BY_ID = Path("/dev/v4l/by-id")
LASTING = BY_ID / "usb-Test_Camera-video-index0"
_TURN_S = 0.1


@dataclass
class FakeCamera:
    """A camera that is there for processes started with its `environment`."""

    folder: Path
    library: Path
    number: int = 0
    _plugged: int = 0
    _behaviour: dict[str, object] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "LD_PRELOAD": str(self.library),
            "FAKE_V4L2": str(self.folder),
            "OMP_NUM_THREADS": "1",
        }

    @property
    def node(self) -> Path:
        """Where the camera is, as this process sees it."""
        return self.folder / f"dev/video{self.number}"

    def plug(self, number: int = 0, *, lasting: bool = True, **behaviour: object) -> None:
        """Plug it in, as /dev/video`number`, behaving well but for `behaviour`."""
        self.number, self._plugged = number, self._plugged + 1
        link = self.folder / str(LASTING)[1:]
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        if lasting:
            link.symlink_to(f"../../video{number}")
        self.behave(**behaviour)

    def behave(self, **behaviour: object) -> None:
        """Behave well but for `behaviour`, from the next picture on."""
        self._behaviour = {"plug": self._plugged, **behaviour}
        lines = "".join(f"{key}={value}\n" for key, value in self._behaviour.items())
        temporary = self.folder / "behaviour"
        temporary.write_text(lines)
        temporary.replace(self.node)

    def unplug(self) -> None:
        self.node.unlink()
        (self.folder / str(LASTING)[1:]).unlink(missing_ok=True)

    def be_on_usb(self, bus: int, device: int) -> None:
        """Let the kernel tell that it is USB device `device` of `bus`."""
        listed = "/sys/class/video4linux"
        interface = f"{listed}/usb/{bus}-1/{bus}-1:1.0"
        here = self.folder / interface[1:]
        here.mkdir(parents=True)
        (here.parent / "busnum").write_text(f"{bus}\n")
        (here.parent / "devnum").write_text(f"{device}\n")
        node = self.folder / listed[1:] / f"video{self.number}"
        node.mkdir()
        (node / "device").symlink_to(interface)

    def give_control(self, control: int, value: int, least: int, most: int, default: int) -> Path:
        """Add a control; its file begins with its value."""
        path = self.folder / f"controls/video{self.number}/{control:08x}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value} {least} {most} 1 {default}\n")
        return path


@dataclass
class Watcher:
    """A process that looks through the camera; `seen` is what it last said."""

    process: subprocess.Popen[str]
    seen: dict[str, Any] = field(default_factory=dict)
    sequences: list[int] = field(default_factory=list)
    latest_s: float = 0.0
    """How much longer than told `next_frame` ever took."""
    darkest: float = 255.0
    said: list[str] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            seen = json.loads(line)
            self.latest_s = max(self.latest_s, seen["late_s"])
            if seen["sequence"] is not None:
                self.sequences.append(seen["sequence"])
                self.darkest = min(self.darkest, seen["darkest"])
            self.seen = seen

    def read_log(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def wait(self, condition: Callable[[dict[str, Any]], object]) -> float:
        """Wait until `condition` holds of what is seen; how long that took, in seconds."""
        began_s = time.monotonic()

        def holds() -> object:
            assert self.process.poll() is None, self.said
            return self.seen and condition(self.seen)

        wait_for(holds)
        return time.monotonic() - began_s

    def wait_for_picture(self) -> float:
        """Wait for one that is taken from now on."""
        now_ns = time.monotonic_ns()
        return self.wait(lambda seen: seen["problem"] is None and seen["taken_ns"] > now_ns)

    def wait_for_problem(self, words: str) -> float:
        return self.wait(lambda seen: words in (seen["problem"] or ""))


@contextmanager
def watching(
    environment: Mapping[str, str], device: object = LASTING, **wishes: object
) -> Iterator[Watcher]:
    """Look through `device` in a process of its own; for `wishes`, see `_look`."""
    arguments = json.dumps({"device": str(device) if device else None, **wishes})
    process = subprocess.Popen(
        [sys.executable, __file__, arguments],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watcher = Watcher(process)
    readers = [threading.Thread(target=read) for read in (watcher.read, watcher.read_log)]
    for reader in readers:
        reader.start()
    try:
        yield watcher
    finally:
        process.kill()
        process.wait(HANG_S)
        for reader in readers:
            reader.join(HANG_S)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def _look(
    device: str | None,
    exposure: Any = "auto",
    white_balance: Any = "auto",
    step: int = 0,
    run_dir: str | None = None,
) -> None:
    """Look through a camera for ever and say what is seen; step its exposure once."""
    picturing = Picturing(exposure, white_balance)
    image = ImageSpec(width=SIZE, height=SIZE, fit="crop")
    reset_in = Path(run_dir) if run_dir else None
    taken_ns = 0
    with keep_open(choose_camera(device, wait=True), image, picturing, reset_in) as camera:
        while True:
            began_s = time.monotonic()
            frame = camera.next_frame(_TURN_S)
            late_s = time.monotonic() - began_s - _TURN_S
            if frame is not None:
                taken_ns = frame.taken_ns
                if step:
                    camera.step_exposure(step)
                    step = 0
            seen = {
                "problem": camera.problem,
                "recoveries": camera.recoveries,
                "damaged": camera.damaged,
                "probed_ns": camera.probed_ns,
                "name": camera.name,
                "taken_ns": taken_ns,
                "late_s": late_s,
                "sequence": None if frame is None else frame.sequence,
                "darkest": None if frame is None else float(frame.pixels.min()),
            }
            print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    _look(**json.loads(sys.argv[1]))
