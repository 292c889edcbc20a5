"""What became of every file, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ytm_bundle.files import replacing
from ytm_training.dataset import Outcome, Settings

REPORT_NAMES = ("report.json", "report.txt")


@dataclass(frozen=True)
class Report:
    """The outcomes of a collection."""

    settings: Settings
    outcomes: tuple[Outcome, ...]
    left_out: int
    """Videos that the conditions leave out."""
    by: str = "--only"
    """What left them out."""

    def summary(self) -> str:
        """One line of counts."""
        kept = [outcome for outcome in self.outcomes if outcome.kept]
        segments = sum(outcome.kept for outcome in kept)
        reasons = Counter(outcome.reason for outcome in self.outcomes if not outcome.kept)
        line = f"kept {_counted(segments, 'segment')} of {_counted(len(kept), 'video')}"
        line += f"; skipped {sum(reasons.values())}"
        if reasons:
            counts = sorted(reasons.items(), key=lambda item: (-item[1], str(item[0])))
            line += ": " + ", ".join(f"{count} {reason}" for reason, count in counts)
        if self.left_out:
            line += f"; left out {self.left_out} by {self.by}"
        return line

    def as_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps(
            {
                "kept_segments": sum(outcome.kept for outcome in self.outcomes),
                "kept_videos": sum(outcome.kept > 0 for outcome in self.outcomes),
                "skipped": dict(Counter(o.reason for o in self.outcomes if not o.kept)),
                "left_out": self.left_out,
                "settings": asdict(self.settings),
                "files": [
                    {"file": o.file, "kept": o.kept, "reason": o.reason, "note": o.note}
                    for o in self.outcomes
                ],
            },
            indent=2,
        )

    def as_text(self) -> str:
        """A line for each file, then the summary."""
        return "\n".join([*map(_line, self.outcomes), "", self.summary(), ""])

    def write(self, folder: Path) -> None:
        """Write `REPORT_NAMES` into `folder`."""
        for name, text in zip(REPORT_NAMES, (self.as_json(), self.as_text()), strict=True):
            with replacing(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _line(outcome: Outcome) -> str:
    what = f"kept {outcome.kept}" if outcome.kept else f"skipped: {outcome.reason}"
    return printable("  ".join(part for part in (outcome.file, what, outcome.note) if part))


def printable(text: Iterable[str]) -> str:
    """Escape what could move the cursor or break a line: file names may hold anything."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
