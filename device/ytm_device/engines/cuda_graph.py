"""What was asked of a CUDA stream, recorded once and asked again at once. Not run on a GPU yet.

PyCUDA has no such calls, so the driver's are called here: see "Graph Management" and "Stream
Management" in the CUDA Driver API, 12.0 and later.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from ytm_bundle.errors import DeviceError
from ytm_device.owner import Owner

LIBRARY = "libcuda.so.1"
THREAD_LOCAL = 1
"""Other threads may use the GPU meanwhile."""


class CudaGraph(Owner):
    """A recording; whatever memory it touches must stay where it is."""

    def __init__(self, stream: int, enqueue: Callable[[], None]) -> None:
        """Record what `enqueue` asks of the stream; nothing of it is done.

        Args:
            stream: its handle.
            enqueue: only asks, and neither waits nor allocates.

        Raises:
            DeviceError: something in it cannot be recorded.
        """
        self._stream = ctypes.c_void_p(stream)
        self._graph, self._ready = ctypes.c_void_p(), ctypes.c_void_p()
        self._cuda = _library()
        self._call("cuStreamBeginCapture_v2", self._stream, ctypes.c_int(THREAD_LOCAL))
        try:
            enqueue()
        finally:
            # Also after a failure: a stream that records runs nothing.
            ended = self._ask("cuStreamEndCapture", self._stream, ctypes.byref(self._graph))
        _check("cuStreamEndCapture", ended)
        flags = ctypes.c_ulonglong(0)
        try:
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(self._ready), self._graph, flags)
        except DeviceError:
            self.close()
            raise

    def launch(self) -> None:
        """Ask for all of it again.

        Raises:
            DeviceError: the GPU refuses.
        """
        self._call("cuGraphLaunch", self._ready, self._stream)

    def close(self) -> None:
        """Release the recording."""
        if self._ready:
            self._ask("cuGraphExecDestroy", self._ready)
        if self._graph:
            self._ask("cuGraphDestroy", self._graph)
        self._graph, self._ready = ctypes.c_void_p(), ctypes.c_void_p()

    def _ask(self, name: str, *arguments: object) -> int:
        return int(getattr(self._cuda, name)(*arguments))

    def _call(self, name: str, *arguments: object) -> None:
        _check(name, self._ask(name, *arguments))


def _library() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise DeviceError(f"{LIBRARY}: cannot be loaded ({error})") from error


def _check(name: str, result: int) -> None:
    if result:
        raise DeviceError(f"{name}: CUDA error {result}")
