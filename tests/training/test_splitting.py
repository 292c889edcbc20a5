"""No video leaks from one part of the split to another, now or when more are collected."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytm_bundle.errors import DatasetError
from ytm_training import splitting
from ytm_training.splitting import (
    SPLIT_NAME,
    Split,
    SplitRule,
    check_rule,
    split_sources,
    stored_split,
)

PARTS = ("train", "validation", "test")
names = st.sets(st.text(min_size=1, max_size=6), min_size=3, max_size=40)
rules = st.builds(
    SplitRule,
    seed=st.integers(0, 5),
    validation_share=st.floats(0.01, 0.49),
    test_share=st.floats(0.01, 0.49),
)


def numbered(count: int) -> list[str]:
    return [f"video{number:03d}" for number in range(count)]


def part_of(split: Split) -> dict[str, str]:
    return {source: part for part in PARTS for source in getattr(split, part)}


@given(names, rules)
def test_every_source_stands_in_one_part_and_no_part_is_empty(sources, rule) -> None:
    split = split_sources([*sources, *sources], rule)
    everything = [source for part in PARTS for source in getattr(split, part)]
    assert sorted(everything) == sorted(sources)
    assert all(getattr(split, part) for part in PARTS)


@settings(max_examples=50, deadline=None)
@given(st.lists(names, min_size=1, max_size=4), rules)
def test_sources_added_later_move_nobody(tmp_path_factory, collected, rule) -> None:
    dataset = tmp_path_factory.mktemp("dataset")
    sources: set[str] = set()
    before: dict[str, str] = {}
    for added in collected:
        sources |= added
        split = stored_split(dataset, sources, rule)
        after = part_of(split)
        assert set(after) == sources
        assert all(after[source] == part for source, part in before.items())
        assert split == stored_split(dataset, sources)
        before = after


def test_the_shares_hold_over_the_whole(tmp_path) -> None:
    rule = SplitRule(validation_share=0.1, test_share=0.2)
    for count in (10, 31, 200):
        split = stored_split(tmp_path, numbered(count), rule)
        assert (len(split.validation), len(split.test)) == (round(count / 10), round(count / 5))


def test_the_split_follows_the_seed_and_not_the_order() -> None:
    sources = numbered(30)
    first = split_sources(sources, SplitRule(seed=1))
    assert first == split_sources(sources[::-1], SplitRule(seed=1))
    assert first != split_sources(sources, SplitRule(seed=2))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_videos_cannot_be_divided(count, tmp_path) -> None:
    with pytest.raises(DatasetError, match=f"segments of {count} video"):
        stored_split(tmp_path, numbered(count))
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_written_only_if_something_was_added(tmp_path) -> None:
    path = tmp_path / SPLIT_NAME
    stored_split(tmp_path, numbered(20))
    written = path.stat().st_mtime_ns, path.read_bytes()
    stored_split(tmp_path, numbered(20))
    stored_split(tmp_path, numbered(12))
    assert (path.stat().st_mtime_ns, path.read_bytes()) == written
    stored_split(tmp_path, numbered(21))
    assert path.read_bytes() != written[1]


def test_sources_that_the_dataset_lacks_are_harmless_and_keep_their_part(tmp_path) -> None:
    whole = part_of(stored_split(tmp_path, numbered(40)))
    missing = next(source for source, part in whole.items() if part == "test")
    fewer = [source for source in numbered(40) if source != missing]
    assert part_of(stored_split(tmp_path, fewer)) == {s: whole[s] for s in fewer}
    stored_split(tmp_path, [*fewer, "added"])
    assert part_of(stored_split(tmp_path, numbered(40))) == whole


def test_a_part_that_has_lost_all_its_videos_is_named(tmp_path) -> None:
    split = stored_split(tmp_path, numbered(10))
    with pytest.raises(DatasetError, match="leaves no video of the dataset for test"):
        stored_split(tmp_path, [*split.train, *split.validation])


def _damaged(text: str) -> str:
    stored = {"rule": {"seed": 0}, "split": {"train": ["a"], "validation": ["b"], "test": ["c"]}}
    if text == "in two parts":
        stored["split"]["train"].append("c")  # type: ignore[attr-defined]
    elif text == "unknown key":
        stored["rule"]["folds"] = 5  # type: ignore[index]
    elif text == "share out of range":
        stored["rule"]["test_share"] = 0.9  # type: ignore[index]
    else:
        return text
    return json.dumps(stored)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("", "EOF|Invalid JSON"),
        ('{"rule": {', "EOF|Invalid JSON"),
        ("[]", "object"),
        ("\udcff", "Invalid JSON"),
        ("in two parts", r"split: .*'c' stands 2 times"),
        ("unknown key", "rule.folds"),
        ("share out of range", "rule.test_share"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(damage, said, tmp_path) -> None:
    path = tmp_path / SPLIT_NAME
    path.write_text(_damaged(damage), encoding="utf-8", errors="surrogateescape")
    before = path.read_bytes()
    with pytest.raises(DatasetError, match=said) as refused:
        stored_split(tmp_path, ["a", "b", "c"])
    assert str(refused.value).startswith(f"{path}: damaged")
    assert "delete it" in str(refused.value)
    assert path.read_bytes() == before


def test_only_a_rule_that_was_asked_for_is_compared(tmp_path) -> None:
    check_rule(tmp_path, SplitRule(seed=9))
    stored_split(tmp_path, numbered(5), SplitRule(seed=9, test_share=0.2))
    check_rule(tmp_path, SplitRule())
    check_rule(tmp_path, SplitRule(test_share=0.2))
    with pytest.raises(
        DatasetError, match=r"--test-share 0.2 --split-seed 9, not .*--test-share 0.1"
    ):
        check_rule(tmp_path, SplitRule(test_share=0.1))


def _refusing(code: int):
    def refuse(path: Path):
        raise OSError(code, "no", str(path))

    return refuse


def test_a_read_only_dataset_is_divided_all_the_same(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(splitting, "replacing", _refusing(errno.EROFS))
    split = stored_split(tmp_path, numbered(20))
    assert split == split_sources(numbered(20), SplitRule())
    assert f"{SPLIT_NAME}: not stored" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(splitting, "replacing", _refusing(errno.ENOSPC))
    with pytest.raises(DatasetError, match=r"split.json: cannot be written.*make room"):
        stored_split(tmp_path, numbered(20))
