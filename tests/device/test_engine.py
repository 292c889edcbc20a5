"""ONNX Runtime as an engine: what it cannot load or run is one error that names the graph."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from built_engines import write_graph_with_state
from waiting import HANG_S
from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_device.engines.onnx import OnnxEngine, optimised


@pytest.mark.parametrize("content", [None, b"", b"no graph\n" * 9, bytes(100)])
def test_a_file_that_is_no_graph_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "image_encoder.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DeviceError, match=r"image_encoder\.onnx: ONNX Runtime cannot load"):
        OnnxEngine(path)


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"sound": np.zeros((1, 3, 32, 32), np.float32)},
        {"image": np.zeros((1, 3, 31, 32, 2), np.float32)},
        {"image": np.zeros((1, 3, 32, 32), np.float64)},
    ],
    ids=["none", "name", "shape", "type"],
)
def test_an_input_that_the_graph_does_not_take_is_refused(
    tiny_bundle: Bundle, inputs: dict[str, np.ndarray]
) -> None:
    engine = OnnxEngine(tiny_bundle.graph_path("image_encoder"))
    with pytest.raises(DeviceError, match=r"image_encoder\.onnx: ONNX Runtime failed"):
        engine.run(**inputs)
    engine.close()


def test_a_batch_is_run_as_its_rows_are(tiny_bundle: Bundle) -> None:
    engine = OnnxEngine(tiny_bundle.graph_path("image_encoder"))
    images = np.random.default_rng(1).random((3, 3, 32, 32), np.float32)
    rows = [engine.run(image=image[None])[0] for image in images]
    assert np.allclose(engine.run(image=images), rows, atol=1e-6)
    engine.close()


def test_an_engine_made_of_a_graph_gives_the_same(tiny_bundle: Bundle, tmp_path: Path) -> None:
    made = tmp_path / "image_encoder.engine"
    made.write_bytes(optimised(tiny_bundle.graph_path("image_encoder")))
    golden = tiny_bundle.golden("image_encoder")
    engine = OnnxEngine(made)
    assert engine.inputs == ("image",)
    assert np.allclose(engine.run(**golden.inputs), golden.output, atol=1e-6)
    engine.close()
    with pytest.raises(DeviceError, match=r"none\.onnx: ONNX Runtime cannot load"):
        optimised(tmp_path / "none.onnx")


def test_several_outputs_have_their_names(tmp_path: Path) -> None:
    write_graph_with_state(tmp_path / "inverter.onnx")
    engine = OnnxEngine(tmp_path / "inverter.onnx")
    past = np.ones((1, 2, 3), np.float32)
    for turn in range(3):
        found = engine.run_all(power=np.full((1, 4), 5, np.float32), past=past)
        assert list(found) == ["hop", "next_past"]
        assert (found["hop"] == 5 + 6 * 2**turn).all()
        past = found["next_past"]
    engine.close()


def test_nothing_is_kept_or_told_about_its_use(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """The wheels for Linux keep a database of it under the home folder, and send it."""
    graph = tiny_bundle_path / "graphs" / "image_encoder.onnx"
    load = (
        "import pathlib, sys; from ytm_device.engines.onnx import OnnxEngine;"
        " OnnxEngine(pathlib.Path(sys.argv[1])).close()"
    )
    hidden = ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    subprocess.run(
        [sys.executable, "-c", load, graph],
        env=environment | {"HOME": str(tmp_path)},
        check=True,
        timeout=HANG_S,
    )
    assert list(tmp_path.iterdir()) == []
