"""Which bundle a command uses when none is named, and noticing that another has taken its place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.errors import BundleError, DeviceError
from ytm_device.bundle_mark import Mark, mark_of
from ytm_device.bundle_trial import BundleTrial, Verdict
from ytm_device.console import say
from ytm_device.graph_check import is_passing
from ytm_device.last_good import stated_id
from ytm_device.owner import Owner
from ytm_device.status import Value

DATA = Path("/data/ytm")
"""Where a board keeps what must last."""
FLASHED = Path("/opt/ytm/bundle")
"""The bundle that an image was made with, on a root that nothing is written to."""
DEMO_BUNDLE = Path(__file__).parent / "demo_bundle"
NOTICE_S = 5.0
"""Least time between noticing another bundle and playing it, in which every service judges it.

One that takes longer begins after twice that, three times, and so on, as others do that are slow.
"""
START_S = 45.0
"""How long a service that starts waits for the verdict on a bundle, where none was ever good."""
SOONEST_S, LATEST_S = 2.0, 300.0
"""Between attempts to open what could not be opened for a reason that may pass: first, and last."""
_LOOK_NS = 1_000_000_000
_NS_PER_S = 1_000_000_000
_MOST_DOUBLINGS = 16
_ERRORS = (BundleError, DeviceError, OSError)

_Loaded = TypeVar("_Loaded")


def default_bundle(data: Path = DATA, flashed: Path = FLASHED) -> Path:
    """The bundle installed in `data`, else the one that was flashed, else the demo bundle."""
    candidates = (data / "bundle", flashed)
    return next((bundle for bundle in candidates if bundle.exists()), DEMO_BUNDLE)


@dataclass
class _Opened(Generic[_Loaded]):
    """A bundle, and what the service plays of it."""

    bundle: Bundle
    loaded: _Loaded
    stack: ExitStack
    begins_ns: int = 0
    """When it takes over, on CLOCK_MONOTONIC."""


@dataclass(frozen=True)
class _Judging:
    """A bundle that is being judged."""

    path: Path
    mark: Mark | None
    noticed_ns: int
    trial: BundleTrial


@dataclass(frozen=True)
class _Refused:
    """What stands at the path and is not played."""

    mark: Mark | None
    attempts: int
    again_ns: int | None
    """When to try again; None: not before it is another."""


class BundleKeeper(Owner, Generic[_Loaded]):
    """Holds the bundle that a service plays, and the next one once there is one.

    A bundle is let in once a process of its own has run its graphs and found them right. One that
    cannot be played is refused, and the one before it goes on: everything of it is in memory,
    whatever stands at its path by then. All services judge by themselves, and by the same.
    """

    def __init__(
        self, where: Callable[[], Path], load: Callable[[Bundle], _Loaded], last_good: Path
    ) -> None:
        """Open the bundle; the last good one if that cannot be played, else the demo bundle.

        Args:
            where: tells its path, which may change at any time, as may what stands there.
            load: makes of a bundle what the service plays of it, kept as `loaded` and closed if it
                can be; raises `BundleError` or `DeviceError` for one that cannot be used.
            last_good: where a copy of the last good bundle is kept.

        Raises:
            BundleError: none of them can be played.
        """
        self.problem: str | None = None
        """Why what stands at the path is not played; None if it is."""
        self._where, self._load, self._last_good = where, load, last_good
        self._second = -1
        self._mark: Mark | None = None
        self._refused: _Refused | None = None
        self._judging: _Judging | None = None
        self._next: _Opened[_Loaded] | None = None
        path = where()
        self._seen = path, mark_of(path)
        self._playing = self._first(*self._seen)

    @property
    def bundle(self) -> Bundle:
        """The one that is played."""
        return self._playing.bundle

    @property
    def loaded(self) -> _Loaded:
        """What the service plays of it."""
        return self._playing.loaded

    @property
    def judging(self) -> bool:
        """Whether another bundle is being judged."""
        return self._judging is not None

    @property
    def fields(self) -> dict[str, Value]:
        """What every service says of it in its status."""
        return {"bundle": self.bundle.id, "bundle_problem": self.problem}

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._judging is not None:
            self._judging.trial.close()
        if self._next is not None:
            self._next.stack.close()
        self._playing.stack.close()

    def look(self, now_ns: int) -> bool:
        """See, once in every second of CLOCK_MONOTONIC, whether another bundle has come.

        The seconds are the same for all services, so that all see it in the same one. Does not wait
        for the verdict on it.

        Returns:
            Whether it is time to `change`.
        """
        if now_ns // _LOOK_NS != self._second:
            self._second = now_ns // _LOOK_NS
            self._look_again(now_ns)
        judging = self._judging
        if judging is not None and (verdict := judging.trial.verdict()) is not None:
            self._judging = None
            self._take(judging, verdict, now_ns)
        return self._next is not None and now_ns >= self._next.begins_ns

    def change(self) -> None:
        """Go over to the bundle that `look` said it is time for; the one before it is closed."""
        assert self._next is not None
        self._playing.stack.close()
        self._playing, self._next = self._next, None

    def _first(self, path: Path, mark: Mark | None) -> _Opened[_Loaded]:
        found = self._found_at_start(path, mark)
        if not isinstance(found, Verdict):
            self._mark = mark
            return found
        try:
            opened, name = self._opened(self._last_good), "the last good bundle"
        except _ERRORS:
            opened, name = self._opened(DEMO_BUNDLE), "the demo bundle"
        self._refuse(mark, found, 0, f"playing {name}")
        return opened

    def _found_at_start(self, path: Path, mark: Mark | None) -> _Opened[_Loaded] | Verdict:
        """The bundle at `path`, if it is known to be good or found so in time, else why not.

        Where there is another to play meanwhile, nobody waits: what was killed is back at once.
        """
        try:
            with open_bundle(path) as bundle:
                identity = bundle.id
            known = stated_id(self._last_good)
            if identity not in (known, stated_id(DEMO_BUNDLE)):
                self._judging = self._tried(path, mark, 0, nice=known is not None)
                verdict = self._judging.trial.verdict(START_S if known is None else 0)
                if verdict is None:
                    return Verdict(None, f"{path}: its graphs are still being tried", passing=True)
                self._judging = None
                if verdict.id is None:
                    return verdict
            return self._opened(path, identity)
        except _ERRORS as error:
            return _verdict_of(error)

    def _tried(self, path: Path, mark: Mark | None, now_ns: int, *, nice: bool) -> _Judging:
        # The demo bundle comes with every version and need not be kept.
        last_good = None if path == DEMO_BUNDLE else self._last_good
        return _Judging(path, mark, now_ns, BundleTrial(path, last_good, nice=nice))

    def _look_again(self, now_ns: int) -> None:
        """Begin to judge what stands at the path, if it is whole, another, and not refused yet."""
        path = self._where()
        seen = path, mark_of(path)
        settled, self._seen = seen == self._seen, seen
        mark = seen[1]
        if mark is None or self._judging is not None:
            return
        if mark == self._mark:
            # What plays, or is to: nothing is refused any more.
            self._refused = self.problem = None
        elif settled and not self._rests(mark, now_ns):
            try:
                self._judging = self._tried(path, mark, self._second * _LOOK_NS, nice=True)
            except OSError as error:
                self._refuse(mark, _verdict_of(error), now_ns, self._going_on)

    def _rests(self, mark: Mark, now_ns: int) -> bool:
        refused = self._refused
        if refused is None or refused.mark != mark:
            return False
        return refused.again_ns is None or now_ns < refused.again_ns

    def _take(self, judged: _Judging, verdict: Verdict, now_ns: int) -> None:
        """Prepare for the bundle that was judged, if it is good and stands there yet."""
        if judged.path != self._where() or judged.mark != mark_of(judged.path):
            return
        if verdict.id is None:
            self._refuse(judged.mark, verdict, now_ns, self._going_on)
            return
        current = self._next or self._playing
        if verdict.id != current.bundle.id:
            try:
                opened = self._opened(judged.path, verdict.id)
            except _ERRORS as error:
                self._refuse(judged.mark, _verdict_of(error), now_ns, self._going_on)
                return
            if self._next is not None:
                self._next.stack.close()
            opened.begins_ns = self._begins_ns(judged.noticed_ns, now_ns)
            self._next = opened
            say(f"{judged.path}: another bundle, {verdict.id[:12]}; it begins with the next still")
        self._mark = judged.mark
        self._refused = self.problem = None

    def _begins_ns(self, noticed_ns: int, now_ns: int) -> int:
        """The still with which a bundle begins, the same in all services that are as quick."""
        notice_ns = round(NOTICE_S * _NS_PER_S)
        notices = max(1, -(-(now_ns + _LOOK_NS - noticed_ns) // notice_ns))
        dwell_ns = round(self.bundle.manifest.replay.dwell_s * _NS_PER_S)
        return ((noticed_ns + notices * notice_ns) // dwell_ns + 1) * dwell_ns

    def _opened(self, path: Path, identity: str | None = None) -> _Opened[_Loaded]:
        """Open and load the bundle at `path`, which must be the one of that `identity`, if any."""
        with ExitStack() as stack:
            bundle = stack.enter_context(open_bundle(path))
            if identity not in (None, bundle.id):
                raise BundleError(f"{path}: is being exchanged")
            # Read here, where it can still be refused.
            bundle.replay()
            bundle.mel_matrices()
            loaded = self._load(bundle)
            if isinstance(loaded, Owner):
                stack.enter_context(loaded)
            return _Opened(bundle, loaded, stack.pop_all())

    @property
    def _going_on(self) -> str:
        return f"going on with {self.bundle.id[:12]}"

    def _refuse(self, mark: Mark | None, verdict: Verdict, now_ns: int, instead: str) -> None:
        before = self._refused
        attempts = before.attempts + 1 if before is not None and before.mark == mark else 1
        wait_s = min(LATEST_S, SOONEST_S * 2 ** min(attempts - 1, _MOST_DOUBLINGS))
        again_ns = now_ns + round(wait_s * _NS_PER_S) if verdict.passing else None
        self._refused = _Refused(mark, attempts, again_ns)
        problem = f"{verdict.why}; {instead}"
        if problem != self.problem:
            say(problem)
        self.problem = problem


def _verdict_of(error: Exception) -> Verdict:
    return Verdict(None, str(error), is_passing(error))
