"""A root file system that is not this machine's: what is read and changed there stays there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from ytm_bundle.errors import ImageError

_LINKS = 40
"""As many links as the kernel follows on the way to one file."""


@dataclass(frozen=True)
class Written:
    """A file that is to hold `text`."""

    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True)
class Linked:
    """A name that is to be a link to `target`."""

    path: str
    target: str


@dataclass(frozen=True)
class Removed:
    """A file or link that is to be gone."""

    path: str


Change = Written | Linked | Removed


class Tree:
    """Paths in a root file system, as whoever is inside it sees them.

    Links that begin with a slash lead to a place in it, and `..` does not lead out: a link to /etc
    is one to its own /etc. Paths are given without the slash at their beginning.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str, *, follow: bool = True) -> Path:
        """Where `name` lies on this machine; it need not be there.

        Args:
            name: a path in the tree.
            follow: whether the last part is followed, where it is a link.

        Raises:
            ImageError: its links lead round in a circle.
        """
        parts = [part for part in reversed(name.split("/")) if part not in ("", ".")]
        found: list[str] = []
        links = 0
        while parts:
            part = parts.pop()
            if part == "..":
                found[-1:] = []
                continue
            here = self.root.joinpath(*found, part)
            if not here.is_symlink() or not (parts or follow):
                found.append(part)
                continue
            links += 1
            if links > _LINKS:
                raise ImageError(f"{self.root / name}: its links lead round in a circle")
            target = str(here.readlink())
            if target.startswith("/"):
                found.clear()
            parts += [each for each in reversed(target.split("/")) if each not in ("", ".")]
        return self.root.joinpath(*found)

    def read(self, name: str) -> str | None:
        """The text of a file; None where there is none.

        Raises:
            ImageError: it cannot be read, or is no text.
        """
        path = self.path(name)
        if not path.is_file():
            return None
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ImageError(f"{path}: cannot be read ({error})") from error

    def target(self, name: str) -> str | None:
        """What a link says; None where there is no link of that name."""
        path = self.path(name, follow=False)
        return str(path.readlink()) if path.is_symlink() else None

    def names(self, folder: str, patterns: Iterable[str]) -> list[str]:
        """What in `folder` has a name like one of `patterns`, as paths in the tree, sorted."""
        path = self.path(folder)
        if not path.is_dir():
            return []
        chosen = list(patterns)
        return sorted(
            f"{folder}/{each.name}"
            for each in path.iterdir()
            if any(fnmatch(each.name, pattern) for pattern in chosen)
        )

    def change(self, changes: Iterable[Change]) -> None:
        """Make `changes`. What stands at a path is replaced, never written through.

        Raises:
            ImageError: a change cannot be made.
        """
        for change in changes:
            path = self.path(change.path, follow=False)
            try:
                _make(change, path)
            except OSError as error:
                raise ImageError(f"{path}: cannot be changed ({error.strerror})") from error

    def described(self, changes: Iterable[Change]) -> list[str]:
        """What `changes` would do, in lines for people; of texts, what is another."""
        lines: list[str] = []
        for change in changes:
            if isinstance(change, Written):
                old = (self.read(change.path) or "").splitlines()
                new = change.text.splitlines()
                lines.append(f"write /{change.path}")
                differs = list(difflib.unified_diff(old, new, lineterm="", n=1))[2:]
                lines += [f"  {line}" for line in differs]
            elif isinstance(change, Linked):
                lines.append(f"link /{change.path} -> {change.target}")
            else:
                lines.append(f"remove /{change.path}")
        return lines


def _make(change: Change, path: Path) -> None:
    if isinstance(change, Removed):
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.unlink(missing_ok=True)
    if isinstance(change, Linked):
        temporary.symlink_to(change.target)
    else:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(change.text)
        temporary.chmod(change.mode)
    temporary.replace(path)
