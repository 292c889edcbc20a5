"""What fetching costs, measured against a site on this machine, and what that comes to for many.

python tests/benchmarks/collecting_cost.py VIDEOS prints a table; VIDEOS is a folder of real videos.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fetching import QUICK, collecting, environment
from video_site import Film, open_site
from ytm_training.collect.showing import spoken
from ytm_training.fetch.data_api import IDS_A_CALL, UNITS_A_DAY
from ytm_training.fetch.manners import Manners

HISTORY = 12_183
VISITORS = 1_000


@dataclass(frozen=True)
class Cost:
    """Of one video."""

    compute_s: float
    sent_bytes: float
    requests: float
    kept_bytes: float


def measured(videos: Path) -> Cost:
    """Collect a second of each video in a folder, less what an empty run costs."""
    with open_site() as site, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = sorted(path for path in videos.iterdir() if path.suffix in (".mp4", ".webm"))
        site.films = {f"v{number}": Film(path) for number, path in enumerate(paths)}
        urls = folder / "urls.txt"
        urls.write_text("\n".join(map(site.address, site.films)))
        out = folder / "dataset"
        command = collecting(out, "--urls", str(urls), *QUICK)
        whole_s = _compute_s(command)
        asked = site.pages.total() + site.pieces.total() + site.heads.total()
        kept = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        empty_s = _compute_s(command)
        count = len(paths)
        return Cost(
            (whole_s - empty_s) / count,
            site.sent_bytes.total() / count,
            asked / count,
            kept / count,
        )


def _compute_s(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(name: str, count: int, histories: int, cost: Cost) -> str:
    """A line of the table."""
    manners = Manners()
    units = histories * -(-HISTORY // IDS_A_CALL) or -(-count // IDS_A_CALL)
    return (
        f"| {name} | {count:,} | {spoken(count * manners.mean_wait_s)}"
        f" | {count * cost.compute_s / 3600:,.1f} h | {count * cost.sent_bytes / 1e9:,.1f} GB"
        f" | {count * cost.requests:,.0f} | {count * cost.kept_bytes / 1e9:,.1f} GB"
        f" | {units:,} ({units / UNITS_A_DAY:.1%} of a day) |"
    )


def main() -> None:
    """Measure and print."""
    cost = measured(Path(sys.argv[1]))
    print("| | videos | waiting at 120 an hour | computing | read | requests | kept | API units |")
    print("|---|---|---|---|---|---|---|---|")
    print(row("a thousand videos", 1000, 0, cost))
    print(row("half of the artwork's history", HISTORY // 2, 1, cost))
    print(row("all of it", HISTORY, 1, cost))
    print(
        row(
            "a thousand visitors, half of such a history each",
            VISITORS * (HISTORY // 2),
            VISITORS,
            cost,
        )
    )


if __name__ == "__main__":
    main()
