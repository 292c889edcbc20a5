"""Versions of everything that a figure depends on."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from ytm_bundle.errors import DeviceError
from ytm_device.health.files import read_text

_ALSA = "libasound.so.2"


def versions(root: Path) -> dict[str, str | None]:
    """By name; None where it is not installed or cannot be loaded."""
    asked: dict[str, Callable[[], str | None]] = {
        "board": lambda: read_text(root / "proc/device-tree/model"),
        "L4T": lambda: _l4t(root),
        "kernel": platform.release,
        "TensorRT": _tensorrt,
        "ONNX Runtime": _onnxruntime,
        "GStreamer": _gstreamer,
        "SDL": _sdl,
        "ALSA": _alsa,
    }
    return {name: _said(ask) for name, ask in asked.items()}


def _said(ask: Callable[[], str | None]) -> str | None:
    try:
        return (ask() or "").strip("\0") or None
    except (ImportError, OSError, ValueError, DeviceError):  # gi raises ValueError for no Gst
        return None


# Each imports its library late: what is not measured need not be installed.


def _l4t(root: Path) -> str:
    from ytm_device.engines.platform import TEGRA_RELEASE, l4t_release

    return l4t_release(root / TEGRA_RELEASE.relative_to("/"))


def _tensorrt() -> str:
    from ytm_device.engines.tensorrt import tensorrt_version

    return tensorrt_version()


def _onnxruntime() -> str:
    from ytm_device.engines.onnx import VERSION

    return VERSION


def _gstreamer() -> str:
    import ytm_device.gstreamer  # noqa: F401  (it alone imports Gst)

    version = sys.modules["gi.repository.Gst"].version_string()
    return str(version).removeprefix("GStreamer ")


def _sdl() -> str:
    import ytm_device.screen.window  # noqa: F401  (it alone imports pygame)

    return ".".join(map(str, sys.modules["pygame"].get_sdl_version()))


def _alsa() -> str:
    library = ctypes.CDLL(_ALSA)
    library.snd_asoundlib_version.restype = ctypes.c_char_p
    return bytes(library.snd_asoundlib_version()).decode()
