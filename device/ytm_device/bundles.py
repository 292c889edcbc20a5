"""Which bundle a command uses when none is named, and noticing that another has taken its place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.checksums import SUMS_NAME
from ytm_bundle.errors import BundleError, DeviceError, YtmError
from ytm_device.console import say
from ytm_device.owner import Owner

DATA = Path("/data/ytm")
"""Where a board keeps what must last."""
DEMO_BUNDLE = Path(__file__).parent / "demo_bundle"
NOTICE_S = 2.0
"""Least time between noticing another bundle and playing it, in which every service notices it."""
_LOOK_NS = 1_000_000_000
_NS_PER_S = 1_000_000_000

_Mark = tuple[int, int, int, int]
_Loaded = TypeVar("_Loaded")


def default_bundle(data: Path = DATA) -> Path:
    """The bundle installed in `data`, else the demo bundle that ships."""
    installed = data / "bundle"
    return installed if installed.exists() else DEMO_BUNDLE


@dataclass
class _Next(Generic[_Loaded]):
    """The bundle that takes over, and when."""

    bundle: Bundle
    loaded: _Loaded
    stack: ExitStack
    begins_ns: int


class BundleKeeper(Owner, Generic[_Loaded]):
    """Holds the bundle that a service plays, and the next one once there is one.

    A bundle that cannot be played is refused, and the one before it goes on: everything of it is
    in memory, whatever stands at its path by then.
    """

    def __init__(self, where: Callable[[], Path], load: Callable[[Bundle], _Loaded]) -> None:
        """Open the bundle; the demo bundle if that cannot be played.

        Args:
            where: tells its path, which may change at any time, as may what stands there.
            load: makes of a bundle what the service plays of it, kept as `loaded` and closed if it
                can be; raises `BundleError` or `DeviceError` for one that cannot be used.

        Raises:
            BundleError: neither can be played.
        """
        self.problem: str | None = None
        """Why what stands at the path is not played; None if it is."""
        self._where, self._load, self._stack = where, load, ExitStack()
        self._second = -1
        self._refused: _Mark | None = None
        self._next: _Next[_Loaded] | None = None
        path = where()
        self._mark = _mark(path)
        try:
            self.bundle, self.loaded = self._opened(path, self._stack)
        except (BundleError, DeviceError) as error:
            self._refuse(error, "playing the demo bundle")
            self.bundle, self.loaded = self._opened(DEMO_BUNDLE, self._stack)

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._next is not None:
            self._next.stack.close()
        self._stack.close()

    def look(self, now_ns: int) -> bool:
        """See, once in every second of CLOCK_MONOTONIC, whether another bundle has come.

        The seconds are the same for all services, so that all see it in the same one.

        Returns:
            Whether it is time to `change`.
        """
        if now_ns // _LOOK_NS != self._second:
            self._second = now_ns // _LOOK_NS
            path = self._where()
            mark = _mark(path)
            if mark is not None and mark not in (self._mark, self._refused):
                self._prepare(path, mark)
            elif mark == self._mark and self._refused is not None:
                # Back to what is playing: nothing is refused any more.
                self._refused = self.problem = None
        return self._next is not None and now_ns >= self._next.begins_ns

    def change(self) -> None:
        """Go over to the bundle that `look` said it is time for; the one before it is closed."""
        assert self._next is not None
        self._stack.close()
        self.bundle, self.loaded = self._next.bundle, self._next.loaded
        self._stack, self._next = self._next.stack, None

    def _prepare(self, path: Path, mark: _Mark) -> None:
        stack = ExitStack()
        try:
            bundle, loaded = self._opened(path, stack)
        except (BundleError, DeviceError) as error:
            stack.close()
            self._refuse(error, f"going on with {self.bundle.id[:12]}")
            self._refused = mark
            return
        if self._next is not None:
            self._next.stack.close()
        self._mark, self.problem = mark, None
        dwell_ns = round(self.bundle.manifest.replay.dwell_s * _NS_PER_S)
        earliest_ns = self._second * _LOOK_NS + round(NOTICE_S * _NS_PER_S)
        begins_ns = (earliest_ns // dwell_ns + 1) * dwell_ns
        self._next = _Next(bundle, loaded, stack, begins_ns)
        say(f"{path}: another bundle, {bundle.id[:12]}; it begins with the next still")

    def _opened(self, path: Path, stack: ExitStack) -> tuple[Bundle, _Loaded]:
        bundle = stack.enter_context(open_bundle(path))
        # Read here, where it can still be refused.
        bundle.replay()
        bundle.mel_matrices()
        loaded = self._load(bundle)
        if isinstance(loaded, Owner):
            stack.enter_context(loaded)
        return bundle, loaded

    def _refuse(self, error: YtmError, instead: str) -> None:
        self.problem = f"{error}; {instead}"
        say(self.problem)


def _mark(path: Path) -> _Mark | None:
    """What tells one bundle at `path` from another without reading it; None if there is none."""
    try:
        found = (path / SUMS_NAME if path.is_dir() else path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
