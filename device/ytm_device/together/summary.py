"""What the services said at the end, as one line for a person."""

from __future__ import annotations

from collections.abc import Mapping

from ytm_device.status import Value

Statuses = Mapping[str, Mapping[str, Value]]


def summarise(statuses: Statuses) -> str:
    """Sum up the last status of each service; a service that said nothing is left out."""
    parts = [_reflect, _sound, _screen]
    names = ("reflect", "sound", "screen")
    said = [
        part(statuses[name]) for name, part in zip(names, parts, strict=True) if statuses.get(name)
    ]
    return "; ".join(said) or "no service has said how it went"


def _reflect(status: Mapping[str, Value]) -> str:
    return (
        f"{status['reflections']} reflections, {_figure(status['reflections_per_s'])} a second,"
        f" frame to reflection p50 {_figure(status['latency_p50_ms'])}"
        f" p95 {_figure(status['latency_p95_ms'])} p99 {_figure(status['latency_p99_ms'])} ms,"
        f" {status['dropped']} frames dropped"
    )


def _sound(status: Mapping[str, Value]) -> str:
    return f"{status['samples']} samples played, {status['underruns']} underruns"


def _screen(status: Mapping[str, Value]) -> str:
    return f"{status['frames']} pictures shown"


def _figure(value: Value) -> str:
    return "-" if value is None else f"{value}"
