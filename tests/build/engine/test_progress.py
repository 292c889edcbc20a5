"""The screen sees how far a build is, without a word from it."""

from __future__ import annotations

from pathlib import Path

from ytm_build.engine.build import build_engines
from ytm_build.engine.builder import Built
from ytm_build.engine.onnx import OnnxBuilder
from ytm_bundle.bundle import Bundle
from ytm_bundle.checksums import ENGINES_FOLDER
from ytm_device.screen.engine_progress import LOOK_EVERY_S, STALE_S, EngineProgress

TURN_NS = round(LOOK_EVERY_S * 1e9)


class Seen(OnnxBuilder):
    """ONNX Runtime's builder, which looks at what the screen would see before each graph."""

    def __init__(self, progress: EngineProgress) -> None:
        self.progress = progress
        self.shares: list[float | None] = []

    def build(self, graph: Path, cache: bytes) -> Built:
        self.shares.append(self.progress.share(len(self.shares) * TURN_NS))
        return super().build(graph, cache)


def test_it_grows_with_each_graph_and_is_gone_at_the_end(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    count = len(tiny_bundle.manifest.graphs)
    progress = EngineProgress(tmp_path, count)
    builder = Seen(progress)
    build_engines(tiny_bundle, builder, [tmp_path / ENGINES_FOLDER], lambda event: None)
    assert builder.shares == [None, *(number / count for number in range(1, count))]
    assert progress.share(count * TURN_NS) is None


def test_it_looks_at_the_disk_now_and_then_alone(tmp_path: Path) -> None:
    progress = EngineProgress(tmp_path, 4)
    assert progress.share(0) is None
    (tmp_path / ENGINES_FOLDER / ".unfinished-0").mkdir(parents=True)
    assert progress.share(TURN_NS - 1) is None
    assert progress.share(TURN_NS) == 0


def test_what_a_build_that_ended_left_is_no_progress(tmp_path: Path) -> None:
    left = tmp_path / ENGINES_FOLDER / ".unfinished-0"
    left.mkdir(parents=True)
    (left / "image_encoder.engine").touch()
    progress = EngineProgress(tmp_path, 4)
    later_ns = TURN_NS + round(STALE_S * 1e9)
    assert progress.share(TURN_NS) == 0.25
    assert progress.share(later_ns) == 0.25
    assert progress.share(later_ns + 1) is None
    (left / "image_decoder.engine").touch()
    assert progress.share(later_ns + TURN_NS) == 0.5
