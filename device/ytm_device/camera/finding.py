"""Which node is the camera, also after it was unplugged and came back under another number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ytm_device.camera.v4l2 import Capabilities, captures, probe

_DEV = Path("/dev")
_BY_ID = _DEV / "v4l/by-id"
_LASTING = _DEV / "v4l"


def cameras() -> Iterator[Path]:
    """Cameras that can be read, those with a lasting name first."""
    for folder, pattern in ((_BY_ID, "*"), (_DEV, "video*")):
        yield from (path for path in _listed(folder, pattern) if captures(path))


@dataclass(frozen=True)
class Found:
    """A camera that answered."""

    path: Path
    """Its lasting name, where it has one."""
    node: Path
    """Where it is at present."""
    capabilities: Capabilities


class Finder:
    """Finds one camera again and again; the first that it found is the one that it looks for."""

    def __init__(self, wanted: Path | None) -> None:
        """Look for the camera at `wanted`; without a wish, for the first there is."""
        self._wanted = wanted
        self._known: Found | None = None

    def find(self) -> Found | None:
        """Where the camera is; None if it is not there, or nothing there is a camera."""
        found = next(self._candidates(), None)
        if found is None:
            return None
        self._known = replace(found, path=_lasting_name(found))
        return self._known

    def _candidates(self) -> Iterator[Found]:
        """Places to look, surest first.

        A number alone may have gone to another camera meanwhile, so it is trusted only where the
        camera that has it says that it is the same.
        """
        if self._known is not None and not _is_lasting(self._wanted):
            yield from self._where_it_may_be(self._known)
        # The first time, or by a lasting name; or somebody has put another camera in its place.
        yield from _answering(cameras() if self._wanted is None else [self._wanted])

    def _where_it_may_be(self, known: Found) -> Iterator[Found]:
        if _is_lasting(known.path):
            yield from _answering([known.path])
        present = list(_answering(_listed(_DEV, "video*")))
        card, bus = known.capabilities.card, known.capabilities.bus
        same = [found for found in present if found.capabilities.card == card]
        yield from (found for found in same if found.capabilities.bus == bus)
        yield from same


def _answering(paths: Iterable[Path]) -> Iterator[Found]:
    for path in paths:
        node = path.resolve()
        capabilities = probe(node)
        if capabilities is not None:
            yield Found(path, node, capabilities)


def _listed(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:  # udev is just taking the folder away, with the camera
        return []


def _is_lasting(path: Path | None) -> bool:
    return path is not None and path.is_relative_to(_LASTING)


def _lasting_name(found: Found) -> Path:
    links = _listed(_BY_ID, "*")
    return next((link for link in links if link.resolve() == found.node), found.path)
