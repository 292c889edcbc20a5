"""A mark in the run folder while engines are asked: whoever never comes back leaves it there.

A GPU that hangs cannot be left by the process that waits for it; the watchdog ends that, and the
next process must not wait for the same engines again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ytm_bundle.errors import DeviceError


class Asked:
    """The mark of one set of engines. Engines that are built again have another."""

    def __init__(self, run_dir: Path, name: str) -> None:
        """Of the engines `name`, in the folder that is empty when the machine starts."""
        self._path = run_dir / f"engines-{name}.asked"

    def check(self) -> None:
        """Refuse engines that a process has not come back from.

        Raises:
            DeviceError: there is such a mark.
        """
        if self._path.exists():
            raise DeviceError(
                f"{self._path}: a process has not come back from these engines; they are not asked"
                " again until the board restarts, the file is removed or they are built again"
            )

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Leave the mark while what is inside happens, where the run folder can be written."""
        with suppress(OSError):
            self._path.touch()
        try:
            yield
        finally:
            self.forget()

    def forget(self) -> None:
        """Take the mark away."""
        with suppress(OSError):
            self._path.unlink()
