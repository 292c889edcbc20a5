"""Everything of TensorRT that is used is in every TensorRT that boards have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tensorrt_uses import MODULE, uses

TREE = Path(__file__).resolve().parents[2]
NAMES = json.loads((TREE / "tests/tensorrt_names.json").read_text(encoding="utf-8"))
RUNS = TREE / "device/ytm_device/engines/tensorrt.py"
BUILDS = TREE / "model_build/ytm_build/engine/tensorrt.py"
EXPECTED = {
    RUNS: {
        ("Runtime", "deserialize_cuda_engine"),
        ("ICudaEngine", "create_execution_context"),
        ("ICudaEngine", "num_io_tensors"),
        ("ICudaEngine", "get_tensor_name"),
        ("ICudaEngine", "get_tensor_mode"),
        ("ICudaEngine", "get_tensor_dtype"),
        ("ICudaEngine", "get_tensor_shape"),
        ("IExecutionContext", "set_input_shape"),
        ("IExecutionContext", "get_tensor_shape"),
        ("IExecutionContext", "set_tensor_address"),
        ("IExecutionContext", "execute_async_v3"),
        ("TensorIOMode", "INPUT"),
        ("TensorIOMode", "OUTPUT"),
        ("DataType", "FLOAT"),
        ("Logger", "WARNING"),
        (MODULE, "__version__"),
    },
    BUILDS: {("Builder", "build_serialized_network")},
}
"""Some of what the walk must find, so that it does not pass by finding nothing."""


def unknown(path: Path, version: str) -> set[tuple[str, str]]:
    names = NAMES[version]
    known = {(MODULE, name) for name in names["module"].split()}
    known |= {(kind, name) for kind, text in names["classes"].items() for name in text.split()}
    return {(kind, name) for kind, name in uses(path) - known if name != "__init__"}


def test_names_are_known_of_the_versions_that_boards_have() -> None:
    assert [version.rsplit(".", version.count(".") - 1)[0] for version in NAMES] == [
        "10.16",
        "10.3",
        "11.4",
    ]


@pytest.mark.parametrize("version", NAMES)
@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.relative_to(TREE).parts[0])
def test_every_name_of_tensorrt_is_in_this_version(path: Path, version: str) -> None:
    assert EXPECTED[path] <= uses(path)
    assert unknown(path, version) == set()


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("engine: trt.ICudaEngine = x; engine.num_bindings", "10.3.0"),
        ("trt.BuilderFlag.FP16", "11.4.0.106"),
        ("trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH", "11.4.0.106"),
        ("def f(config: trt.IBuilderConfig): config.max_workspace_size = 1", "10.3.0"),
        ("trt.init_libnvinfer_plugin_s", "10.3.0"),
        ("engine: trt.ICudaEngine_v9 = x", "10.16.1.11"),
    ],
)
def test_a_name_that_a_version_lacks_is_found(tmp_path: Path, line: str, version: str) -> None:
    path = tmp_path / "planted.py"
    path.write_text(f"import tensorrt as trt\n{line}\n")
    assert len(unknown(path, version)) >= 1
