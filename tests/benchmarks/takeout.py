"""How long and in how much memory a watch history is read: JSON, and HTML in several languages."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from takeouts import LANGUAGES, in_html, in_json, many

CHILD = """
import json, resource, sys
from pathlib import Path
from ytm_training.takeout.history import read_history
report = read_history(Path(sys.argv[1])).report
used = resource.getrusage(resource.RUSAGE_SELF)
seconds = used.ru_utime + used.ru_stime
# Not ru_maxrss, in which that of the parent is counted.
peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
print(json.dumps([report.entries, report.kept, report.undated, seconds, peak]))
"""
FILES = (
    ("en-US", "json"),
    ("en-US", "html"),
    ("de", "html"),
    ("ja", "html"),
    ("ru", "html"),
    ("ar", "html"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    lines = many(parser.parse_args().entries)
    print(
        f"{'file':12} {'MB':>5} {'entries':>8} {'kept':>8} {'undated':>8} {'CPU s':>6} {'MiB':>5}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, format_ in FILES:
            path = Path(folder) / f"{name}.{format_}"
            write = in_json if format_ == "json" else in_html
            path.write_text(write(LANGUAGES[name], lines), encoding="utf-8")
            read = subprocess.run(
                [sys.executable, "-c", CHILD, path], check=True, capture_output=True, text=True
            )
            entries, kept, undated, seconds, peak_mib = json.loads(read.stdout)
            size_mb = path.stat().st_size / 1e6
            print(
                f"{path.name:12} {size_mb:5.0f} {entries:8} {kept:8} {undated:8}"
                f" {seconds:6.1f} {peak_mib:5}"
            )
            path.unlink()


if __name__ == "__main__":
    main()
