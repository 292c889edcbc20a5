"""A request for a Jetson's tree, as the command makes one."""

from __future__ import annotations

from pathlib import Path

from ytm_build.image.bsp import open_bsp
from ytm_build.image.jetson import Request

CLONE = Path(__file__).resolve().parents[3]


def request(bsp: Path, out: Path, **other: object) -> Request:
    given: dict[str, object] = {
        "clone": CLONE,
        "work": out.parent / "work",
        "bsp": open_bsp(bsp),
        "out": out,
        "board": "jetson-orin-nano-devkit",
        "bundle": None,
        "ssh_key": None,
        "console": None,
        "power_mode": None,
        "sd_image": None,
    }
    return Request(**{**given, **other})  # type: ignore[arg-type]
