"""Making an image as a list of steps, which can be shown without being done."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ytm_build.image.running import run
from ytm_build.image.tree import Change, Tree
from ytm_bundle.errors import ImageError

Say = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One thing that is done."""

    what: str
    shown: Callable[[], list[str]]
    """How it would be done, in lines; looks, and changes nothing."""
    do: Callable[[], None]


def command(what: str, words: Sequence[str], fix: str) -> Step:
    """A step that runs a tool.

    Args:
        what: for people.
        words: its name and arguments.
        fix: what to do where it is missing or fails.
    """

    def do() -> None:
        run(words, fix)

    return Step(what, lambda: [shlex.join(words)], do)


def changes(what: str, before: Tree, tree: Tree, wanted: Callable[[Tree], list[Change]]) -> Step:
    """A step that changes files of `tree`, a copy of `before`.

    Args:
        what: for people.
        before: where a look is taken when the step is only shown.
        tree: where it is done.
        wanted: the changes, from what is there.
    """
    return Step(
        what,
        lambda: before.described(wanted(before)),
        lambda: tree.change(wanted(tree)),
    )


def show(steps: Iterable[Step], say: Say) -> None:
    """Say in order what would be done."""
    for number, step in enumerate(steps, 1):
        say(f"{number}. {step.what}")
        for line in step.shown():
            say(f"   {line}")


def follow(steps: Sequence[Step], say: Say) -> None:
    """Do the steps in order.

    Raises:
        ImageError: one of them failed; what follows is not done.
    """
    for number, step in enumerate(steps, 1):
        say(f"{number} of {len(steps)}: {step.what}")
        try:
            step.do()
        except OSError as error:
            raise ImageError(f"{step.what}: {error}") from error
