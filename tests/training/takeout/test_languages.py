"""Exports in every language are counted exactly, as JSON and as HTML."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from takeouts import LANGUAGES, NEWEST, expected, export, in_html, in_json, lines, video_id
from ytm_training.takeout.history import History, read_history

TITLES = {
    1: "A first <video> & 'more'",
    2: "שלום עולם",
    3: "動画の題名",
    4: "2026. 11. 3. at 10:20:30",
    5: "عنوان قصير",
    6: "Live",
    7: "A song",
    8: "No channel is known",
}
CHANNELS = {1: "Ann & Co", 2: "Ben", 3: "Cai", 4: "Dee", 5: "Eve", 6: "Fay", 7: "Gus", 8: None}
LANGUAGE = pytest.mark.parametrize("name", LANGUAGES)


def check(history: History) -> None:
    """That exactly the lines of `takeouts.lines` were found, once."""
    kept, dropped = expected(lines())
    report = history.report
    assert (report.entries, report.kept) == (len(lines()), kept)
    assert report.dropped == dropped
    check_videos(history)


def check_videos(history: History) -> None:
    newest: dict[str, object] = {}
    for line in lines():
        for number in TITLES:
            if line.becomes == "kept" and line.url and video_id(number) in line.url:
                newest.setdefault(video_id(number), NEWEST - timedelta(seconds=line.seconds_ago))
    assert {video.id: video.watched for video in history.videos} == newest
    assert {video.id: video.title for video in history.videos} == {
        video_id(number): title for number, title in TITLES.items()
    }
    assert {video.id: video.channel for video in history.videos} == {
        video_id(number): channel for number, channel in CHANNELS.items()
    }
    assert [video.id for video in history.videos] == [video_id(number) for number in TITLES]
    assert Counter({video.id: video.times for video in history.videos}) == {
        video_id(number): 2 if number == 1 else 1 for number in TITLES
    }
    assert [video.id for video in history.videos if video.music] == [video_id(7)]
    assert [video.id for video in history.videos if video.short] == [video_id(5)]
    assert history.report.kinds == {"live": 1, "music": 1, "short": 1, "video": 5}
    assert history.report.undated == 0
    assert history.report.last == NEWEST


@LANGUAGE
@pytest.mark.parametrize("format_", ["json", "html"])
def test_every_entry_of_an_export_is_counted_right(name: str, format_: str, tmp_path: Path) -> None:
    history = read_history(export(LANGUAGES[name], format_).write(tmp_path))
    check(history)
    (file,) = history.report.files
    assert (file.format, file.complete, file.damage) == (format_, True, None)
    assert file.name == f"Takeout/{LANGUAGES[name].history}.{format_}"


@LANGUAGE
def test_json_and_html_of_the_same_history_count_once(name: str, tmp_path: Path) -> None:
    history = read_history(export(LANGUAGES[name], "json", "html").write(tmp_path))
    kept, dropped = expected(lines())
    assert history.report.entries == 2 * len(lines())
    assert history.report.dropped == {**dropped, "duplicate": len(lines())}
    assert history.report.kept == kept
    check_videos(history)


@LANGUAGE
def test_a_search_history_is_left_out_and_said(name: str, tmp_path: Path) -> None:
    history = read_history(export(LANGUAGES[name], "json").write(tmp_path))
    (ignored,) = history.report.ignored
    assert ignored.why == "a search history"
    assert ignored.name.endswith("search.json")


@LANGUAGE
def test_titles_in_json_are_told_from_the_sentence_without_a_title_that_is_a_link(
    name: str, tmp_path: Path
) -> None:
    titles = ["Uno", "二つ", "Trois", "Четыре", "خمسة", "Six", "sieben"]
    of = [
        replace(lines()[0], url=f"https://youtu.be/{video_id(n)}", title=title, channel=title)
        for n, title in enumerate(titles)
    ]
    path = tmp_path / "a.json"
    path.write_text(in_json(LANGUAGES[name], of), encoding="utf-8")
    assert sorted(str(video.title) for video in read_history(path).videos) == sorted(titles)


def test_titles_of_one_series_keep_what_they_have_in_common(tmp_path: Path) -> None:
    of = [
        replace(lines()[0], url=f"https://youtu.be/{video_id(n)}", title=f"My series, part {n}")
        for n in range(9)
    ]
    path = tmp_path / "a.json"
    path.write_text(in_json(LANGUAGES["en-US"], of), encoding="utf-8")
    assert all("My series, part" in str(video.title) for video in read_history(path).videos)


def test_two_exports_that_overlap_count_each_view_once(tmp_path: Path) -> None:
    """One in German as HTML, the older half again in Japanese; hours of zones do not matter."""
    old = lines()[5:]
    (tmp_path / "a.html").write_text(in_html(LANGUAGES["de"], lines()), encoding="utf-8")
    (tmp_path / "b.html").write_text(in_html(LANGUAGES["ja"], old), encoding="utf-8")
    (tmp_path / "c.json").write_text(in_json(LANGUAGES["fr"], old), encoding="utf-8")
    history = read_history(tmp_path)
    assert history.report.kept == expected(lines())[0]
    assert {video.id: video.times for video in history.videos}[video_id(1)] == 2


def test_a_video_watched_again_in_another_second_counts_again(tmp_path: Path) -> None:
    again = [replace(lines()[0], seconds_ago=seconds) for seconds in (0, 0, 1, 900, 86400)]
    path = tmp_path / "a.json"
    path.write_text(in_json(LANGUAGES["en-US"], again), encoding="utf-8")
    history = read_history(path)
    assert history.videos[0].times == history.report.kept == 4
    assert history.report.dropped == {"duplicate": 1}
