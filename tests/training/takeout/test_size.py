"""Memory is bounded by the videos of a history, not by its files; and what a caller is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from takeouts import LANGUAGES, NEWEST, expected, export, in_html, in_json, lines, many
from ytm_training.takeout.history import read_history
from ytm_training.takeout.report import report_table

ENTRIES = int(os.environ.get("YTM_TAKEOUT_ENTRIES", "6000"))
# Not by ru_maxrss, in which that of the parent is counted.
CHILD = """
import sys
from pathlib import Path
from ytm_training.takeout.history import read_history
history = read_history(Path(sys.argv[1]))
print(history.report.entries, len(history.videos), history.report.undated)
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
WRITE = {"json": in_json, "html": in_html}


def in_child(path: Path) -> tuple[str, int]:
    """What is counted, and the most memory used, in MiB."""
    result = subprocess.run(
        [sys.executable, "-c", CHILD, path], capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stderr
    counts, peak = result.stdout.splitlines()
    return counts, int(peak) // 1024


@pytest.mark.parametrize("format_", WRITE)
def test_a_long_history(format_: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{format_}"
    path.write_text(WRITE[format_](LANGUAGES["ar"], many(ENTRIES)), encoding="utf-8")
    counts, peak_mib = in_child(path)
    assert counts == f"{ENTRIES} {ENTRIES} 0"
    assert peak_mib < 300


@pytest.mark.parametrize("format_", WRITE)
def test_memory_does_not_grow_with_the_file(format_: str, tmp_path: Path) -> None:
    """The same views over and over: a hundred times the bytes, within 16 MiB of the memory."""
    short, long = tmp_path / f"short.{format_}", tmp_path / f"long.{format_}"
    text = WRITE[format_](LANGUAGES["en-US"], many(50))
    begin = text.index('<div class="outer-cell') if format_ == "html" else 1
    end = text.index("</div></body>") if format_ == "html" else -1
    between = "," if format_ == "json" else ""
    short.write_text(text, encoding="utf-8")
    with long.open("w", encoding="utf-8") as file:
        file.write(text[:begin] + between.join([text[begin:end]] * 600) + text[end:])
    (counts, least_mib), (many_counts, most_mib) = in_child(short), in_child(long)
    assert (counts, many_counts) == ("50 50 0", "30000 50 0")
    assert most_mib - least_mib < 16


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(in_json(LANGUAGES["en-US"], many(3000)), encoding="utf-8")
    told: list[int] = []
    read_history(path, told.append)
    assert told == sorted(told)
    assert len(told) > 2
    assert told[-1] == path.stat().st_size


@pytest.mark.parametrize("name", ["en-US", "ar"])
def test_the_report_as_json(name: str, tmp_path: Path) -> None:
    report = read_history(export(LANGUAGES[name], "html").write(tmp_path)).report
    kept, dropped = expected(lines())
    told = json.loads(json.dumps(report.to_json()))
    assert {key: told[key] for key in ("entries", "kept", "unique_videos", "dropped", "kinds")} == {
        "entries": len(lines()),
        "kept": kept,
        "unique_videos": 8,
        "dropped": dropped,
        "kinds": {"live": 1, "music": 1, "short": 1, "video": 5},
    }
    assert told["last"] == NEWEST.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert told["channels"]["distinct"] == 7
    assert told["channels"]["videos_without"] == 1
    assert told["channels"]["top"][0] == {"watched": 2}
    assert report.to_json(channels=True)["channels"]["top"][0] == {"name": "Ann & Co", "watched": 2}


def shown(report_of: Path, *, channels: bool = False) -> str:
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(report_table(read_history(report_of).report, channels=channels))
    console.file.close()
    return console.export_text()


def test_titles_and_channels_stay_out_unless_asked_for(tmp_path: Path) -> None:
    export(LANGUAGES["en-US"], "json").write(tmp_path)
    private = [line.title for line in lines() if line.title] + ["Ann & Co", "Fay", "Gus"]
    told = json.dumps(read_history(tmp_path).report.to_json()) + shown(tmp_path)
    assert [name for name in private if name in told] == []
    assert "Ann & Co" in shown(tmp_path, channels=True)


def test_the_report_for_people_says_every_count(tmp_path: Path) -> None:
    text = shown(export(LANGUAGES["en-US"], "json").write(tmp_path))
    for said in ("22", "advertisements", "searches", "a search history", "2026-11-25", "5 video"):
        assert said in text
    assert max(map(len, text.splitlines())) <= 80
