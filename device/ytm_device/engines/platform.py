"""What engines on this machine depend on: the keys under which they are built and found."""

from __future__ import annotations

import platform
from pathlib import Path

from ytm_bundle.bundle import Bundle
from ytm_bundle.engines import EngineKey, graph_digests
from ytm_bundle.errors import DeviceError
from ytm_device.benchmark.machine import CPU_INFO, cpu_model
from ytm_device.engines.cuda import first_gpu
from ytm_device.engines.onnx import OPTIMISING, VERSION
from ytm_device.engines.tensorrt import tensorrt_version
from ytm_device.l4t import RELEASE_FILE, release_in

ONNXRUNTIME, TENSORRT = "onnxruntime", "tensorrt"
TENSORRT_OPTIONS = {
    "batch": "1",
    "builder_optimization_level": "3",
    "strongly_typed": "true",
    "workspace_mib": "512",
}
"""How engines are built for TensorRT. Types are those of the graph, float16 where that says so."""
TEGRA_RELEASE = Path("/", RELEASE_FILE)


def onnx_key(bundle: Bundle) -> EngineKey:
    """The key of engines that ONNX Runtime makes of the graphs of `bundle` on this machine."""
    return EngineKey(
        backend=ONNXRUNTIME,
        version=VERSION,
        cuda="",
        gpu=cpu_model(CPU_INFO),
        compute_capability=platform.machine(),
        l4t=l4t_release(TEGRA_RELEASE),
        options=OPTIMISING,
        graphs=graph_digests(bundle),
    )


def tensorrt_key(bundle: Bundle, reasons: list[str] | None = None) -> EngineKey | None:
    """The key of engines that TensorRT makes of the graphs of `bundle` on this machine.

    Args:
        bundle: whose graphs.
        reasons: gets a line that says why there is none.

    Returns:
        None without a GPU, its driver, PyCUDA or TensorRT.
    """
    try:
        version = tensorrt_version()
        gpu = first_gpu()
    except DeviceError as error:
        if reasons is not None:
            reasons.append(str(error))
        return None
    return EngineKey(
        backend=TENSORRT,
        version=version,
        cuda=gpu.cuda,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        l4t=l4t_release(TEGRA_RELEASE),
        options=TENSORRT_OPTIONS,
        graphs=graph_digests(bundle),
    )


def l4t_release(file: Path) -> str:
    """Release of a Jetson's system, such as `36.4.3`; empty on other machines."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return release_in(text) or ""
