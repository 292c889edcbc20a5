"""Which video to fetch, by what right, and under which conditions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ytm_training.fetch.faults import FetchError


@dataclass(frozen=True)
class Access:
    """By what right and with what patience to ask."""

    cookies: Path | None = None
    """A file of cookies in Netscape's format; it is read and never written."""
    browser: str | None = None
    """A browser whose cookies to use."""
    timeout_s: float = 20.0
    """Seconds of silence after which a connection is given up."""


@dataclass(frozen=True)
class Limits:
    """Which videos are wanted; known for some only when they are looked up."""

    min_length_s: float | None = None
    max_length_s: float | None = None
    categories: tuple[str, ...] = ()
    """In small letters; any of them. Empty: all."""

    def refuse(self, length_s: float | None, category: str | None) -> None:
        """See that a video is wanted, as far as is known.

        Raises:
            FetchError: it is not.
        """
        if self.categories and category is not None and category not in self.categories:
            raise FetchError("other category", "final")
        if length_s is not None and self.min_length_s is not None and length_s < self.min_length_s:
            raise FetchError("shorter than wanted", "final")
        if length_s is not None and self.max_length_s is not None and length_s > self.max_length_s:
            raise FetchError("longer than wanted", "final")


@dataclass(frozen=True)
class Wish:
    """Which video to fetch, and how."""

    source: str
    access: Access
    limits: Limits
    keep_title: bool = False
