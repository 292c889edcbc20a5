"""What lives in a thread of its own: it is made, asked and closed there, while others go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from ytm_bundle.errors import DeviceError
from ytm_device.console import say
from ytm_device.owner import Owner

CLOSE_WITHIN_S = 2.0
"""One that has not closed by then hangs, and is left behind."""


class Lodger(Protocol):
    """A mind, or a stream of sound, on some backend."""

    @property
    def backend(self) -> str:
        """Name and version of what runs it."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


_Lodger = TypeVar("_Lodger", bound=Lodger)
_Result = TypeVar("_Result")


class OwnThread(Owner, Generic[_Lodger]):
    """Makes something beside what goes on, and then asks it.

    Whatever its libraries raise is a `DeviceError` outside.
    """

    def __init__(self, make: Callable[[], _Lodger]) -> None:
        """Begin to make it; see `made`."""
        self.made: Future[str] = Future()
        """The backend, once it is there; or why it cannot be, a `DeviceError`."""
        self._calls: SimpleQueue[Callable[[_Lodger], None] | None] = SimpleQueue()
        # No process waits at its end for a GPU that hangs.
        self._thread = threading.Thread(target=self._work, args=[make], daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Release it, or leave it behind if it hangs."""
        self.leave()
        self._thread.join(CLOSE_WITHIN_S)

    def leave(self) -> None:
        """Let it be released when it has nothing to do, without waiting for that."""
        self._calls.put(None)

    def ask(self, question: Callable[[_Lodger], _Result]) -> Future[_Result]:
        """Begin to ask what is `made`; questions are answered one after the other."""
        future: Future[_Result] = Future()
        self._calls.put(lambda lodger: _fill(future, lambda: question(lodger)))
        return future

    def _work(self, make: Callable[[], _Lodger]) -> None:
        try:
            lodger = make()
        except Exception as error:  # Whoever looks at `made` gets it.
            self.made.set_exception(_told(error))
            return
        self.made.set_result(lodger.backend)
        while (answer := self._calls.get()) is not None:
            answer(lodger)
        try:
            lodger.close()
        except DeviceError as error:
            say(f"{lodger.backend}: {error}")


def beside(function: Callable[[], _Result]) -> Future[_Result]:
    """Begin to run `function` in a thread that no process waits for at its end."""
    future: Future[_Result] = Future()
    threading.Thread(target=_fill, args=[future, function], daemon=True).start()
    return future


def _fill(future: Future[_Result], function: Callable[[], _Result]) -> None:
    try:
        future.set_result(function())
    except Exception as error:  # Whoever waits gets it.
        future.set_exception(_told(error))


def _told(error: Exception) -> DeviceError:
    if isinstance(error, DeviceError):
        return error
    told = DeviceError(f"failed: {error!r}")
    told.__cause__ = error
    return told
