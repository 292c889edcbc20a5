"""A camera is opened and closed many times, and nothing is left behind."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from fake_camera import LASTING, FakeCamera
from waiting import HANG_S, wait_for
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.device import DeviceCamera

TESTS = Path(__file__).parents[1]
CYCLES = int(os.environ.get("YTM_CAMERA_CYCLES", "45"))
CYCLE_S = 5.0
"""Longest, on average; a hang."""
GROWTH_KIB = 2048
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


def test_memory_descriptors_and_threads_stay_as_they_are(fake_camera: FakeCamera) -> None:
    fake_camera.plug()
    run = subprocess.run(
        [sys.executable, __file__, str(CYCLES)],
        env=fake_camera.environment | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=HANG_S + CYCLES * CYCLE_S,
    )
    assert run.returncode == 0, run.stderr
    cycles = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(cycles) == CYCLES
    third = CYCLES // 3
    early, late = (
        {key: statistics.median(cycle[key] for cycle in part) for key in cycles[0]}
        for part in (cycles[third : 2 * third], cycles[-third:])
    )
    print(f"\n{CYCLES} cycles: {early} early, {late} late, first {cycles[0]}")
    assert late["descriptors"] == early["descriptors"]
    assert late["threads"] == early["threads"]
    assert late["rss_kib"] - early["rss_kib"] <= GROWTH_KIB


def _cycle() -> None:
    with DeviceCamera(LASTING, ImageSpec(width=32, height=32, fit="crop")) as camera:
        wait_for(lambda: camera.next_frame(1.0))


def _footprint() -> dict[str, Any]:
    return {
        "rss_kib": int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_KIB,
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }


if __name__ == "__main__":
    for _ in range(int(sys.argv[1])):
        _cycle()
        print(json.dumps(_footprint()), flush=True)
