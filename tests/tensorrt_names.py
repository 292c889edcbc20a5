"""Which names each TensorRT has, read from its own bindings, into `tensorrt_names.json`.

    python tests/tensorrt_names.py

The bindings come from PyPI. The libraries behind them do not, so empty ones stand in for them:
enough to import the bindings and look at their classes, on a machine without a GPU. Needs gcc.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RESULT = Path(__file__).with_suffix(".json")
WHEELS = (
    "tensorrt-cu12-bindings==10.3.0",
    "tensorrt-cu13-bindings==10.16.*",
    "tensorrt-cu13-bindings==11.4.*",
)
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
FUNCTIONS = (
    *("createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL"),
    *("createInferRuntime_INTERNAL", "createNvOnnxParser_INTERNAL"),
    *("createNvOnnxParserRefitter_INTERNAL", "getBuilderPluginRegistry"),
    *("getNvOnnxParserVersion", "getPluginRegistry", "initLibNvInferPlugins"),
)
"""What the bindings want of the libraries when they are loaded."""
LIST = """
import json, tensorrt_bindings as trt
public = lambda thing: [name for name in dir(thing) if not name.startswith("_")]
# Networks come from ONNX files here: nobody adds layers by hand.
classes = {name: " ".join(public(getattr(trt, name))) for name in public(trt)
           if isinstance(getattr(trt, name), type) and not name.endswith("Layer")}
print(json.dumps({"version": trt.__version__, "classes": classes,
                  "module": " ".join(["__version__", *public(trt)])}))
"""


def main() -> None:
    """Read all of them and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        libraries = stand_ins(Path(folder) / "libraries")
        found = [
            names_of(wheel, Path(folder) / str(n), libraries) for n, wheel in enumerate(WHEELS)
        ]
    versions = {each.pop("version"): each for each in found}
    RESULT.write_text(json.dumps(versions, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{RESULT}: {', '.join(versions)}")


def stand_ins(folder: Path) -> Path:
    """Empty libraries with the names that bindings of 10 and 11 look for."""
    folder.mkdir()
    source = folder / "empty.c"
    source.write_text("".join(f"void {name}(void) {{}}\n" for name in FUNCTIONS))
    for library in LIBRARIES:
        for major in (10, 11):
            out = folder / f"lib{library}.so.{major}"
            subprocess.run(["gcc", "-shared", "-fPIC", "-o", out, source], check=True)
    return folder


def names_of(wheel: str, folder: Path, libraries: Path) -> dict[str, object]:
    """What the bindings of a wheel hold: version, names of the module, names of each class."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
    subprocess.run([*pip, wheel], check=True)
    printed = subprocess.run(
        [sys.executable, "-c", LIST],
        env={**os.environ, "LD_LIBRARY_PATH": str(libraries), "PYTHONPATH": str(folder)},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(printed.stdout))


if __name__ == "__main__":
    main()
