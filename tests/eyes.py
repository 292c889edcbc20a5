"""What an X server shows, looked at thirty times a second from outside."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from waiting import HANG_S, wait_for

LOOKS_HZ = 30
BLACK = 4.0
"""A picture whose mean level, of 255, is no higher is black."""
WIDTH, HEIGHT = 360, 640
EVERY = 4
"""One pixel in so many, each way, is looked at."""
_HEADER_WORDS = 25
_NS_PER_S = 1_000_000_000
Span = tuple[int, int]


def read_screen(path: Path) -> np.ndarray | None:
    """What the file of an X server shows: uint8 (height, width, 3), RGB; None if nothing yet."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) < 4 * _HEADER_WORDS:
        return None
    header = np.frombuffer(data, ">u4", _HEADER_WORDS)
    size, width, height, row_bytes, colours = (int(header[i]) for i in (0, 4, 5, 12, 19))
    start = size + 12 * colours
    if not size or len(data) < start + height * row_bytes:
        return None
    rows = np.frombuffer(data, np.uint8, height * row_bytes, start).reshape(height, row_bytes)
    return rows[:, : width * 4].reshape(height, width, 4)[..., 2::-1]


@dataclass(frozen=True)
class Look:
    """One look at the screen."""

    at_ns: int
    level: float
    """Mean of it, 0 to 255; -1 if there is no screen."""
    print: bytes
    """The same for the same picture."""


class XServer:
    """An Xvfb that may be killed and started again on the same display."""

    def __init__(self, folder: Path) -> None:
        """Start it; its screen is a file in `folder`."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.display = ""
        self.start()

    @property
    def file(self) -> Path:
        """What it shows."""
        return self._folder / "Xvfb_screen0"

    def start(self) -> None:
        """Start it, and wait until it can be connected to."""
        reading, writing = os.pipe()
        screen = f"{WIDTH}x{HEIGHT}x24"
        options = ["-screen", "0", screen, "-noreset", "-fbdir", str(self._folder)]
        name = [self.display] if self.display else []
        self._process = subprocess.Popen(
            ["Xvfb", *name, "-displayfd", str(writing), *options],
            pass_fds=[writing],
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as ready:
            number = ready.readline().strip()
        assert number, "Xvfb ended before it had a display"
        self.display = f":{number}"

    def stop(self) -> None:
        """Pull out the display."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(HANG_S)
            self._process = None
        self.file.unlink(missing_ok=True)


@contextmanager
def x_serving(folder: Path) -> Iterator[XServer]:
    """A display."""
    server = XServer(folder)
    try:
        yield server
    finally:
        server.stop()


class Eyes:
    """Looks at the screen in a thread of its own, for ever."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.looks: list[Look] = []
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="eyes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._leave.set()
        self._thread.join(HANG_S)

    def _watch(self) -> None:
        while not self._leave.wait(1 / LOOKS_HZ):
            at_ns, pixels = time.monotonic_ns(), read_screen(self._file)
            if pixels is None:
                self.looks.append(Look(at_ns, -1, b""))
                continue
            seen = pixels[::EVERY, ::EVERY]
            mark = hashlib.blake2b(seen.tobytes(), digest_size=8).digest()
            self.looks.append(Look(at_ns, float(seen.mean()), mark))

    def black(self, spans: Sequence[Span]) -> list[Span]:
        """Where within `spans` the screen was black, after the first picture in each."""
        found: list[Span] = []
        for start_ns, end_ns in spans:
            looks = [each for each in tuple(self.looks) if start_ns <= each.at_ns < end_ns]
            first = next((i for i, each in enumerate(looks) if each.level > BLACK), len(looks))
            dark = [each.at_ns for each in looks[first:] if 0 <= each.level <= BLACK]
            found += _joined(dark)
        return found

    def longest_frozen_s(self, start_ns: int, end_ns: int) -> float:
        """The longest time in which the picture did not change at all."""
        looks = [each for each in tuple(self.looks) if start_ns <= each.at_ns < end_ns]
        longest_ns, since_ns = 0, looks[0].at_ns if looks else 0
        for before, look in pairwise(looks):
            if look.print != before.print:
                since_ns = look.at_ns
            longest_ns = max(longest_ns, look.at_ns - since_ns)
        return longest_ns / _NS_PER_S

    def first_after(self, time_ns: int) -> int | None:
        """When there was first a picture after `time_ns`; None if there was none yet."""
        looks = tuple(self.looks)
        return next((e.at_ns for e in looks if e.at_ns >= time_ns and e.level > BLACK), None)

    def wait_picture(self, after_ns: int) -> int:
        """Wait for the first picture after `after_ns`."""
        return wait_for(lambda: self.first_after(after_ns))


def _joined(times_ns: list[int]) -> list[Span]:
    """Looks that follow on each other, as spans."""
    spans: list[Span] = []
    for at_ns in times_ns:
        if spans and at_ns - spans[-1][1] < 2 * _NS_PER_S // LOOKS_HZ:
            spans[-1] = spans[-1][0], at_ns
        else:
            spans.append((at_ns, at_ns))
    return spans


@contextmanager
def looking(file: Path) -> Iterator[Eyes]:
    """Eyes that are closed at the end."""
    eyes = Eyes(file)
    try:
        yield eyes
    finally:
        eyes.close()


def x_is_there() -> bool:
    """Whether there can be a display."""
    return shutil.which("Xvfb") is not None
