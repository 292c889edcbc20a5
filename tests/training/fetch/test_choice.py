"""Which videos are chosen, and that it stays so."""

from __future__ import annotations

import datetime
import json

import pytest

from ytm_bundle.errors import DatasetError, UsageError
from ytm_training.collect.choice import Candidate, Draw, choose, store_choice, stored_choice
from ytm_training.fetch.data_api import Answer, VideoFacts
from ytm_training.fetch.wish import Limits

UTC = datetime.timezone.utc


def day(number: int) -> datetime.datetime:
    return datetime.datetime(2020, 1, number, 12, tzinfo=UTC)


def many(count: int) -> list[Candidate]:
    return [
        Candidate(f"id{n:09d}", (day(1 + n % 28),), ("Tina", "Otto", None)[n % 3])
        for n in range(count)
    ]


def test_half_of_them_is_the_half_of_the_artwork() -> None:
    assert len(choose(many(12_183), Draw(share=0.5), None).sources) == 6092


def test_a_choice_depends_on_the_seed_and_not_on_the_order() -> None:
    candidates = many(100)
    one = choose(candidates, Draw(seed=1, count=30), None)
    assert choose(candidates[::-1], Draw(seed=1, count=30), None).sources == one.sources
    assert set(choose(candidates, Draw(seed=2, count=30), None).sources) != set(one.sources)
    more = choose(candidates, Draw(seed=1, count=60), None)
    assert more.sources[:30] == one.sources
    assert one.left_out == {"not drawn": 70}


def test_dates_and_channels_decide() -> None:
    draw = Draw(since=datetime.date(2020, 1, 5), until=datetime.date(2020, 1, 8))
    assert len(choose(many(28), draw, None).sources) == 4
    assert len(choose(many(28), Draw(channels=("tina",)), None).sources) == 10
    assert len(choose(many(28), Draw(not_channels=("TINA", "Otto")), None).sources) == 9
    with pytest.raises(UsageError, match="28 other date or channel"):
        choose(many(28), Draw(channels=("nobody",)), None)


def facts(length_s: float, category: str, **more: bool) -> VideoFacts:
    known = {
        "live": False,
        "age_restricted": False,
        "made_for_kids": False,
        "embeddable": True,
        "processed": True,
    }
    return VideoFacts(length_s, category, **{**known, **more})


def test_what_the_api_says_decides() -> None:
    ids = [candidate.source for candidate in many(6)]
    known = {
        ids[0]: facts(100, "music"),
        ids[1]: facts(5, "music"),
        ids[2]: facts(100, "gaming"),
        ids[3]: facts(100, "music", live=True),
    }
    limits = Limits(min_length_s=10, categories=("music",))
    choice = choose(many(6), Draw(limits=limits), Answer(known, gone={ids[4]}))
    # The last is unknown, so that it is found out about while fetching.
    assert set(choice.sources) == {ids[0], ids[5]}
    assert choice.left_out == {
        "shorter than wanted": 1,
        "other category": 1,
        "live": 1,
        "removed or private": 1,
    }


def test_a_choice_stands_though_the_history_grows(tmp_path) -> None:
    draw = Draw(seed=4, share=0.5, channels=("Tina",))
    choice = choose(many(60), draw, None)
    store_choice(tmp_path, draw, choice)
    assert stored_choice(tmp_path, draw) == choice
    written = (tmp_path / "choice.json").read_text()
    assert "Tina" not in written
    assert set(json.loads(written)["ids"]) == set(choice.sources)
    with pytest.raises(DatasetError, match="chosen with another count and share"):
        stored_choice(tmp_path, Draw(seed=4, count=3, channels=("Otto",)))
    assert stored_choice(tmp_path / "none", draw) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 9}', '{"version": 1, "ids": 3}'])
def test_a_damaged_choice_is_not_drawn_again(content, tmp_path) -> None:
    (tmp_path / "choice.json").write_text(content)
    with pytest.raises(DatasetError, match=r"choice\.json: cannot be used"):
        stored_choice(tmp_path, Draw())
