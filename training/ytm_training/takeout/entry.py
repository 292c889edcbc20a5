"""An entry of a history as its file says it, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Reason = Literal[
    "ad",
    "removed",
    "post",
    "playlist",
    "channel",
    "search",
    "story",
    "page",
    "elsewhere",
    "no id",
    "malformed",
    "too large",
    "duplicate",
    "beyond the limit",
]
"""Why an entry is dropped; docs/takeout.md says what each means."""
MAX_TEXT = 300
"""Characters of a title or the name of a channel that are kept."""


@dataclass(frozen=True)
class Entry:
    """One line of a history."""

    url: str | None = None
    title: str | None = None
    """In JSON with the translated "Watched" around it."""
    channel: str | None = None
    watched: datetime | None = None
    ad: bool = False
    music: bool = False
    unreadable: Literal["malformed", "too large"] | None = None
    """Why nothing else is known of it."""


def shortened(text: object) -> str | None:
    """`text` in `MAX_TEXT` characters that can be printed; None unless it says something."""
    if not isinstance(text, str):
        return None
    text = text[: 2 * MAX_TEXT].strip()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text).strip()
    return text[:MAX_TEXT] or None
