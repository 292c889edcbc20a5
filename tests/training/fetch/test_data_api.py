"""What is still there, asked of a stand-in for the Data API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from data_api_site import KEY, DataApiSite, error, open_data_api, video
from ytm_training.fetch.data_api import DataApi, VideoFacts


@pytest.fixture
def api() -> Iterator[DataApiSite]:
    with open_data_api() as site:
        yield site


def names(count: int) -> list[str]:
    return [f"id{number:09d}" for number in range(count)]


def asked(api: DataApiSite, ids: list[str], key: str = KEY):
    waits: list[float] = []
    answer = DataApi(key, api.url, waits.append).look_up(ids)
    return answer, waits


def test_fifty_a_call_and_a_unit_each(api) -> None:
    ids = names(120)
    api.videos = {each: video() for each in ids[:100]}
    answer, waits = asked(api, ids)
    assert [len(call) for call in api.calls] == [50, 50, 20]
    assert (answer.units, api.units, answer.stopped, waits) == (3, 3, None, [])
    assert set(answer.known) == set(ids[:100])
    assert answer.gone == set(ids[100:])
    assert all(KEY not in path for path in api.paths)


def test_a_whole_history_needs_244_units(api) -> None:
    answer, _ = asked(api, names(12_183))
    assert answer.units == 244


def test_what_it_says_of_a_video(api) -> None:
    api.videos = {
        "plain": video(),
        "long": video(duration="P1DT2H3M4S", category="99", kids=True, embeddable=False),
        "live": video(live="live", duration="P0D"),
        "adult": video(adult=True),
        "failed": video(upload="rejected"),
        "odd": {"status": None, "contentDetails": [], "snippet": "x"},
    }
    known = asked(api, list(api.videos))[0].known
    assert known["plain"] == VideoFacts(253.0, "music", False, False, False, True, True)
    assert known["long"] == VideoFacts(93_784.0, None, False, False, True, False, True)
    reasons = {name: facts.reason_against() for name, facts in known.items()}
    assert reasons == {
        "plain": None,
        "long": None,
        "live": "live",
        "adult": "age-restricted",
        "failed": "removed",
        "odd": None,
    }
    assert known["odd"].length_s is None


def test_a_quota_used_up_ends_it_and_what_is_known_stays(api) -> None:
    ids = names(150)
    api.videos, api.quota = {each: video() for each in ids}, 2
    answer, waits = asked(api, ids)
    assert len(answer.known) == 100
    assert not answer.gone
    assert "quota is used up" in (answer.stopped or "")
    assert waits == []


@pytest.mark.parametrize(
    "reply",
    [
        error(500, "backendError"),
        error(503, "x"),
        error(403, "rateLimitExceeded"),
        error(429, "rateLimitExceeded"),
        (200, b"no json"),
        (200, b"[" * 100_000),
        (200, b'{"kind": "youtube#videoListResponse"}'),
        (200, b"[]"),
        (503, b"<html>"),
    ],
)
def test_what_may_pass_is_asked_again(reply, api) -> None:
    api.videos, api.replies = {"a": video()}, [reply, reply]
    answer, waits = asked(api, ["a"])
    assert set(answer.known) == {"a"}
    assert (answer.units, waits) == (3, [1.0, 2.0])


@pytest.mark.parametrize("count", [4, 40])
def test_what_does_not_pass_ends_it(count, api) -> None:
    api.replies = [error(503, "x")] * count
    answer, waits = asked(api, names(100))
    assert answer.stopped == "the API answers 503"
    assert (answer.units, len(api.calls), waits) == (4, 4, [1.0, 2.0, 4.0])
    assert not answer.gone


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (error(403, "accessNotConfigured"), "accessNotConfigured"),
        (error(400, "keyInvalid"), "keyInvalid"),
        ((403, b"<html>"), "no reason given"),
        ((302, b""), "302"),
    ],
)
def test_a_refusal_ends_it_and_names_the_key_without_showing_it(reply, said, api) -> None:
    api.replies = [reply]
    answer, _ = asked(api, ["a"])
    assert said in (answer.stopped or "")
    assert "YTM_YOUTUBE_API_KEY" in (answer.stopped or "")
    assert len(api.calls) == 1


def test_a_wrong_key_is_not_shown(api) -> None:
    answer, _ = asked(api, ["a"], key="wrongSecret")
    assert "badRequest" in (answer.stopped or "")
    assert "wrongSecret" not in (answer.stopped or "")


def test_nobody_there_ends_it() -> None:
    waits: list[float] = []
    answer = DataApi(KEY, "http://127.0.0.1:9/youtube/v3", waits.append).look_up(["a"])
    assert "cannot be reached" in (answer.stopped or "")
    assert KEY not in (answer.stopped or "")
