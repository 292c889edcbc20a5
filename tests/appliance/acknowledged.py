"""What a thing on a disk may be after a power cut: the last that was acknowledged, or the next."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Change:
    """Something that was made to last."""

    state: object
    begun: int
    """Entries of the disk's log before it."""
    done: int
    """Entries of the disk's log when it had been acknowledged."""


@dataclass
class History:
    """All that one thing was, in turn; None at first."""

    changes: list[Change] = field(default_factory=list)

    def allowed(self, at: int) -> list[object]:
        """What it may be if the disk was given `at` entries, the oldest first."""
        acknowledged = [change.state for change in self.changes if change.done <= at]
        begun = [change.state for change in self.changes if change.begun <= at < change.done]
        return [*(acknowledged[-1:] or [None]), *begun]
