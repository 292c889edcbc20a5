"""Which videos teach, which decide when to stop, and which are only ever measured.

The division belongs to the dataset and is stored in it: whatever is trained on a dataset is judged
on the same videos, and a video keeps its part for good, however many are collected after it.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ytm_bundle.errors import DatasetError
from ytm_bundle.files import replacing
from ytm_device.console import say

SPLIT_NAME = "split.json"
MIN_SOURCES = 3
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)

Share = Annotated[float, Field(gt=0, lt=0.5)]


class _Stored(BaseModel):
    """Base of what is written: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SplitRule(_Stored):
    """By what rule sources are divided."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed keeps other videos apart."""
    validation_share: Share = 0.1
    """Share of the sources kept for early stopping."""
    test_share: Share = 0.1
    """Share of the sources kept for the figures."""

    def described(self) -> str:
        """The rule as the flags of ytm-collect."""
        return (
            f"--validation-share {self.validation_share:g} --test-share {self.test_share:g}"
            f" --split-seed {self.seed}"
        )

    def contradicts(self, other: SplitRule) -> bool:
        """Whether a value given to this rule, and not left to its default, is another there."""
        return any(getattr(self, name) != getattr(other, name) for name in self.model_fields_set)


class Split(_Stored):
    """Sources by their use; none stands twice, so no video leaks."""

    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Split:
        for source, count in Counter((*self.train, *self.validation, *self.test)).items():
            if count > 1:
                raise ValueError(f"{source!r} stands {count} times")
        return self

    def within(self, sources: Iterable[str]) -> Split:
        """The part of it that concerns `sources`."""
        kept = set(sources)
        return Split(
            train=tuple(source for source in self.train if source in kept),
            validation=tuple(source for source in self.validation if source in kept),
            test=tuple(source for source in self.test if source in kept),
        )

    def joined(self, other: Split) -> Split:
        """Both together, in order."""
        return Split(
            train=tuple(sorted({*self.train, *other.train})),
            validation=tuple(sorted({*self.validation, *other.validation})),
            test=tuple(sorted({*self.test, *other.test})),
        )


class _StoredSplit(_Stored):
    """What `split.json` holds."""

    rule: SplitRule
    split: Split


def split_sources(sources: Iterable[str], rule: SplitRule, known: Split | None = None) -> Split:
    """Divide the distinct `sources` at random, at least one in each part.

    Args:
        sources: names, in any order, each any number of times.
        rule: shares of the whole, and the seed.
        known: who has a part and keeps it; the others are divided so that the shares hold over all.

    Raises:
        DatasetError: fewer than three distinct sources, or none left for one of the parts.
    """
    distinct = sorted(set(sources))
    if len(distinct) < MIN_SOURCES:
        raise DatasetError(
            f"the dataset has segments of {len(distinct)} video(s); training needs {MIN_SOURCES} or"
            " more, since whole videos are kept apart for validation and test: collect more videos"
        )
    kept = (known or Split()).within(distinct)
    taken = {*kept.train, *kept.validation, *kept.test}
    added = [source for source in distinct if source not in taken]
    shuffled = [added[index] for index in np.random.default_rng(rule.seed).permutation(len(added))]
    test, validation = _sizes(len(distinct), rule)
    more_test = max(0, test - len(kept.test))
    more = more_test + max(0, validation - len(kept.validation))
    split = kept.joined(
        Split(
            test=tuple(shuffled[:more_test]),
            validation=tuple(shuffled[more_test:more]),
            train=tuple(shuffled[more:]),
        )
    )
    _check_parts(split)
    return split


def _sizes(count: int, rule: SplitRule) -> tuple[int, int]:
    """How many of `count` sources are for test and for validation; at least one teaches."""
    test = min(max(1, round(rule.test_share * count)), count - 2)
    return test, min(max(1, round(rule.validation_share * count)), count - test - 1)


def _check_parts(split: Split) -> None:
    for part in ("train", "validation", "test"):
        if not getattr(split, part):
            raise DatasetError(
                f"{SPLIT_NAME} leaves no video of the dataset for {part}; collect more videos, or"
                " delete it to divide them anew"
            )


def check_rule(dataset: Path, rule: SplitRule) -> None:
    """Check that the dataset was not divided by another rule.

    Raises:
        DatasetError: it was, or `split.json` is damaged.
    """
    stored = _read(dataset / SPLIT_NAME)
    if stored is not None and rule.contradicts(stored.rule):
        raise DatasetError(
            f"{dataset / SPLIT_NAME}: the videos were divided with {stored.rule.described()}, not"
            f" with {rule.described()}; use those, or give another --out"
        )


def stored_split(dataset: Path, sources: Iterable[str], rule: SplitRule | None = None) -> Split:
    """The dataset's own division of `sources`; those that have no part yet get one for good.

    Args:
        dataset: its folder. If that is read-only, the division is worked out and not stored.
        sources: the videos that it has segments of.
        rule: how to divide them, if no rule is stored.

    Raises:
        DatasetError: `split.json` is damaged or cannot be written, or there are too few sources.
    """
    path, sources = dataset / SPLIT_NAME, set(sources)
    stored = _read(path) or _StoredSplit(rule=rule or SplitRule(), split=Split())
    split = split_sources(sources, stored.rule, stored.split)
    whole = stored.split.joined(split)
    if whole != stored.split:
        _write(path, stored.model_copy(update={"split": whole}))
    return split


def store_split(dataset: Path, split: Split) -> None:
    """Store a division made by hand; sources that are added later get parts by the default rule.

    Raises:
        DatasetError: it cannot be written.
    """
    _write(dataset / SPLIT_NAME, _StoredSplit(rule=SplitRule(), split=split))


def _read(path: Path) -> _StoredSplit | None:
    """What is stored; None if nothing is."""
    remedy = "put it back, or delete it to divide the videos anew (and then train anew)"
    try:
        return _StoredSplit.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise DatasetError(
            f"{path}: damaged ({key}{': ' if key else ''}{first['msg']}); {remedy}"
        ) from error


def _write(path: Path, stored: _StoredSplit) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_text(f"{stored.model_dump_json(indent=1)}\n", encoding="utf-8")
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise DatasetError(
                f"{path}: cannot be written ({error.strerror}); make room, run again"
            ) from error
        say(f"{path}: not stored ({error.strerror}); the same videos are divided the same again")
