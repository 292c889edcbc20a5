"""The line of videos: whose turn it is, when somebody is asked, what is done with the answer."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from ytm_bundle.errors import DatasetError, YtmError
from ytm_training.collect.events import PutOff, Settled, Started, Tell, Waiting
from ytm_training.collect.executors import Hands
from ytm_training.collect.report import printable
from ytm_training.collect.store import Store
from ytm_training.collect.work import Done, Work, perform
from ytm_training.dataset import Settings
from ytm_training.fetch.archive import Archive
from ytm_training.fetch.manners import Manners, Pace

_LOOK_S = 0.5
_LATER_BY = 20
"""Places by which a video that is asked for again stands back: others are answered meanwhile."""


class Line:
    """Works through videos, asking others no faster than `pace` allows."""

    def __init__(
        self,
        works: Sequence[Work],
        settings: Settings,
        store: Store,
        archive: Archive,
        hands: Hands,
        manners: Manners,
        pace: Pace,
        tell: Tell,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._works, self._settings = deque(works), settings
        self._store, self._archive, self._hands = store, archive, hands
        self._manners, self._pace, self._tell, self._sleep = manners, pace, tell, sleep
        self._running: dict[Future[Done], Work] = {}
        # What failed in a run before is asked for once: it is not to stop all over again.
        known = {work.source for work in works if work.source in store.outcomes}
        self._tries = Counter(dict.fromkeys(known, manners.tries - 1))
        self._began_s, self._finished = time.monotonic(), 0

    def run(self) -> None:
        """Work until there is nothing left.

        Raises:
            BlockedError: nobody answers us any more; what is finished is kept.
        """
        while self._works or self._running:
            while self._works and len(self._running) < self._hands.count:
                if not self._begin_next():
                    break
            self._take_finished()

    def _begin_next(self) -> bool:
        """Begin the first work if its turn has come; wait for it if there is nothing else to do."""
        work = self._works[0]
        due_s = self._pace.due_s(time.monotonic()) if work.asks else 0.0
        if due_s > 0 and self._running:
            return False
        if due_s > 0:
            self._tell(Waiting(due_s, self._left_s()))
            self._sleep(due_s)
        self._works.popleft()
        if work.asks:
            self._pace.begin(time.monotonic())
        self._tell(Started(work.source))
        self._running[self._hands.executor.submit(perform, work, self._settings)] = work
        return True

    def _take_finished(self) -> None:
        if not self._running:
            return
        finished, _ = wait(self._running, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
        for future in finished:
            work = self._running.pop(future)
            self._settle(work, _result(work, future))

    def _settle(self, work: Work, done: Done) -> None:
        for event in done.events:
            self._tell(event)
        self._finished += 1
        fault = done.fault
        if fault is not None and fault.kind != "final":
            self._put_off(work, done)
        else:
            self._keep(work, done)
        if work.asks:
            self._pace.end(time.monotonic(), fault)

    def _put_off(self, work: Work, done: Done) -> None:
        self._tries[work.source] += 1
        if self._tries[work.source] >= self._manners.tries:
            self._keep(work, done)
            return
        assert done.fault is not None
        self._archive.add(work.source, done.fault.reason, final=False)
        self._works.insert(min(_LATER_BY, len(self._works)), work)
        self._tell(PutOff(work.source, done.fault.reason))

    def _keep(self, work: Work, done: Done) -> None:
        new = self._store.add(done)
        if work.asks:
            if new:
                self._archive.add(work.source, done.outcome.reason or "kept", final=True)
            self._store.forget_section(work.source)
        left = len(self._works) + len(self._running)
        self._tell(Settled(done.outcome, left, self._left_s()))

    def _left_s(self) -> float | None:
        """Seconds that the rest will take: by the waits that are to come, or by those that were."""
        asking = sum(work.asks for work in self._works)
        waits_s = asking * self._manners.mean_wait_s + self._pace.due_s(time.monotonic())
        if not self._finished:
            return waits_s if asking else None
        each_s = (time.monotonic() - self._began_s) / self._finished
        return max(waits_s if asking else 0.0, each_s * (len(self._works) + len(self._running)))


def _result(work: Work, future: Future[Done]) -> Done:
    try:
        return future.result()
    except (YtmError, OSError):
        raise
    except Exception as error:
        # A process or machine of the executor died, in one of several ways.
        raise DatasetError(
            f"{printable(work.source)}: whoever worked on it died ({type(error).__name__}). What is"
            " finished is kept; run again, and leave that video out if it happens once more"
        ) from error
