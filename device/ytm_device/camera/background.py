"""Calls into a driver, which may hang in the kernel: in a thread of their own, never waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_Result = TypeVar("_Result")


def in_background(call: Callable[[], _Result]) -> Future[_Result]:
    """Begin `call` at once; the process may end without it."""
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # whatever it is, it belongs to who asks for the result
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="camera", daemon=True).start()
    return future
