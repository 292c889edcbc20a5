"""A bundle becomes engines: all of them, as good as their graphs, or none."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from waiting import wait_for
from ytm_build.engine import show
from ytm_build.engine.build import Outcome, build_engines
from ytm_build.engine.builder import Built
from ytm_build.engine.estimate import Estimate, earlier_build_s
from ytm_build.engine.events import Begun, Done, Event, Said
from ytm_build.engine.onnx import OnnxBuilder
from ytm_build.engine.show import duration, printable
from ytm_build.engine.timing import read_cache, write_cache
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.engines import find_engines, timing_cache_path
from ytm_bundle.errors import BundleError, EngineError
from ytm_bundle.manifest import GRAPH_NAMES
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.engines.golden import distance
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.engines.platform import onnx_key


@dataclass
class Watched(OnnxBuilder):
    """ONNX Runtime's builder, which notes what it builds, and does something else first."""

    before: Callable[[Path], object] = bool
    built: list[str] = field(default_factory=list)
    caches: list[bytes] = field(default_factory=list)

    def build(self, graph: Path, cache: bytes) -> Built:
        self.before(graph)
        self.built.append(graph.stem)
        self.caches.append(cache)
        return Built(super().build(graph, cache).engine, cache + b"+")


def build(
    bundle: Bundle, place: Path, builder: OnnxBuilder, *, force: bool = False
) -> tuple[Outcome, list[Event]]:
    told: list[Event] = []
    return build_engines(bundle, builder, [place], told.append, force), told


def test_every_graph_becomes_an_engine_as_good_as_it(tiny_bundle: Bundle, tmp_path: Path) -> None:
    outcome, told = build(tiny_bundle, tmp_path, OnnxBuilder())
    assert outcome.built
    assert [graph.name for graph in outcome.engines.report.graphs] == list(GRAPH_NAMES)
    for report in outcome.engines.report.graphs:
        path = outcome.engines.engine_path(report.name)
        golden = tiny_bundle.golden(report.name)
        with closing(OnnxEngine(path)) as engine:
            assert distance(engine.run(**golden.inputs), golden.output) == report.error
        assert report.error <= report.tolerance
        assert report.size_bytes == path.stat().st_size
        assert report.latency_ms > 0
    assert [type(event) for event in told] == [Begun, Done] * len(GRAPH_NAMES)
    assert sorted(path.name for path in tmp_path.iterdir()) == [outcome.engines.key.folder]


def test_how_the_sound_is_streamed_best_is_measured_and_kept(tmp_path: Path) -> None:
    with open_bundle(DEMO_BUNDLE) as bundle:
        outcome, told = build(bundle, tmp_path, OnnxBuilder())
    way = outcome.engines.report.sound
    assert way is not None
    assert "ms a hop" in way.why
    assert way.graph == way.why.startswith("the graph is faster: ")
    assert told[-1] == Said(text=f"sound: {way.why}")


def test_what_is_there_is_not_built_again_unless_it_must(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    first, _ = build(tiny_bundle, tmp_path, Watched())
    builder = Watched()
    again, told = build(tiny_bundle, tmp_path, builder)
    assert (again.built, builder.built, told) == (False, [], [])
    assert again.engines == first.engines
    forced, told = build(tiny_bundle, tmp_path, builder, force=True)
    assert (forced.built, builder.built) == (True, list(GRAPH_NAMES))
    # The first build's time says how long this one takes.
    begun = [event for event in told if isinstance(event, Begun)]
    assert all(event.left_s is not None for event in begun)


def test_engines_in_the_bundle_are_not_built_again_elsewhere(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    first, _ = build(tiny_bundle, tmp_path / "flashed", OnnxBuilder())
    builder = Watched()
    places = [tmp_path / "data", tmp_path / "flashed"]
    found = build_engines(tiny_bundle, builder, places, bool)
    assert (found.built, found.engines.folder) == (False, first.engines.folder)


def interrupt_at(name: str) -> Callable[[Path], None]:
    def interrupt(graph: Path) -> None:
        if graph.stem == name:
            raise KeyboardInterrupt

    return interrupt


def test_an_interrupted_build_goes_on_where_it_was(tiny_bundle: Bundle, tmp_path: Path) -> None:
    first = Watched(before=interrupt_at(GRAPH_NAMES[3]))
    with pytest.raises(KeyboardInterrupt):
        build(tiny_bundle, tmp_path, first)
    assert find_engines([tmp_path], onnx_key(tiny_bundle)) is None
    (damaged,) = tmp_path.glob(f".unfinished-*/{GRAPH_NAMES[1]}.engine")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    second = Watched()
    outcome, told = build(tiny_bundle, tmp_path, second)
    assert second.built == [GRAPH_NAMES[1], *GRAPH_NAMES[3:]]
    kept = [event.report.name for event in told if isinstance(event, Done) and event.kept]
    assert kept == [GRAPH_NAMES[0], GRAPH_NAMES[2]]
    assert [graph.name for graph in outcome.engines.report.graphs] == list(GRAPH_NAMES)
    assert not list(tmp_path.glob(".*"))


def test_what_was_left_of_other_builds_goes(tiny_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / ".unfinished-of-another").mkdir()
    build(tiny_bundle, tmp_path, OnnxBuilder())
    assert not list(tmp_path.glob(".*"))


def test_engines_that_are_too_far_off_are_not_published(
    make_bundle: Callable[..., Path], tiny_bundle: Bundle, tmp_path: Path
) -> None:
    before, _ = build(tiny_bundle, tmp_path / "engines", OnnxBuilder())
    other = make_bundle(tmp_path / "other", seed=1) / "graphs"

    class Wrong(OnnxBuilder):
        def build(self, graph: Path, cache: bytes) -> Built:
            wrong = graph.stem == "image_decoder"
            return super().build(other / graph.name if wrong else graph, cache)

    with pytest.raises(EngineError, match=r"image_decoder: off by .* nothing is published"):
        build(tiny_bundle, tmp_path / "engines", Wrong(), force=True)
    assert find_engines([tmp_path / "engines"], onnx_key(tiny_bundle)) == before.engines
    # Nor is it taken for finished by the next build.
    assert build(tiny_bundle, tmp_path / "engines", OnnxBuilder(), force=True)[0].built


def test_a_builder_that_fails_leaves_what_was_there(tiny_bundle: Bundle, tmp_path: Path) -> None:
    def fail(graph: Path) -> None:
        raise EngineError(f"{graph}: cannot be built")

    before, _ = build(tiny_bundle, tmp_path, OnnxBuilder())
    with pytest.raises(EngineError, match=r"image_encoder\.onnx: cannot be built"):
        build(tiny_bundle, tmp_path, Watched(before=fail), force=True)
    assert find_engines([tmp_path], onnx_key(tiny_bundle)) == before.engines


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "the disk is full; make room"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "cannot be written .*[Rr]ead-only"),
        (OSError(errno.EACCES, os.strerror(errno.EACCES)), "cannot be written .Permission"),
        (MemoryError(), "not enough memory; stop other programs"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    tiny_bundle: Bundle, tmp_path: Path, fault: Exception, words: str
) -> None:
    def refuse(graph: Path) -> None:
        raise fault

    with pytest.raises(EngineError, match=words) as raised:
        build(tiny_bundle, tmp_path, Watched(before=refuse))
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_is_really_full(tiny_bundle: Bundle, tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        with pytest.raises(EngineError, match="the disk is full; make room"):
            build(tiny_bundle, tmp_path / "engines", OnnxBuilder())
        assert find_engines([tmp_path / "engines"], onnx_key(tiny_bundle)) is None
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_it_waits_for_another_process_and_takes_what_that_made(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    build(tiny_bundle, tmp_path, OnnxBuilder())
    descriptor = os.open(tmp_path, os.O_RDONLY)
    told: list[Event] = []
    results: list[Outcome] = []
    thread = threading.Thread(
        target=lambda: results.append(
            build_engines(tiny_bundle, Watched(), [tmp_path], told.append)
        )
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        thread.start()
        wait_for(lambda: told)
        assert not results
    finally:
        os.close(descriptor)
    thread.join()
    assert isinstance(told[0], Said)
    assert "another process builds engines there" in told[0].text
    assert not results[0].built


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_what_root_writes_belongs_to_whom_the_place_belongs(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    os.chown(tmp_path, 12345, 54321)
    outcome, _ = build(tiny_bundle, tmp_path / "engines", OnnxBuilder())
    for path in (tmp_path / "engines", *outcome.engines.folder.iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_measurements_are_kept_and_damaged_ones_are_named(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    first = Watched()
    outcome, _ = build(tiny_bundle, tmp_path, first)
    assert first.caches == [b"+" * n for n in range(len(GRAPH_NAMES))]
    path = timing_cache_path(tmp_path, outcome.engines.key)
    content = bytearray(path.read_bytes())
    for at in range(len(content)):
        content[at] ^= 1
        path.write_bytes(content)
        with pytest.raises(EngineError, match=r"timing-.*\.cache: damaged"):
            read_cache(path)
        content[at] ^= 1
    second = Watched()
    path.write_bytes(content[:-1] + b"x")
    _, told = build(tiny_bundle, tmp_path, second, force=True)
    assert isinstance(told[1], Said)
    assert f"{path}: damaged; measuring anew" in told[1].text
    assert second.caches == first.caches


def test_no_measurements_are_no_file(tmp_path: Path) -> None:
    write_cache(tmp_path / "cache", b"")
    assert read_cache(tmp_path / "cache") == b""
    assert not list(tmp_path.iterdir())


def test_what_is_left_takes_as_long_as_before_or_as_its_size_did() -> None:
    estimate = Estimate({"a": 100, "b": 300, "c": 200}, {})
    assert estimate.left_s() is None
    estimate.finished("a", 1.0)
    assert estimate.left_s() == pytest.approx(5.0)
    estimate = Estimate({"a": 100, "b": 300, "c": 200}, {"a": 1.0, "b": 7.0})
    assert estimate.left_s() == pytest.approx(8 + 200 * 8 / 400)
    estimate.finished("b", None)
    assert estimate.left_s() == pytest.approx(1 + 200 * 8 / 400)


def test_reports_that_cannot_be_read_say_nothing(tiny_bundle: Bundle, tmp_path: Path) -> None:
    assert earlier_build_s(tmp_path, "onnxruntime") == {}
    outcome, _ = build(tiny_bundle, tmp_path, OnnxBuilder())
    assert set(earlier_build_s(tmp_path, "onnxruntime")) == set(GRAPH_NAMES)
    assert earlier_build_s(tmp_path, "tensorrt") == {}
    (outcome.engines.folder / "report.json").write_text("{")
    assert earlier_build_s(tmp_path, "onnxruntime") == {}


def test_durations_are_said_as_people_say_them() -> None:
    assert [duration(s) for s in (0.04, 59.6, 119, 600)] == ["0.0 s", "60 s", "119 s", "10 min"]


def test_a_terminal_shows_how_far_it_is_and_how_long_it_will_take(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = StringIO()
    monkeypatch.setattr(show, "messages", Console(file=shown, force_terminal=True, width=200))
    with show.BuildDisplay() as display:
        for left_s in (None, 300.0):
            display.tell(Begun(name="image_decoder", number=4, count=6, left_s=left_s))
            wait_for(lambda: "image_decoder (4 of 6)" in shown.getvalue())
            if left_s is None:
                assert "left" not in shown.getvalue()
        wait_for(lambda: "about 5 min left" in shown.getvalue())


def test_what_others_say_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2J\nb\x9b\r" + "c" * 9000).startswith("a?[2J?b??c")
    assert len(printable("x" * 9000)) == 4000


FILES = [
    *("manifest.json", "SHA256SUMS", "mel.npz", "replay.npz", "golden.npz"),
    *(f"graphs/{name}.onnx" for name in GRAPH_NAMES),
]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1 << at % 8
    path.write_bytes(content)


def test_one_flipped_bit_in_any_file_is_named_before_anything_else(
    bundle_path, ytm_build_engine
) -> None:
    words = (bundle_path, "--backend", "onnxruntime")
    assert ytm_build_engine(*words).code == 0
    with open_bundle(bundle_path) as bundle:
        key = onnx_key(bundle)
    everything = {
        str(path.relative_to(bundle_path)) for path in bundle_path.rglob("*") if path.is_file()
    }
    engines = {name for name in everything if name.startswith("engines/")}
    assert everything - engines == set(FILES)
    assert len(engines) == len(GRAPH_NAMES) + 3
    for number, name in enumerate(sorted(everything), start=1):
        path = bundle_path / name
        at = number * 7919 % path.stat().st_size
        flip(path, at)
        if name in engines:
            problems: list[str] = []
            assert find_engines([bundle_path / "engines"], key, problems) is None
            assert str(path) in problems[0]
            ran = ytm_build_engine(*words)
            assert ran.code == 0
            assert ran.said.startswith(str(path)), name
        else:
            with pytest.raises(BundleError, match=name), open_bundle(bundle_path):
                pass
            ran = ytm_build_engine(*words)
            assert ran.code == 1
            assert str(path) in ran.said
            flip(path, at)
        with open_bundle(bundle_path):
            assert find_engines([bundle_path / "engines"], key) is not None
