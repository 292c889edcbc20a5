from __future__ import annotations

import csv
import fcntl
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytm_bundle.errors import UsageError
from ytm_training.collect.extract import first_starts_ms, level_dbfs, strongest_onset_s
from ytm_training.collect.files import find_files
from ytm_training.collect.report import printable
from ytm_training.collect.sidecar import find_sidecar, parse_condition
from ytm_training.dataset import read_dataset
from ytm_training.media import Extent

RATE_HZ = 48000
REAL = Path(__file__).parents[2].parent / "shared" / "data"
COMMAND = [sys.executable, "-c", "from ytm_training.collect.command import main; main()"]
HANG_S = 120


def rows_of(dataset: Path) -> pd.DataFrame:
    rows = pd.read_parquet(dataset / "shards").sort_values("segment_id", ignore_index=True)
    rows["sound"] = [sound.tobytes() for sound in rows["sound"]]
    return rows


def clicks_at(*times_s: float, seconds: float = 3.0):
    sound = 0.01 * np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ))
    for time_s in times_s:
        begin = round(time_s * RATE_HZ)
        burst = np.random.default_rng(1).uniform(-0.9, 0.9, 4800)
        sound[begin : begin + 4800] += burst * np.exp(-np.arange(4800) / 800)
    return np.clip(sound, -1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, video_maker) -> Path:
    """Two good videos, one of them in a subfolder, and one file of every kind of trouble."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "deep").mkdir()
    video_maker(folder / "good.mp4", 5.0)
    video_maker(folder / "deep" / "clicks.mkv", 3.0, None, clicks_at(1.7), sound_codec="flac")
    video_maker(folder / "mute.mp4", 2.0, silent=True)
    video_maker(folder / "silent.mp4", 2.0, None, np.zeros(2 * RATE_HZ, np.float32))
    video_maker(folder / "short.mp4", 0.6)
    whole = (folder / "good.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("not a video\n")
    (folder / "a\nb\x1b[2J.mp4").write_text("not a video\n")
    (folder / ".hidden.mp4").write_text("not even looked at")
    (folder / "broken-link.mp4").symlink_to("nowhere.mp4")
    (folder / "linked.mp4").symlink_to("good.mp4")
    (folder / "circle").symlink_to(".")
    (folder / os.fsdecode(b"latin-\xe9.mp4")).write_bytes(whole)
    return folder


def test_every_file_is_accounted_for(collect, folder, tmp_path) -> None:
    printed, _ = collect(folder, tmp_path / "dataset", "--per-video", "2")
    assert printed.splitlines()[-1] == (
        "kept 8 segments of 4 videos; skipped 8: 3 not a video, 1 broken, 1 no sound, 1 silent,"
        " 1 too short, 1 unreadable"
    )
    assert "\x1b" not in printed
    report = json.loads((tmp_path / "dataset" / "report.json").read_text())
    found = {file["file"]: (file["kept"], file["reason"]) for file in report["files"]}
    assert found == {
        "good.mp4": (2, None),
        "linked.mp4": (2, None),
        "latin-\\xe9.mp4": (2, None),
        "deep/clicks.mkv": (2, None),
        "mute.mp4": (0, "no sound"),
        "silent.mp4": (0, "silent"),
        "short.mp4": (0, "too short"),
        "cut.mp4": (0, "broken"),
        "notes.txt": (0, "not a video"),
        "a\nb\x1b[2J.mp4": (0, "not a video"),
        "circle": (0, "not a video"),
        "broken-link.mp4": (0, "unreadable"),
    }
    assert printed == (tmp_path / "dataset" / "report.txt").read_text()
    assert report["kept_segments"] == len(read_dataset(tmp_path / "dataset")) == 8


def test_a_second_run_decodes_nothing_again_and_takes_up_what_is_new(
    collect, tmp_path, video_maker
) -> None:
    videos, dataset = tmp_path / "videos", tmp_path / "dataset"
    videos.mkdir()
    video_maker(videos / "b.mp4", 3.0)
    (videos / "c.mp4").write_bytes(b"still being copied")
    collect(videos, dataset, "--per-video", "2")
    before = {path: path.stat().st_mtime_ns for path in (dataset / "shards").iterdir()}

    printed, _ = collect(videos, dataset, "--per-video", "2")
    assert {path: path.stat().st_mtime_ns for path in (dataset / "shards").iterdir()} == before
    assert "kept 2 segments of 1 video; skipped 1: 1 not a video" in printed

    video_maker(videos / "a.mp4", 3.0)
    video_maker(videos / "c.mp4", 3.0)
    printed, _ = collect(videos, dataset, "--per-video", "2", "--json")
    assert json.loads(printed)["kept_videos"] == 3
    collect(videos, tmp_path / "at-once", "--per-video", "2")
    pd.testing.assert_frame_equal(rows_of(dataset), rows_of(tmp_path / "at-once"))


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_run_broken_off_continues_to_the_same_rows(collect, blow, tmp_path, video_maker) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(9):
        video_maker(videos / f"{number:02d}.mp4", 9.0)
    flags = ["--per-video", "8"]
    collect(videos, tmp_path / "whole", *flags)

    dataset = tmp_path / "dataset"
    running = subprocess.Popen(
        [*COMMAND, "--videos", str(videos), "--out", str(dataset), *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    first = dataset / "shards" / "000000.parquet"
    deadline = time.monotonic() + HANG_S
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    running.send_signal(blow)
    assert running.wait(HANG_S) == (130 if blow == signal.SIGINT else -signal.SIGKILL)

    kept = len(read_dataset(dataset))
    assert 32 <= kept <= 9 * 8
    (dataset / "shards" / ".000009.1.partial.parquet").write_bytes(b"PAR1 half")
    collect(videos, dataset, *flags)
    pd.testing.assert_frame_equal(rows_of(dataset), rows_of(tmp_path / "whole"))
    names = [path.name for path in (dataset / "shards").iterdir()]
    assert not [name for name in names if "partial" in name]


def test_picture_and_sound_belong_to_the_strongest_onset(collect, tmp_path, video_maker) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    click_s = 1.32

    def counting(t_s: float):
        return np.full((48, 64, 3), 30 + 2 * round(t_s * 25), np.uint8)

    sound = clicks_at(click_s, seconds=2.0)
    video_maker(videos / "one.mkv", 2.0, counting, sound, sound_codec="flac")
    for seed in range(4):
        collect(videos, tmp_path / f"{seed}", "--seed", str(seed))
        (segment,) = read_dataset(tmp_path / f"{seed}").segments()
        if segment.start_s + 0.05 < click_s < segment.start_s + 0.95:
            assert segment.start_s + segment.onset_s == pytest.approx(click_s, abs=0.011)
        shown = int((segment.start_s + segment.onset_s) * 25 + 1e-6)
        assert segment.image.mean() == pytest.approx(30 + 2 * shown, abs=2.5)
        begin = round(segment.start_s * RATE_HZ)
        np.testing.assert_allclose(segment.sound, sound[begin : begin + RATE_HZ], atol=2.5 / 32768)


def table(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_table_names_categories_and_chooses_videos(collect, tmp_path, video_maker) -> None:
    videos = tmp_path / "videos"
    (videos / "sub").mkdir(parents=True)
    for name in ("a.mp4", "sub/b.mp4", "c.mp4"):
        video_maker(videos / name, 1.5)
    table(
        tmp_path / "manifest.csv",
        {"file": "videos/a.mp4", "category": "speech", "rights_class": "A", "repo_licence": "CC0"},
        {"file": "sub/b.mp4", "category": "", "rights_class": "B", "description": "a dog"},
    )
    collect(videos, tmp_path / "all")
    facts = rows_of(tmp_path / "all").set_index("source")
    columns = ["category", "title", "licence", "rights"]
    assert facts.loc["a.mp4", columns].fillna("").tolist() == ["speech", "", "CC0", "A"]
    assert facts.loc["sub/b.mp4", columns].fillna("").tolist() == ["", "a dog", "", "B"]
    assert facts.loc["c.mp4", columns].isna().all()

    printed, _ = collect(videos, tmp_path / "open", "--only", "rights_class=A")
    assert "kept 1 segment of 1 video; skipped 0; left out 2 by --only" in printed
    _, message = collect(videos, tmp_path / "no", "--only", "rights=A", code=2)
    assert "no column 'rights'" in message
    assert "file, category, rights_class, repo_licence, description" in message
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name,category\na.mp4,x\n", "no column 'file'"),
        (b"", "no column 'file'"),
        (b"\xff\xfefile", "not a CSV table in UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_table_is_refused(content, said, tmp_path) -> None:
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        find_sidecar(tmp_path, path)


def test_a_table_with_ragged_rows_and_marks_is_read(tmp_path) -> None:
    path = tmp_path / "categories.csv"
    path.write_bytes(b"\xef\xbb\xbffile, category ,title\r\na.mp4\r\nb.mp4,music,x,y,z\r\n,,\r\n")
    sidecar = find_sidecar(tmp_path, None)
    assert sidecar.facts("a.mp4").category is None
    assert sidecar.facts("deep/b.mp4").category == "music"
    assert sidecar.facts("c.mp4").title is None


def test_a_name_that_two_rows_share_belongs_to_neither_elsewhere(tmp_path) -> None:
    table(
        tmp_path / "categories.csv",
        {"file": "x/a.mp4", "category": "one"},
        {"file": "y/a.mp4", "category": "two"},
    )
    sidecar = find_sidecar(tmp_path, None)
    assert sidecar.facts("y/a.mp4").category == "two"
    assert sidecar.facts("z/a.mp4").category is None


@pytest.mark.parametrize("text", ["rights", "=A", ""])
def test_a_condition_needs_a_column_and_a_value(text) -> None:
    with pytest.raises(UsageError, match="COLUMN=VALUE"):
        parse_condition(text)


def test_folders_that_cannot_give_anything_leave_nothing_behind(collect, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    for name in "abc":
        (tmp_path / "texts" / f"{name}.txt").write_text("text")
    out = tmp_path / "deep" / "dataset"
    _, message = collect(tmp_path / "empty", out, code=2)
    assert f"{tmp_path / 'empty'}: holds no files" in message
    _, message = collect(tmp_path / "absent", out, code=2)
    assert "not a folder" in message
    _, message = collect(tmp_path / "texts", out, code=1)
    assert "no video could be used" in message
    assert "skipped 3: 3 not a video" in message
    assert not (tmp_path / "deep").exists()
    collect(tmp_path / "texts", tmp_path / "texts", code=2)


def test_what_was_started_otherwise_or_is_something_else_stays_as_it_is(
    collect, folder, tmp_path
) -> None:
    dataset = tmp_path / "dataset"
    collect(folder, dataset, "--seed", "1")
    shards = {path.name: path.read_bytes() for path in (dataset / "shards").iterdir()}
    _, message = collect(folder, dataset, "--seed", "2", code=1)
    assert "--per-video 1 --seed 1 --rate 48000, not with --per-video 1 --seed 2" in message
    assert {path.name: path.read_bytes() for path in (dataset / "shards").iterdir()} == shards

    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"jpg")
    _, message = collect(folder, tmp_path / "photos", code=1)
    assert "is not a dataset" in message
    (tmp_path / "file").write_text("a file")
    _, message = collect(folder, tmp_path / "file", code=1)
    assert "cannot be written to" in message


def test_a_dataset_says_which_videos_are_measured_on(collect, tmp_path, video_maker) -> None:
    videos, dataset = tmp_path / "videos", tmp_path / "dataset"
    videos.mkdir()
    for number in range(2):
        video_maker(videos / f"{number}.mp4", 1.5)
    collect(videos, dataset)
    assert not (dataset / "split.json").exists()

    for number in range(2, 5):
        video_maker(videos / f"{number}.mp4", 1.5)
    collect(videos, dataset, "--test-share", "0.4", "--split-seed", "3")
    stored = json.loads((dataset / "split.json").read_text())
    assert stored["rule"] == {"seed": 3, "validation_share": 0.1, "test_share": 0.4}
    assert {part: len(stored["split"][part]) for part in stored["split"]} == {
        "train": 2,
        "validation": 1,
        "test": 2,
    }

    video_maker(videos / "5.mp4", 1.5)
    collect(videos, dataset, "--split-seed", "3")
    after = json.loads((dataset / "split.json").read_text())
    assert after["rule"] == stored["rule"]
    assert all(set(stored["split"][part]) <= set(after["split"][part]) for part in after["split"])
    assert sum(map(len, after["split"].values())) == 6

    _, message = collect(videos, dataset, "--test-share", "0.1", code=1)
    assert "divided with --validation-share 0.1 --test-share 0.4 --split-seed 3, not" in message


@pytest.mark.parametrize("share", ["0", "0.5", "-1", "nan"])
def test_a_share_out_of_range_is_refused(share, collect, folder, tmp_path) -> None:
    _, message = collect(folder, tmp_path / "dataset", "--test-share", share, code=2)
    assert f"--test-share {float(share)}: Input should be" in message
    assert not (tmp_path / "dataset").exists()


def test_two_at_once_do_not_mix(collect, folder, tmp_path) -> None:
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    with (dataset / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _, message = collect(folder, dataset, code=1)
    assert "another ytm-collect is writing to it" in message


def test_a_dataset_inside_the_folder_is_not_collected(collect, tmp_path, video_maker) -> None:
    video_maker(tmp_path / "a.mp4", 1.5)
    collect(tmp_path, tmp_path / "dataset")
    printed, _ = collect(tmp_path, tmp_path / "dataset")
    assert "kept 1 segment of 1 video; skipped 0" in printed


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "locked").chmod(0)
    try:
        if os.access(tmp_path / "locked", os.R_OK):
            pytest.skip("this user may read everything")
        reasons = {file.source: file.reason for file in find_files(tmp_path, frozenset())}
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert reasons == {"a.mp4": None, "locked": "unreadable"}


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 5), st.floats(0, 60), st.integers(1, 30), st.integers(0, 1000))
def test_seconds_never_overlap_and_lie_inside(start_s, length_s, count, seed) -> None:
    extent = Extent(start_s, start_s + length_s)
    starts = first_starts_ms(extent, count, np.random.default_rng(seed))
    assert len(starts) <= count
    assert len(starts) >= min(count, int(length_s - 0.003))
    assert all(later - sooner >= 1000 for sooner, later in itertools.pairwise(starts))
    for start in starts:
        assert start / 1000 >= start_s - 1e-9
        assert start / 1000 + 1 <= start_s + length_s + 1e-9


def test_every_place_is_equally_likely() -> None:
    extent = Extent(0.0, 11.0)
    starts = [first_starts_ms(extent, 1, np.random.default_rng(n))[0] for n in range(2000)]
    counts, _ = np.histogram(starts, bins=10, range=(0, 10_001))
    assert counts.min() > 150
    assert counts.max() < 250


@pytest.mark.parametrize("click_s", [0.15, 0.5, 0.81])
def test_the_strongest_onset_is_the_loudest_click(click_s) -> None:
    sound = clicks_at(click_s, seconds=1.0)
    sound[:4800] += 0.05 * clicks_at(0.0, seconds=0.1)
    assert strongest_onset_s(sound, RATE_HZ) == pytest.approx(click_s, abs=0.011)


def test_where_nothing_starts_the_middle_is_taken() -> None:
    assert strongest_onset_s(np.zeros(RATE_HZ, np.float32), RATE_HZ) == 0.5


def test_level_is_the_root_mean_square() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    assert level_dbfs(tone) == pytest.approx(-3.01, abs=0.01)
    assert level_dbfs(0.001 * tone) == pytest.approx(-63.01, abs=0.01)


def test_names_cannot_move_the_cursor() -> None:
    assert printable("a\nb\x1b[2Jé\u202e") == "a\\nb\\x1b[2Jé\\u202e"


def test_real_videos_are_collected(collect, tmp_path) -> None:
    if not (REAL / "videos").is_dir():
        pytest.skip(f"needs the videos in {REAL}, which a clone does not have")
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("bear.webm", "grid_pwij3p.mpg", "lego_robot.mov", "makeup_webcam.avi"):
        (videos / name).symlink_to(REAL / "videos" / name)
    printed, _ = collect(
        videos, tmp_path / "dataset", "--per-video", "3", "--categories", str(REAL / "manifest.csv")
    )
    assert "kept 10 segments of 4 videos; skipped 0" in printed
    assert set(rows_of(tmp_path / "dataset")["category"]) == {
        *("animal", "speech", "object", "people")
    }
