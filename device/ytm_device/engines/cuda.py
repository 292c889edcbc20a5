"""The GPU's context, memory and stream, by PyCUDA. Not run on a GPU yet.

PyCUDA can be imported only where there is a driver, so that is done late, and here alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ytm_bundle.errors import DeviceError
from ytm_device.engines.engine import Tensor
from ytm_device.owner import Owner

if TYPE_CHECKING:
    from pycuda.driver import DeviceAllocation


@dataclass(frozen=True)
class Gpu:
    """What engines on it depend on."""

    name: str
    compute_capability: str
    """Such as `8.7`."""
    cuda: str
    """Version of CUDA, such as `12.6.0`."""


def first_gpu() -> Gpu:
    """The first GPU of this machine.

    Raises:
        DeviceError: there is none, or no driver, or no PyCUDA.
    """
    driver = _driver()
    with _named("no GPU can be used", driver):
        device = driver.Device(0)
        major, minor = device.compute_capability()
        version = ".".join(map(str, driver.get_version()))
        return Gpu(device.name(), f"{major}.{minor}", version)


class CudaThread(Owner):
    """The first GPU's primary context, which TensorRT uses too, current in this thread; one stream.

    Everything of it is made, used and closed in the thread that made it. PyCUDA ends the process if
    a thread ends in which a context is current.
    """

    def __init__(self) -> None:
        """Make the context current in this thread.

        Raises:
            DeviceError: there is no GPU, or it does not answer.
        """
        self._driver = _driver()
        self._memories: list[DeviceAllocation] = []
        with _named("the GPU cannot be opened", self._driver):
            self._context = self._driver.Device(0).retain_primary_context()
            self._context.push()
        with ExitStack() as stack:
            stack.callback(self._leave)
            with _named("the GPU cannot be opened", self._driver):
                self._stream: Any = self._driver.Stream()
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Release all memory and leave the context; whoever uses the memory is closed before."""
        self._stack.close()

    def _leave(self) -> None:
        self._stream = None
        with _named("the GPU cannot be left", self._driver):
            try:
                for memory in self._memories:
                    memory.free()
            finally:
                self._memories.clear()
                self._context.pop()
                self._context.detach()

    @property
    def stream(self) -> int:
        """Handle of the stream in which everything happens, in the order it was asked for."""
        return int(self._stream.handle)

    def allocate(self, size_bytes: int) -> int:
        """Address of new memory on the GPU, released by `close`.

        Raises:
            DeviceError: there is not so much.
        """
        with _named(f"{size_bytes} bytes on the GPU", self._driver):
            memory = self._driver.mem_alloc(size_bytes)
        self._memories.append(memory)
        return int(memory)

    def host(self, shape: tuple[int, ...]) -> Tensor:
        """New float32 memory of this machine that the GPU copies from and to by itself.

        Raises:
            DeviceError: there is not so much.
        """
        with _named(f"page-locked memory of shape {shape}", self._driver):
            array: Tensor = self._driver.pagelocked_empty(shape, np.float32)
        return array

    def upload(self, address: int, host: Tensor) -> None:
        """Begin to copy `host`, made by `host()`, to the GPU; it must stay as it is until `wait`.

        Raises:
            DeviceError: the GPU refuses.
        """
        with _named("copying to the GPU", self._driver):
            self._driver.memcpy_htod_async(address, host, self._stream)

    def download(self, host: Tensor, address: int) -> None:
        """Begin to copy into `host`, made by `host()`; it is there after `wait`.

        Raises:
            DeviceError: the GPU refuses.
        """
        with _named("copying from the GPU", self._driver):
            self._driver.memcpy_dtoh_async(host, address, self._stream)

    def wait(self) -> None:
        """Wait until everything that was begun is done.

        Raises:
            DeviceError: some of it failed.
        """
        with _named("the GPU failed", self._driver):
            self._stream.synchronize()


def _driver() -> ModuleType:
    try:
        import pycuda.driver as driver
    except (ImportError, OSError) as error:
        raise DeviceError(f"no GPU can be used: PyCUDA cannot be imported ({error})") from error
    with _named("no GPU can be used", driver):
        driver.init()
    module: ModuleType = driver
    return module


@contextmanager
def _named(what: str, driver: ModuleType) -> Iterator[None]:
    """PyCUDA's errors as `DeviceError`."""
    try:
        yield
    except driver.MemoryError as error:
        raise DeviceError(f"{what}: out of memory ({error})") from error
    except driver.Error as error:
        raise DeviceError(f"{what} ({error})") from error
