"""The report, for people and for Nagios, Prometheus and programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ytm_device.health.examine import Report
from ytm_device.health.figures import Figure
from ytm_device.health.said import IDLE, MIRROR, REFLECT, Said, one_line

_NO_LABEL = re.compile(r"[^A-Za-z0-9_]+")


def as_text(report: Report) -> str:
    """One line, with performance data after `|`; then each finding, then what services say.

    The first line keeps to the Monitoring Plugins guidelines.
    """
    lines = [f"{headline(report)} | {' '.join(map(_performance, report.figures))}".rstrip(" |")]
    for finding in report.findings:
        lines.append(f"{finding.level.name} {finding.subject}: {one_line(finding.what)}")
        lines.append(f"    {finding.code}; what to do: {finding.remedy}")
    lines += [_about(said) for said in report.said]
    return "\n".join(lines)


def headline(report: Report) -> str:
    """The one human line."""
    start = f"YTM {report.level.name} - "
    if not report.findings:
        return start + _well(report)
    first, *others = report.findings
    more = f"; {len(others)} more" if others else ""
    return f"{start}{first.subject}: {one_line(first.what)}{more}"


def _well(report: Report) -> str:
    reflect = next(said for said in report.said if said.service == REFLECT)
    if reflect.mode == IDLE:
        return "closed; everything is ready"
    if reflect.mode != MIRROR:
        return "replay; nobody is there, and everything is ready"
    rate = reflect.amount("reflections_per_s")
    return "mirrors somebody" + ("" if rate is None else f", {rate:.1f} reflections a second")


def _performance(figure: Figure) -> str:
    label = _NO_LABEL.sub("_", f"{figure.subject}_{figure.name}").strip("_")
    return f"{label}={_number(figure)}{figure.unit};{figure.warning};{figure.critical}".rstrip(";")


def _number(figure: Figure) -> str:
    return f"{figure.value:.6f}".rstrip("0").rstrip(".")


def _about(said: Said) -> str:
    told = (f"{name} {value}" for name, value in said.fields.items() if value is not None)
    return f"{said.service}: {', '.join(told)}"


def as_data(report: Report) -> dict[str, Any]:
    """Everything, for `--json`."""
    return {
        "level": report.level.name,
        "exit_code": int(report.level),
        "line": headline(report),
        "findings": [
            {
                "level": finding.level.name,
                "code": finding.code,
                "subject": finding.subject,
                "what": one_line(finding.what),
                "what_to_do": finding.remedy,
            }
            for finding in report.findings
        ],
        "services": {said.service: dict(said.fields) for said in report.said},
        "board": report.answers.get("board"),
        "heat": report.answers.get("heat"),
        "figures": [
            {"name": figure.name, "subject": figure.subject, "value": figure.value}
            for figure in report.figures
        ],
    }


def as_metrics(report: Report) -> str:
    """For Prometheus, in the text format that node_exporter's textfile collector reads."""
    return "".join(f"{line}\n" for line in _metrics(report))


def _metrics(report: Report) -> Iterator[str]:
    yield "# HELP ytm_health_level 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."
    yield "# TYPE ytm_health_level gauge"
    yield f"ytm_health_level {int(report.level)}"
    if report.findings:
        yield "# HELP ytm_finding What is not as it should be."
        yield "# TYPE ytm_finding gauge"
    for code, subject in dict.fromkeys((each.code, each.subject) for each in report.findings):
        yield f'ytm_finding{{code="{code}",subject="{_quoted(subject)}"}} 1'
    for name in sorted({figure.name for figure in report.figures}):
        same = [figure for figure in report.figures if figure.name == name]
        yield f"# TYPE ytm_{name} {'counter' if same[0].unit == 'c' else 'gauge'}"
        for figure in same:
            yield f'ytm_{name}{{subject="{_quoted(figure.subject)}"}} {_number(figure)}'


def _quoted(text: str) -> str:
    return one_line(text).replace("\\", "\\\\").replace('"', '\\"')
