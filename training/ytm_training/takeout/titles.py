"""Titles out of the translated sentence that JSON wraps around them.

The sentence ("Watched ...", "... angesehen") is the same in a whole file, so it is what all titles
have in common. Where a title is its own link, the sentence can be read off at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SAMPLE = 500
_FEWEST = 4
_SHARE = 0.9


class Sentence(NamedTuple):
    """What stands before and after a title."""

    before: str = ""
    after: str = ""

    def title(self, text: str) -> str:
        """The title in `text`; all of it where the sentence is another."""
        long_enough = len(text) > len(self.before) + len(self.after)
        if long_enough and text.startswith(self.before) and text.endswith(self.after):
            return text[len(self.before) : len(text) - len(self.after)].strip()
        return text


def sentence_around(text: str, url: str) -> Sentence | None:
    """The sentence around a link that stands for a title; None if it is not in `text`."""
    before, found, after = text.partition(url)
    return Sentence(before, after) if found and len(before) + len(after) < len(text) else None


def common_sentence(titles: Sequence[str]) -> Sentence:
    """What nearly all of `titles`, each of another channel, have in common at both ends."""
    if len(titles) < _FEWEST:
        return Sentence()
    before = _common_start(titles)
    rest = [title[len(before) :] for title in titles if title.startswith(before)]
    return Sentence(before, _common_start([title[::-1] for title in rest])[::-1])


def _common_start(texts: Iterable[str]) -> str:
    left = list(texts)
    needed = max(_FEWEST, _SHARE * len(left))
    start = ""
    while left:
        letters = Counter(text[len(start)] for text in left if len(text) > len(start))
        letter, count = letters.most_common(1)[0] if letters else ("", 0)
        if count < needed:
            break
        start += letter
        left = [text for text in left if text.startswith(start)]
    return start
