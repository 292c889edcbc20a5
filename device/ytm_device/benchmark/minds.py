"""The mind that would answer on this machine, opened so that each of its graphs can be timed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from ytm_bundle.bundle import Bundle
from ytm_bundle.checksums import SUMS_NAME
from ytm_bundle.engines import engine_places
from ytm_bundle.errors import DeviceError
from ytm_device.benchmark.report import MindName
from ytm_device.engines.golden import expected_of
from ytm_device.engines.mind import ANSWERING, Graphs, OnnxMind
from ytm_device.engines.platform import onnx_key, tensorrt_key
from ytm_device.engines.search import Candidate, Wish, load_engines


def open_mind(bundle: Bundle, wish: Wish, data: Path, run_dir: Path) -> tuple[Graphs, MindName]:
    """Load engines built for this machine, else the graphs as they are; what and why.

    The choice is that of `ytm_device.engines.choice`, made at once instead of beside a show.

    Args:
        bundle: whose graphs.
        wish: what the settings say.
        data: what lasts on this machine; engines lie there.
        run_dir: gets a mark while engines are tried.

    Raises:
        DeviceError: a graph cannot be loaded, or nothing that the settings allow is there.
    """
    reasons: list[str] = []
    for found in candidates(bundle, wish, data, reasons):
        try:
            loaded = load_engines(found, expected_of(bundle), found.asked(run_dir), wish)
        except DeviceError as error:
            reasons.insert(0, f"{error}; these engines are not used")
            continue
        # All that it loads can be run graph by graph: that is how it has tried them.
        return cast("Graphs", loaded), MindName(
            backend=loaded.backend,
            key=found.key.folder,
            reason=f"built for this machine: {found.folder}",
        )
    reason = reasons[0] if reasons else "there are no engines for this machine yet"
    if wish.engines == "tensorrt":
        raise DeviceError(f"only TensorRT may answer, and cannot: {reason}; build engines for it")
    if wish.engines == "onnxruntime":
        reason = "the settings say so"
    graphs = OnnxMind({name: bundle.graph_path(name) for name in ANSWERING})
    return graphs, MindName(backend=graphs.backend, key=None, reason=reason)


def candidates(bundle: Bundle, wish: Wish, data: Path, reasons: list[str]) -> Iterator[Candidate]:
    """Engines for this machine, the preferred ones first.

    Args:
        bundle: whose graphs.
        wish: what the settings say.
        data: what lasts on this machine.
        reasons: gets a line that says why there are none for the GPU.
    """
    on_gpu = None if wish.engines == "onnxruntime" else tensorrt_key(bundle, reasons)
    on_cpu = None if wish.engines == "tensorrt" else onnx_key(bundle)
    for key in (on_gpu, on_cpu):
        for place in () if key is None else engine_places(bundle.folder, data):
            assert key is not None
            try:
                stat = (place / key.folder / SUMS_NAME).stat()
            except OSError:
                continue
            mark = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
            yield Candidate(place, key, mark)
