"""`ytm-health`: how the mirror is, in less than two seconds, whatever hangs.

Loads only the standard library, so that it starts at once and shares nothing with what may hang.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

from ytm_device.health.examine import Report, examine
from ytm_device.health.files import read_text
from ytm_device.health.findings import Finding, Level
from ytm_device.health.gather import gather
from ytm_device.health.report import as_data, as_metrics, as_text

RUN_DIR = Path("/run/ytm")
ASK_UNTIL_S = 1.3
"""Since this process was started: what has not answered by then hangs."""
ASK_FOR_S = 0.7
"""At least, on a machine so busy that even to start takes long."""
WRITE_WITHIN_S = 0.3
"""For the file of `--prometheus`, and again for what is printed."""
_STANDARD_OUTPUT = 1
_READABLE = 0o644
_OWN_STAT = Path("/proc/self/stat")
_STARTED_AT = 19
"""Among the words after the program's name."""


class _Parser(argparse.ArgumentParser):
    """Wrong usage is UNKNOWN: to a monitoring system, 2 would be CRITICAL."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser.error`."""
        self.exit(Level.UNKNOWN, f"error: {message}; {self.prog} --help shows what there is\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ytm-health",
        description="How the mirror is: one line, then what is wrong and what to do about it.",
        epilog="Exits with 0 if all is well, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--run-dir", type=Path, default=RUN_DIR, metavar="DIR", help="where the mirror runs"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--prometheus",
        type=Path,
        metavar="FILE",
        help="also write the figures where node_exporter's textfile collector finds them",
    )
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)
    parser.add_argument("--ask-for", type=float, default=ASK_FOR_S, help=argparse.SUPPRESS)
    return parser


def _write(path: Path, text: str) -> str | None:
    """Replace `path` at once; why that cannot be done."""
    if path.is_dir():
        return "it is a folder"
    temporary = path.with_name(f".{path.name}.partial")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(_READABLE)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        return error.strerror
    return None


def _export(report: Report, path: Path) -> Report:
    """Write the metrics to `path`; the report, with a finding if that cannot be done."""
    answers = gather({"write": partial(_write, path, as_metrics(report))}, WRITE_WITHIN_S)
    problem = answers.get("write", "does not answer")
    if problem is None:
        return report
    return report.with_finding(
        Finding("prometheus.unwritten", str(path), f"cannot be written: {problem}")
    )


def _rendered(report: Report, *, as_json: bool) -> str:
    return json.dumps(as_data(report), indent=2, allow_nan=False) if as_json else as_text(report)


def _examined(arguments: argparse.Namespace) -> tuple[Level, str]:
    """How bad it is, and what to print."""
    try:
        within_s = max(arguments.ask_for, ASK_UNTIL_S - _up_s())
        report = examine(arguments.run_dir, arguments.root, within_s)
        if arguments.prometheus is not None:
            report = _export(report, arguments.prometheus)
        text = _rendered(report, as_json=arguments.json)
    # Whatever has gone wrong, a monitoring system must be told that nothing is known.
    except Exception as error:
        report = Report.failed(error)
        text = _rendered(report, as_json=arguments.json)
    return report.level, text


def _up_s() -> float:
    """Seconds since this process was started, before it could look at a clock; see proc(5)."""
    stat = read_text(_OWN_STAT) or ""
    words = stat.rpartition(")")[2].split()
    if len(words) <= _STARTED_AT:
        return 0.0
    started_s = int(words[_STARTED_AT]) / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_s)


def _open_standard_files() -> None:
    """Whoever closed them must not have an answer of ours written into the wrong file."""
    for standard in range(3):
        try:
            os.fstat(standard)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Examine, print and exit, with nobody to wait for."""
    _open_standard_files()
    arguments = _parser().parse_args(words)
    level, text = _examined(arguments)
    # Whoever does not read what is printed, so that the pipe is full, may still want the level.
    signal.signal(signal.SIGALRM, lambda *_: os._exit(level))
    signal.setitimer(signal.ITIMER_REAL, WRITE_WITHIN_S)
    try:
        # Bytes, since the terminal's encoding may lack a character.
        os.write(_STANDARD_OUTPUT, f"{text}\n".encode("utf-8", "replace"))
    finally:
        os._exit(level)


if __name__ == "__main__":
    main()
