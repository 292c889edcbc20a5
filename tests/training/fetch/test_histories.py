"""From a watch history to a dataset, with nothing of it told to anybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from data_api_site import KEY, DataApiSite, open_data_api, video
from video_site import TITLE, Film
from ytm_training.collect.command import main
from ytm_training.fetch import fetching

SECRET_TITLE, SECRET_CHANNEL = "A very secret title", "A very secret channel"
IDS = [f"video{number:06d}" for number in range(8)]


def entry(video_id: str, day: int, channel: str = SECRET_CHANNEL) -> dict[str, object]:
    return {
        "header": "YouTube",
        "title": f"Watched {SECRET_TITLE} {video_id}",
        "titleUrl": f"https://www.youtube.com/watch?v={video_id}",
        "subtitles": [{"name": channel, "url": "https://www.youtube.com/channel/UCx"}],
        "time": f"2020-01-{day:02d}T10:00:00.000Z",
        "products": ["YouTube"],
    }


@pytest.fixture
def history(tmp_path) -> Path:
    path = tmp_path / "watch-history.json"
    entries = [
        entry(video_id, day + 1, "Other" if day == 0 else SECRET_CHANNEL)
        for day, video_id in enumerate(IDS)
    ]
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def api(monkeypatch) -> Iterator[DataApiSite]:
    with open_data_api() as site:
        monkeypatch.setenv("YTM_YOUTUBE_API_KEY", KEY)
        monkeypatch.setenv("YTM_YOUTUBE_API_URL", site.url)
        yield site


@pytest.fixture
def collect(site, films, monkeypatch, capsys, tmp_path):
    """Run the command here, with YouTube at the site; what it printed, both streams together."""
    site.films = {each: Film(films[number % 4]) for number, each in enumerate(IDS)}
    monkeypatch.setattr(fetching, "address_of", site.address)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*flags: str, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["ytm-collect", *flags])
        with pytest.raises(SystemExit) as ended:
            main()
        printed, said = capsys.readouterr()
        assert (ended.value.code or 0) == code, said
        return printed + said

    return run


def assert_nowhere(secrets: list[str], printed: str, *folders: Path) -> None:
    for secret in secrets:
        assert secret not in printed
        for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
            assert secret.encode() not in path.read_bytes(), path
            if path.suffix == ".parquet":
                rows = pd.read_parquet(path).drop(columns=["image", "sound"])
                assert secret not in rows.to_csv()


def test_half_a_history_becomes_a_dataset_and_stays_that_half(
    api, collect, history, site, tmp_path
) -> None:
    api.videos = {each: video(category="17") for each in IDS[:6]}
    api.videos[IDS[5]] = video(live="live")
    dataset, cookies = tmp_path / "dataset", tmp_path / "cookies.txt"
    cookies.write_text(
        "# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t0\tSID\tSecretCookie\n"
    )
    before = cookies.read_bytes()
    flags = ("--takeout", str(history), "--out", str(dataset), "--share", "0.5")
    flags = (*flags, "--since", "2020-01-02", "--cookies", str(cookies), "--per-hour", "36000")
    printed = collect(*flags)
    # Of eight, one is older, two are gone and one is live; half of the other four.
    choice = json.loads((dataset / "choice.json").read_text())
    assert choice["left_out"] == {
        "other date or channel": 1,
        "removed or private": 2,
        "live": 1,
        "not drawn": 2,
    }
    assert len(choice["ids"]) == 2
    assert set(choice["ids"]) <= set(IDS[1:5])
    assert "Data API: 1 units" in printed
    assert site.pages == dict.fromkeys(choice["ids"], 1)
    rows = pd.read_parquet(dataset / "shards")
    assert sorted(rows["source"]) == sorted(choice["ids"])
    assert set(rows["origin"]) == {"www.youtube.com"}
    assert set(rows["title"]) == {"videos of www.youtube.com"}

    history.write_text(json.dumps([*json.loads(history.read_text()), entry("newvideo_01", 20)]))
    printed += collect(*flags)
    assert json.loads((dataset / "choice.json").read_text()) == choice
    assert site.pages == dict.fromkeys(choice["ids"], 1)
    assert len(api.calls) == 1

    secrets = [SECRET_TITLE, SECRET_CHANNEL, "Secret channel", "Secret title", KEY, "SecretCookie"]
    assert_nowhere([*secrets, TITLE.format("")[:-3]], printed, dataset, tmp_path / "cache")
    assert all(KEY not in path for path in api.paths)
    assert cookies.read_bytes() == before


def test_channels_decide_and_are_not_written_down(collect, history, tmp_path) -> None:
    dataset = tmp_path / "dataset"
    printed = collect(
        *("--takeout", str(history), "--out", str(dataset), "--not-channel", SECRET_CHANNEL),
        *("--per-hour", "36000"),
    )
    assert json.loads((dataset / "choice.json").read_text())["ids"] == [IDS[0]]
    assert_nowhere([SECRET_TITLE, SECRET_CHANNEL], printed, dataset)


def test_a_quota_used_up_is_said_and_fetching_finds_out_the_rest(
    api, collect, history, tmp_path
) -> None:
    api.quota = 0
    printed = collect(
        *("--takeout", str(history), "--out", str(tmp_path / "dataset"), "--count", "1"),
        *("--per-hour", "36000"),
    )
    assert "quota is used up" in printed
    assert "kept 1 segment of 1 video" in printed


def test_a_report_shows_what_the_history_holds_and_stops(collect, history, site) -> None:
    printed = collect("--takeout", str(history), "--report-only", "--json")
    assert json.loads(printed)["unique_videos"] == len(IDS)
    table = collect("--takeout", str(history), "--report-only")
    assert str(len(IDS)) in table
    for text in (printed, table):
        assert SECRET_CHANNEL not in text
        assert SECRET_TITLE not in text
    assert SECRET_CHANNEL in collect(
        "--takeout", str(history), "--report-only", "--json", "--keep-titles"
    )
    assert not site.pages


def test_what_is_no_history_is_said(collect, tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    out = str(tmp_path / "dataset")
    printed = collect("--takeout", str(tmp_path / "notes.txt"), "--out", out, code=1)
    assert "holds no watch history" in printed
