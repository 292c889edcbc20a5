"""Where the work is done: here, in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, TypeVar

from ytm_bundle.errors import UsageError

T = TypeVar("T")
_CONNECT_S = 30


@dataclass(frozen=True)
class Hands:
    """An executor, and how many works it takes at a time."""

    executor: Executor
    count: int


class InPlace(Executor):
    """Does each work at once, in the thread that submits it."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Do it; the future given is finished."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def open_hands(jobs: int, scheduler: str | None) -> Iterator[Hands]:
    """Open what does the work.

    Args:
        jobs: processes of this machine; 1 is this very process.
        scheduler: the address of a Dask scheduler, which has workers of its own.

    Raises:
        UsageError: there is no Dask, or nobody at that address.
    """
    if scheduler is not None:
        with _cluster(scheduler, jobs) as hands:
            yield hands
    elif jobs == 1:
        yield Hands(InPlace(), 1)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, _prepare_process) as pool:
            try:
                yield Hands(pool, jobs)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _prepare_process() -> None:
    """Let a worker go when its parent goes, however that ends; Ctrl-C is for the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive, args=(parent.sentinel,), daemon=True).start()


def _outlive(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


@contextmanager
def _cluster(address: str, jobs: int) -> Iterator[Hands]:
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            "--scheduler: needs Dask; .venv/bin/pip install -e '.[cluster]'"
        ) from error
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"--scheduler {address}: no Dask scheduler answers there") from error
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise UsageError(f"--scheduler {address}: has no workers; start some (dask worker)")
        with client.get_executor() as executor:
            yield Hands(executor, max(jobs, threads))
