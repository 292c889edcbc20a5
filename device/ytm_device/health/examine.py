"""The examination: everything is asked at once, then judged."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ytm_device.health.ask_board import DATA, ask_board, ask_data, ask_disk, ask_heat
from ytm_device.health.ask_service import ask_service
from ytm_device.health.ask_systemd import Unit, ask_systemd, read_units
from ytm_device.health.figures import Figure, figures
from ytm_device.health.findings import Finding, Level, by_badness, worst
from ytm_device.health.gather import Ask, gather
from ytm_device.health.judge_board import BOARD, judge_board, judge_disk, judge_heat
from ytm_device.health.judge_service import judge_status, judge_work
from ytm_device.health.limits import STARTING_S
from ytm_device.health.said import SERVICES, Said


@dataclass(frozen=True)
class Report:
    """How the mirror is."""

    findings: tuple[Finding, ...]
    """The worst first."""
    said: tuple[Said, ...]
    """By the services that say how they are."""
    answers: Mapping[str, Any]
    figures: tuple[Figure, ...]

    @property
    def level(self) -> Level:
        """Of all findings together."""
        return worst(self.findings)

    @classmethod
    def failed(cls, error: Exception) -> Report:
        """That nothing is known, since the examination itself failed."""
        return cls((Finding("mirror.unjudged", "mirror", f"not examined: {error!r}"),), (), {}, ())

    def with_finding(self, finding: Finding) -> Report:
        """The same report with one finding more."""
        findings = tuple(by_badness([*self.findings, finding]))
        return Report(findings, self.said, self.answers, self.figures)


def examine(run_dir: Path, root: Path, within_s: float) -> Report:
    """Examine the mirror that runs in `run_dir`, on the machine whose files are under `root`.

    What has not answered `within_s` hangs.
    """
    disks = {"run": run_dir, "data": root / DATA}
    questions: dict[str, Ask] = {
        "systemd": partial(ask_systemd, root),
        "board": partial(ask_board, root),
        "heat": partial(ask_heat, root),
    }
    questions |= {"run": partial(ask_disk, run_dir), "data": partial(ask_data, root)}
    questions |= {name: partial(ask_service, run_dir, root, name) for name in SERVICES}
    answers = gather(questions, within_s)
    return judge(answers, disks, time.monotonic_ns())


def judge(answers: Mapping[str, Any], disks: Mapping[str, Path], now_ns: int) -> Report:
    """Judge what was answered; what is not among `answers` hung.

    Args:
        answers: of `ask_service` by service, and of the other questions of `examine`.
        disks: name among `answers` -> folder.
        now_ns: CLOCK_MONOTONIC, after the answers.
    """
    systemd = answers.get("systemd")
    printed = None if systemd is None else systemd["printed"]
    units = {} if printed is None else read_units(printed)
    silent = systemd is None or (systemd["booted"] and printed is None)
    said, findings = _judge_services(answers, units, silent, now_ns)
    if silent:
        findings.append(Finding("systemd.silent", BOARD, "systemd does not answer"))
    findings += _judge_together(said, answers.get("board"), now_ns)
    findings += judge_board(answers.get("board"), appliance=bool(units))
    findings += judge_heat(answers.get("heat"))
    for name, path in disks.items():
        there = bool(units) and name != "run"
        findings += judge_disk(path, answers, name, appliance=there)
    found = figures(said, answers, disks, now_ns)
    return Report(tuple(by_badness(findings)), tuple(said), answers, tuple(found))


def _judge_services(
    answers: Mapping[str, Any], units: Mapping[str, Unit], silent: bool, now_ns: int
) -> tuple[list[Said], list[Finding]]:
    """`silent`: systemd does not say whether there are units."""
    said, findings = [], []
    for service in SERVICES:
        unit = units.get(service)
        says, wrong = judge_status(service, answers.get(service), unit, now_ns)
        findings += wrong
        if says is not None:
            said.append(says)
            findings += judge_work(says, unit, now_ns)
    missing = [each.subject for each in findings if each.code == "service.missing"]
    if not units and not silent and len(missing) == len(SERVICES):
        return [], [Finding("mirror.absent", "mirror", "no mirror runs here")]
    return said, findings


def _judge_together(
    said: Sequence[Said], board: Mapping[str, Any] | None, now_ns: int
) -> Iterator[Finding]:
    """What only shows when services are held beside each other, or beside the board."""
    unset = [each for each in said if each.flag("clock_is_set") is False]
    if any(each.flag("clock_is_needed") is not False for each in unset):
        what = "the time of day is not known: opening hours and night volume do not hold"
        yield Finding("clock.unset", BOARD, what)
    settled = [each for each in said if each.up_s(now_ns) > STARTING_S]
    bundles = {each.words("bundle") for each in settled} - {None}
    if len(bundles) > 1:
        yield Finding("bundle.differs", "mirror", f"{len(bundles)} bundles are in use at once")
    backends = [each.words("backend") or "" for each in said]
    if board is not None and board["gpu"] and any("CPU" in backend for backend in backends):
        yield Finding("engine.on_cpu", "reflect", "answers by the CPU though there is a GPU")
