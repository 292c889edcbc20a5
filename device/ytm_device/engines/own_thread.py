"""A mind in a thread of its own: it is made, used and closed there, while others answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from ytm_bundle.errors import DeviceError
from ytm_device.console import say
from ytm_device.engines.engine import Tensor
from ytm_device.engines.mind import Answer, Mind
from ytm_device.owner import Owner

CLOSE_WITHIN_S = 2.0
"""One that has not closed by then hangs, and is left behind."""
_Result = TypeVar("_Result")
_Call = tuple["Future[Answer]", Callable[[Mind], Answer]]


class MindThread(Owner):
    """Makes a mind beside what goes on, and then answers by it.

    Whatever its libraries raise is a `DeviceError` outside.
    """

    def __init__(self, make: Callable[[], Mind]) -> None:
        """Begin to make the mind; see `made`."""
        self.made: Future[str] = Future()
        """The backend, once the mind is there; or why it cannot be, a `DeviceError`."""
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        # No process waits at its end for a GPU that hangs.
        self._thread = threading.Thread(target=self._work, args=[make], daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Release the mind, or leave it behind if it hangs."""
        self.leave()
        self._thread.join(CLOSE_WITHIN_S)

    def leave(self) -> None:
        """Let the mind be released when it has nothing to do, without waiting for that."""
        self._calls.put(None)

    def answer(self, image: Tensor, noise: Tensor) -> Answer:
        """Ask the mind that is `made`, as `Mind.answer` does; waits for as long as that takes."""
        future: Future[Answer] = Future()
        self._calls.put((future, partial(_answer, image, noise)))
        return future.result()

    def _work(self, make: Callable[[], Mind]) -> None:
        try:
            mind = make()
        except Exception as error:  # Whoever looks at `made` gets it.
            self.made.set_exception(_told(error))
            return
        self.made.set_result(mind.backend)
        while (call := self._calls.get()) is not None:
            future, ask = call
            try:
                future.set_result(ask(mind))
            except Exception as error:  # Whoever asked gets it.
                future.set_exception(_told(error))
        try:
            mind.close()
        except DeviceError as error:
            say(f"{mind.backend}: {error}")


def beside(function: Callable[[], _Result]) -> Future[_Result]:
    """Begin to run `function` in a thread that no process waits for at its end."""
    future: Future[_Result] = Future()
    threading.Thread(target=_fill, args=[future, function], daemon=True).start()
    return future


def _fill(future: Future[_Result], function: Callable[[], _Result]) -> None:
    try:
        future.set_result(function())
    except Exception as error:  # Whoever waits gets it.
        future.set_exception(error)


def _told(error: Exception) -> DeviceError:
    if isinstance(error, DeviceError):
        return error
    told = DeviceError(f"failed: {error!r}")
    told.__cause__ = error
    return told


def _answer(image: Tensor, noise: Tensor, mind: Mind) -> Answer:
    return mind.answer(image, noise)
