"""The key of engines names everything of this machine, and looking for it never fails."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fake_gpu import Error, FakeGpu, plug_in
from waiting import HANG_S
from ytm_bundle.bundle import Bundle
from ytm_bundle.engines import graph_digests
from ytm_device.engines import platform as engines_platform
from ytm_device.engines.onnx import VERSION
from ytm_device.engines.platform import l4t_release, onnx_key, tensorrt_key

JETPACK_6 = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: x\n"
)
JETPACK_7 = "# R39 (release), REVISION: 2, GCID: 1, BOARD: generic\n# KERNEL_VARIANT: oot\n"


@pytest.mark.parametrize(
    ("text", "release"),
    [
        (JETPACK_6, "36.4.3"),
        (JETPACK_7, "39.2"),
        ("", ""),
        ("nothing\n" + JETPACK_6, ""),
        ("# R (release), REVISION: x", ""),
        ("\xff\x00", ""),
        (None, ""),
    ],
)
def test_the_release_of_a_jetson_is_read(tmp_path: Path, text: str | None, release: str) -> None:
    file = tmp_path / "nv_tegra_release"
    if text is not None:
        file.write_text(text, encoding="latin-1")
    assert l4t_release(file) == release


def test_the_key_for_onnx_runtime_names_this_machine(tiny_bundle: Bundle) -> None:
    key = onnx_key(tiny_bundle)
    assert (key.backend, key.version, key.cuda) == ("onnxruntime", VERSION, "")
    assert key.compute_capability == platform.machine()
    assert key.gpu
    assert key.graphs == graph_digests(tiny_bundle)
    assert onnx_key(tiny_bundle) == key


def test_the_key_for_tensorrt_names_gpu_driver_and_release(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_in(monkeypatch, FakeGpu())
    release = tmp_path / "nv_tegra_release"
    release.write_text(JETPACK_6)
    monkeypatch.setattr(engines_platform, "TEGRA_RELEASE", release)
    key = tensorrt_key(tiny_bundle)
    assert key is not None
    assert key.model_dump(exclude={"graphs", "options"}) == {
        "backend": "tensorrt",
        "version": "10.3.0.30",
        "cuda": "12.6.0",
        "gpu": "Fake GPU",
        "compute_capability": "8.7",
        "l4t": "36.4.3",
    }
    assert key.graphs == graph_digests(tiny_bundle)


def test_without_a_gpu_there_is_a_reason_instead(tiny_bundle: Bundle) -> None:
    reasons: list[str] = []
    key = tensorrt_key(tiny_bundle, reasons)
    if key is not None:
        pytest.skip(f"there is a GPU here: {key.gpu}")
    (reason,) = reasons
    assert re.search("TensorRT cannot be imported|no GPU can be used", reason)
    assert tensorrt_key(tiny_bundle) is None


@pytest.mark.parametrize("missing", ["pycuda", "tensorrt"])
def test_what_is_missing_is_named(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    plug_in(monkeypatch, FakeGpu())
    for name in (missing, f"{missing}.driver"):
        monkeypatch.setitem(sys.modules, name, None)
    reasons: list[str] = []
    assert tensorrt_key(tiny_bundle, reasons) is None
    assert missing in reasons[0].lower()


def test_a_driver_that_finds_no_gpu_is_a_reason(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = FakeGpu()
    plug_in(monkeypatch, gpu)

    def no_device() -> None:
        raise Error("cuInit failed: no CUDA-capable device is detected")

    monkeypatch.setattr(sys.modules["pycuda"].driver, "init", no_device)
    reasons: list[str] = []
    assert tensorrt_key(tiny_bundle, reasons) is None
    assert reasons == ["no GPU can be used (cuInit failed: no CUDA-capable device is detected)"]


def test_neither_tensorrt_nor_pycuda_is_loaded_before_somebody_asks() -> None:
    look = (
        "import sys; import ytm_device.reflecting.service, ytm_device.engines.tensorrt;"
        " sys.exit(any(name in sys.modules for name in ('tensorrt', 'pycuda')))"
    )
    assert subprocess.run([sys.executable, "-c", look], timeout=HANG_S).returncode == 0
