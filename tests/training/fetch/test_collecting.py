"""From a list of addresses to a mirror, with everything going wrong on the way.

The real command with the real yt-dlp, against a site on this machine that plays YouTube's part and
counts who asks for what. YTM_FETCH_VIDEOS and YTM_FETCH_KILLS make it longer.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from fetching import HANG_S, QUICK, collecting, environment
from small_run import BIN, NARROW
from video_site import TITLE, Fault, Film, Site, open_site
from ytm_training.collect import executors
from ytm_training.collect.command import main
from ytm_training.dataset import read_dataset

VIDEOS = int(os.environ.get("YTM_FETCH_VIDEOS", "12"))
KILLS = int(os.environ.get("YTM_FETCH_KILLS", "2"))
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "videos"
PER_VIDEO = 2
COOKIE = "VerySecretCookieValue"
SILENCE_S = "5"

# One of each, then mostly good ones.
FAULTS: tuple[Fault, ...] = (
    *("none", "missing", "none", "limited once", "truncated", "none", "resets once", "stalls"),
    *("none", "fails once", "forbidden", "text"),
)
MORE: tuple[Fault, ...] = (
    *("none", "none", "missing", "none", "none", "limited once", "none", "none", "resets once"),
    *("none", "gone", "none", "none", "truncated", "none", "none", "fails once", "none", "noise"),
)
EXPECTED: dict[Fault, str | None] = {
    **dict.fromkeys(("none", "limited once", "resets once", "fails once"), None),
    "missing": "removed",
    "gone": "removed",
    "truncated": "broken",
    "text": "not a video",
    "noise": "not a video",
    "forbidden": "refused (403)",
    "stalls": "unreachable",
}
LATER = {"refused (403)", "unreachable"}
"""Asked for once more by a run that follows."""


@dataclass
class Collected:
    """A dataset, and what happened until it was whole."""

    dataset: Path
    site: Site
    settled: list[tuple[set[str], Counter[str]]] = field(default_factory=list)
    """At each kill: which films were settled for good, and how often each had been asked for."""
    killed: int = 0
    printed: str = ""

    def archive(self) -> list[dict[str, object]]:
        lines = (self.dataset / "archive.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]

    def name(self, source: object) -> str:
        return str(source).rpartition("/")[2]


def plant(site: Site, films: list[Path]) -> None:
    """Show films, with faults; real videos, where there are any, where they are to be good."""
    faults = [*FAULTS, *(MORE[n % len(MORE)] for n in range(VIDEOS - len(FAULTS)))][:VIDEOS]
    real = sorted(REAL.glob("*.*")) if REAL.is_dir() and len(FAULTS) < VIDEOS else []
    for number, fault in enumerate(faults):
        path = real[number % len(real)] if real and fault == "none" else films[number % len(films)]
        # Some pages state a length, and some files are given only as a whole.
        seconds = 4.0 if path in films and number % 2 else None
        site.films[f"v{number}"] = Film(path, fault, seconds, ranges=number % 10 != 5)


def run(collected: Collected, urls: Path, cookies: Path, kill_after: int | None) -> int:
    """Run the command, or kill it once so many requests have come; its exit code."""
    command = collecting(
        *(collected.dataset, "--urls", str(urls), *QUICK, "--per-video", str(PER_VIDEO)),
        *("--cookies", str(cookies), "--timeout", SILENCE_S),
    )
    site = collected.site
    before, deadline = asked(site), time.monotonic() + HANG_S
    with (collected.dataset.parent / "printed.txt").open("a") as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=printed, env=environment())
        while process.poll() is None and time.monotonic() < deadline:
            if kill_after is not None and asked(site) - before >= kill_after:
                process.send_signal(signal.SIGKILL)
            time.sleep(0.01)
        if process.poll() is None:
            process.kill()
        return process.wait()


def asked(site: Site) -> int:
    with site.lock:
        return site.pages.total() + site.pieces.total()


@pytest.fixture(scope="module")
def collected(tmp_path_factory, films) -> Iterator[Collected]:
    """Collect while being killed again and again, then to the end."""
    folder = tmp_path_factory.mktemp("collected")
    draw = random.Random(7)
    with open_site() as site:
        plant(site, films)
        urls, cookies = folder / "urls.txt", folder / "cookies.txt"
        urls.write_text("# mine\n" + "\n".join(map(site.address, site.films)) + "\nnonsense\n")
        cookies.write_text(
            f"# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\t{COOKIE}\n"
        )
        collected = Collected(folder / "dataset", site)
        while collected.killed < KILLS:
            code = run(collected, urls, cookies, draw.randint(1, max(12, 8 * VIDEOS // KILLS)))
            assert code in (0, -signal.SIGKILL)
            if code == 0:
                break
            collected.killed += 1
            final = {
                collected.name(line["id"])
                for line in (collected.archive() if collected.dataset.exists() else [])
                if line["final"] and line["outcome"] not in LATER
            }
            with site.lock:
                collected.settled.append((final, Counter(site.pages)))
        assert run(collected, urls, cookies, None) == 0
        collected.printed = (folder / "printed.txt").read_text()
        yield collected


def test_it_was_killed_as_often_as_meant(collected) -> None:
    assert collected.killed == KILLS


def test_every_fault_is_counted_by_its_reason_and_every_good_video_is_there(collected) -> None:
    report = json.loads((collected.dataset / "report.json").read_text())
    found = {collected.name(file["file"]): file["reason"] for file in report["files"]}
    films = collected.site.films
    assert found == {name: EXPECTED[film.fault] for name, film in films.items()}
    good = sum(EXPECTED[film.fault] is None for film in films.values())
    assert report["kept_videos"] == good
    assert "line 14" in collected.printed or VIDEOS != 12


def test_every_second_is_there_once(collected) -> None:
    rows = pd.read_parquet(collected.dataset / "shards")
    assert rows["segment_id"].is_unique
    report = json.loads((collected.dataset / "report.json").read_text())
    kept = {file["file"]: file["kept"] for file in report["files"] if file["kept"]}
    assert rows.groupby("source").size().to_dict() == kept
    assert len(read_dataset(collected.dataset)) == report["kept_segments"]
    assert not (collected.dataset / ".collecting").exists()


def test_nothing_is_fetched_twice(collected) -> None:
    films, pages = collected.site.films, collected.site.pages
    for final, before in collected.settled:
        assert {name: pages[name] for name in final} == {name: before[name] for name in final}
    again = Counter(collected.name(line["id"]) for line in collected.archive() if not line["final"])
    once_more = sum(
        pages[name] - 1 - again[name]
        for name, film in films.items()
        if EXPECTED[film.fault] not in LATER
    )
    # A kill can cost the one video that was on its way.
    assert once_more <= collected.killed


def test_the_archive_names_each_settled_video_once_and_nothing_else(collected) -> None:
    final = [line for line in collected.archive() if line["final"]]
    settled = [line["id"] for line in final if line["outcome"] not in LATER]
    assert len(settled) == len(set(settled))
    assert {collected.name(line["id"]) for line in final} == set(collected.site.films)
    assert all(set(line) == {"id", "outcome", "final", "at"} for line in collected.archive())


def test_the_cookie_reached_the_site_and_nothing_else(collected) -> None:
    assert any(COOKIE in headers.get("Cookie", "") for headers in collected.site.headers)
    assert_nowhere(COOKIE, collected.dataset, collected.printed)


def test_no_title_is_written_or_printed(collected) -> None:
    assert_nowhere(TITLE.format("")[:-3], collected.dataset, collected.printed)


def assert_nowhere(secret: str, folder: Path, printed: str) -> None:
    assert secret not in printed
    for path in folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
        if path.suffix == ".parquet":
            rows = pd.read_parquet(path).drop(columns=["image", "sound"])
            assert secret not in rows.to_csv(), path


def test_a_mirror_comes_of_it_without_anything_done_by_hand(collected, tmp_path) -> None:
    film = next(film.path for film in collected.site.films.values() if film.fault == "none")
    run_folder, bundle = tmp_path / "run", tmp_path / "bundle"
    commands = [
        ["ytm-train", collected.dataset, "--out", run_folder, *NARROW, "--max-epochs", "1"],
        ["ytm-build-engine", run_folder, "--out", bundle],
        ["ytm-preview", film, "--out", tmp_path / "o.mp4", "--bundle", bundle, "--seconds", "0.2"],
    ]
    for command in commands:
        ended = subprocess.run(
            [BIN / command[0], *map(str, command[1:])],
            capture_output=True,
            text=True,
            timeout=HANG_S,
            env=environment(),
        )
        assert ended.returncode == 0, ended.stderr
        assert_nowhere(TITLE.format("")[:-3], bundle, ended.stdout + ended.stderr)
        # Nor does a bundle list what it learned from.
        assert_nowhere("/watch/", bundle, "")
    assert (tmp_path / "o.mp4").stat().st_size > 1000


def test_refusals_in_a_row_stop_it_and_say_what_to_do(site, films, collect_links, tmp_path) -> None:
    for number in range(9):
        site.films[f"v{number}"] = Film(films[0], "none" if number < 2 else "forbidden")
    addresses = list(map(site.address, site.films))
    ended = collect_links(addresses, tmp_path / "dataset", code=1)
    assert "5 times in a row the answer was 'refused (403)'" in ended.stderr
    assert "--cookies" in ended.stderr
    assert "kept 2 segments of 2 videos" in ended.stderr
    assert site.pieces["v7"] == 0
    before = Counter(site.pages)
    collect_links(addresses, tmp_path / "dataset", code=1)
    assert (site.pages["v0"], site.pages["v1"]) == (before["v0"], before["v1"])


def test_a_limit_is_waited_for_and_then_it_goes_on(site, films, collect_links, tmp_path) -> None:
    site.retry_after = "1"
    site.films = {f"v{n}": Film(films[0], "limited once" if n == 1 else "none") for n in range(3)}
    began_s = time.monotonic()
    addresses = list(map(site.address, site.films))
    ended = collect_links(addresses, tmp_path / "dataset", "--json")
    assert json.loads(ended.stdout)["kept_videos"] == 3
    assert time.monotonic() - began_s > 1
    assert site.pages == {"v0": 1, "v1": 2, "v2": 1}


def test_processes_do_the_same(site, films, collect_links, tmp_path) -> None:
    site.films = {f"v{number}": Film(films[number]) for number in range(3)}
    site.films["v3"] = Film(films[0], "missing")
    addresses = list(map(site.address, site.films))
    collect_links(addresses, tmp_path / "one")
    collect_links(addresses, tmp_path / "two", "--jobs", "2")
    one, two = (
        pd.read_parquet(tmp_path / name / "shards").sort_values("segment_id", ignore_index=True)
        for name in ("one", "two")
    )
    for rows in (one, two):
        rows["sound"] = [sound.tobytes() for sound in rows["sound"]]
    pd.testing.assert_frame_equal(one, two)
    assert set(site.pages.values()) == {2}


def test_titles_are_kept_where_somebody_asks_for_them(site, films, collect_links, tmp_path) -> None:
    site.films = {"v0": Film(films[0])}
    collect_links([site.address("v0")], tmp_path / "dataset", "--keep-titles")
    rows = pd.read_parquet(tmp_path / "dataset" / "shards")
    assert rows["title"].tolist() == [TITLE.format("v0")]
    assert rows["origin"].tolist() == ["127.0.0.1"]


def test_lengths_decide_where_a_page_or_a_file_states_them(
    site, films, collect_links, tmp_path
) -> None:
    site.films = {"page": Film(films[0], seconds=600.0), "file": Film(films[0])}
    addresses = [site.address("page"), site.direct("file")]
    ended = collect_links(addresses, tmp_path / "dataset", "--max-length", "60", "--json")
    report = json.loads(ended.stdout)
    assert report["skipped"] == {"longer than wanted": 1}
    assert report["kept_videos"] == 1
    # yt-dlp looks at the beginning of the file that a page names; nothing else is asked for.
    assert site.pieces["page"] == 1


def test_a_choice_is_written_down_and_stays(site, films, collect_links, tmp_path) -> None:
    site.films = {f"v{number}": Film(films[0]) for number in range(8)}
    addresses = list(map(site.address, site.films))
    collect_links(addresses[:6], tmp_path / "dataset", "--count", "2")
    choice = json.loads((tmp_path / "dataset" / "choice.json").read_text())
    assert len(choice["ids"]) == 2
    before = Counter(site.pages)
    collect_links(addresses, tmp_path / "dataset", "--count", "2")
    assert site.pages == before
    ended = collect_links(addresses, tmp_path / "dataset", "--count", "3", code=1)
    assert "chosen with another count" in ended.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--urls", "u.txt"), "give --out"),
        (("--out", "d"), "give one of"),
        (("--out", "d", "--urls", "u.txt", "--videos", "v"), "give one of"),
        (("--out", "d", "--urls", "u.txt", "--since", "2020-01-01"), "--since: has no meaning"),
        (("--out", "d", "--videos", "v", "--cookies", "c"), "--cookies: has no meaning"),
        (("--out", "d", "--urls", "u.txt", "--only", "a=b"), "--only: has no meaning"),
        (("--out", "d", "--urls", "u.txt", "--share", "1.5"), "--share 1.5"),
        (("--out", "d", "--urls", "u.txt", "--share", "0.5", "--count", "3"), "not both"),
        (("--out", "d", "--urls", "u.txt", "--cookies", "none"), "--cookies none"),
        (("--out", "d", "--urls", "none.txt"), "cannot be read"),
        (("--out", "d", "--urls", "u.txt", "--scheduler", "tcp://127.0.0.1:9"), "no Dask"),
    ],
)
def test_wrong_usage_is_refused(flags, said, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(executors, "_CONNECT_S", 1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "u.txt").write_text("http://127.0.0.1:9/v.mp4\n")
    monkeypatch.setattr("sys.argv", ["ytm-collect", *flags])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
