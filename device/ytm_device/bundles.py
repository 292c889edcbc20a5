"""Which bundle a command uses when none is named, and noticing that another has taken its place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

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


def default_bundle(data: Path = DATA) -> Path:
    """The bundle installed in `data`, else the demo bundle that ships."""
    installed = data / "bundle"
    return installed if installed.exists() else DEMO_BUNDLE


class BundleKeeper(Owner):
    """Holds the bundle that a service plays, and the next one once there is one.

    A bundle that cannot be played is refused, and the one before it goes on.
    """

    def __init__(
        self, where: Callable[[], Path], check: Callable[[Bundle], None] | None = None
    ) -> None:
        """Open the bundle; the demo bundle if that cannot be played.

        Args:
            where: tells its path, which may change at any time, as may what stands there.
            check: raises `BundleError` or `DeviceError` for a bundle that this service cannot use.

        Raises:
            BundleError: neither can be played.
        """
        self.problem: str | None = None
        """Why what stands at the path is not played; None if it is."""
        self._where, self._check, self._stack = where, check, ExitStack()
        self._second = -1
        self._refused: _Mark | None = None
        self._next: tuple[Bundle, ExitStack, int] | None = None
        path = where()
        self._mark = _mark(path)
        try:
            self.bundle = self._opened(path, self._stack)
        except (BundleError, DeviceError) as error:
            self._refuse(error, "playing the demo bundle")
            self.bundle = self._opened(DEMO_BUNDLE, self._stack)

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._next is not None:
            self._next[1].close()
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
        return self._next is not None and now_ns >= self._next[2]

    def change(self) -> Bundle:
        """Go over to the bundle that `look` said it is time for; the one before it is closed."""
        assert self._next is not None
        self._stack.close()
        self.bundle, self._stack, _ = self._next
        self._next = None
        return self.bundle

    def _prepare(self, path: Path, mark: _Mark) -> None:
        stack = ExitStack()
        try:
            bundle = self._opened(path, stack)
        except (BundleError, DeviceError) as error:
            stack.close()
            self._refuse(error, f"going on with {self.bundle.id[:12]}")
            self._refused = mark
            return
        if self._next is not None:
            self._next[1].close()
        self._mark, self.problem = mark, None
        dwell_ns = round(self.bundle.manifest.replay.dwell_s * _NS_PER_S)
        earliest_ns = self._second * _LOOK_NS + round(NOTICE_S * _NS_PER_S)
        self._next = bundle, stack, (earliest_ns // dwell_ns + 1) * dwell_ns
        say(f"{path}: another bundle, {bundle.id[:12]}; it begins with the next still")

    def _opened(self, path: Path, stack: ExitStack) -> Bundle:
        bundle = stack.enter_context(open_bundle(path))
        # Read here, where it can still be refused.
        bundle.replay()
        bundle.mel_matrices()
        if self._check is not None:
            self._check(bundle)
        return bundle

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
