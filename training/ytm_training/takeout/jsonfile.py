"""Entries of a history in JSON: a list of objects, read one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ytm_training.takeout.dates import read_iso
from ytm_training.takeout.entry import Entry, shortened
from ytm_training.takeout.links import MAX_CHARACTERS
from ytm_training.takeout.text import Readable, texts

MAX_ENTRY = 1 << 20
"""Characters of the largest entry that is read."""
_BETWEEN = re.compile(r"[\s,\0]*")
_STRUCTURE = re.compile(r'["\[\]{}]')
_TOP_STRUCTURE = re.compile(r'[,"\[\]{}]')
_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_decode = json.JSONDecoder(strict=False).raw_decode


class JsonEntries:
    """The entries of a file; what is left of one that is cut off is one malformed entry."""

    def __init__(self, file: Readable) -> None:
        self._scanner = _Scanner(texts(file))
        self.complete = False
        """Whether the end of the list was there; known once all entries have been read."""

    def __iter__(self) -> Iterator[Entry]:
        scanner = self._scanner
        if scanner.next_character() != "[":
            return
        scanner.skip(1)
        while (character := scanner.next_character()) not in ("", "]"):
            yield _entry(scanner.value() if character == "{" else scanner.pass_over())
        self.complete = character == "]"


class _Scanner:
    """Values of a list of any length, with `MAX_ENTRY` and a piece of text in memory."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces, self._text, self._at = pieces, "", 0

    def skip(self, characters: int) -> None:
        """Go on by some of those that have been seen."""
        self._at += characters

    def next_character(self) -> str:
        """The first character that is no space or comma; empty at the end."""
        while True:
            self._at = _BETWEEN.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def value(self) -> Any:
        """The value that begins here, or the reason why it cannot be read."""
        while True:
            try:
                value, self._at = _decode(self._text, self._at)
            except RecursionError:
                return self.pass_over()
            except ValueError:
                if len(self._text) - self._at > MAX_ENTRY or not self._more():
                    return self.pass_over()
            else:
                return value

    def pass_over(self) -> str:
        """Go behind the value that begins here; the reason why it is not read."""
        passed = 0
        depth = 0
        while True:
            found = (_STRUCTURE if depth else _TOP_STRUCTURE).search(self._text, self._at)
            end = found.end() if found else len(self._text)
            passed, self._at = passed + end - self._at, end
            if found is None:
                if not self._more():
                    break
                continue
            if found[0] == '"':
                passed += self._pass_string()
            elif found[0] in "[{":
                depth += 1
            elif found[0] in "]}":
                # A bracket too many ends the list, not this value.
                self._at -= not depth and found[0] == "]"
                depth -= 1
            if depth <= 0:
                break
        return "too large" if passed > MAX_ENTRY else "malformed"

    def _pass_string(self) -> int:
        """Go behind the string that begins here; the number of characters passed."""
        passed = 0
        while True:
            end = _STRING.match(self._text, self._at).end()  # type: ignore[union-attr]
            passed, self._at = passed + end - self._at, end
            if self._text.startswith('"', end):
                self._at += 1
                return passed + 1
            if not self._more():
                self._at = len(self._text)
                return passed

    def _more(self) -> bool:
        piece = next((piece for piece in self._pieces if piece), "")
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)


def _entry(value: Any) -> Entry:
    if not isinstance(value, dict):
        return Entry(unreadable="too large" if value == "too large" else "malformed")
    said = [value.get(key) for key in ("titleUrl", "title", "time")]
    if not any(said) or not all(text is None or isinstance(text, str) for text in said):
        return Entry(unreadable="malformed")
    url, title, time = said
    return Entry(
        url=url[: MAX_CHARACTERS + 1] if url else None,
        title=shortened(title),
        channel=_channel(value.get("subtitles")),
        watched=read_iso(time) if time else None,
        ad=_holds_names(value.get("details")),
        music="music" in str(value.get("header"))[:100].casefold(),
    )


def _channel(subtitles: Any) -> str | None:
    first = subtitles[0] if isinstance(subtitles, list) and subtitles else None
    return shortened(first.get("name")) if isinstance(first, dict) else None


def _holds_names(details: Any) -> bool:
    """Whether a list of details holds one; in a history of YouTube only ads have any."""
    return isinstance(details, list) and any(
        isinstance(detail, dict) and detail.get("name") for detail in details
    )
