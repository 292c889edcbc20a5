"""Which backend answers and why, and that whatever fails is named and never shown.

ONNX Runtime's own engines stand where those for a GPU would; where it says so, the fake GPU does.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from built_engines import build_engines
from fake_gpu import FakeGpu, plug_in
from faulty_minds import with_faults
from waiting import HANG_S, wait_for
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.checksums import write_sums
from ytm_bundle.engines import KEY_NAME, find_engines
from ytm_bundle.errors import AnswerError, DeviceError
from ytm_device.engines import choice
from ytm_device.engines.choice import ChosenMind
from ytm_device.engines.mind import ANSWERING, Answer, OnnxMind
from ytm_device.engines.onnx import optimised
from ytm_device.engines.platform import onnx_key, tensorrt_key
from ytm_device.engines.search import Wish

IMAGE = np.random.default_rng(0).random((1, 3, 32, 32), np.float32)
WHITE, BLACK = np.ones_like(IMAGE), np.zeros_like(IMAGE)
NOISE = np.zeros((1, 8), np.float32)
ON_CPU = r"ONNX Runtime [\d.]+ \(CPU\)"
AUTO = Wish()
Choosing = Callable[..., AbstractContextManager["Looking"]]


@pytest.fixture(scope="module")
def bundle(
    make_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bundle]:
    """Whose `image_to_sound` takes the image too, so that it can be spoiled."""
    inputs = {"image_to_sound": ("latent", "image")}
    path = make_bundle(tmp_path_factory.mktemp("bundle") / "good", inputs=inputs)
    with open_bundle(path) as bundle:
        yield bundle


@pytest.fixture(scope="module")
def faulty(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph that never answers a white picture, and a black one with what is not a number."""
    path = with_faults(bundle.folder, tmp_path_factory.mktemp("bundle") / "faulty")
    return path / "graphs/image_to_sound.onnx"


@pytest.fixture
def right(bundle: Bundle) -> Answer:
    with OnnxMind({name: bundle.graph_path(name) for name in ANSWERING}) as mind:
        return mind.answer(IMAGE, NOISE)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


class Looking:
    """A chosen mind, looked at once a second of a clock that is turned by hand."""

    def __init__(self, mind: ChosenMind) -> None:
        self.mind = mind
        self._now_ns = time.monotonic_ns()

    def look(self, wish: Wish = AUTO, seconds: float = 1.0) -> None:
        self._now_ns += round(seconds * 1e9)
        self.mind.look(self._now_ns, wish)

    def until(self, condition: Callable[[], object], wish: Wish = AUTO) -> None:
        def found() -> object:
            self.look(wish)
            return condition()

        wait_for(found)

    def changes_over(self) -> None:
        self.until(lambda: ", engines " in self.mind.backend)

    def answers_as(self, right: Answer) -> bool:
        found = self.mind.answer(IMAGE, NOISE)
        return np.allclose(found.mel, right.mel, atol=1e-5) and np.allclose(
            found.image, right.image, atol=1e-5
        )


@pytest.fixture
def chosen(bundle: Bundle, data: Path, run_dir: Path) -> Choosing:
    @contextmanager
    def choosing(wish: Wish = AUTO, of: Bundle = bundle) -> Iterator[Looking]:
        with ChosenMind(of, wish, data, run_dir) as mind:
            yield Looking(mind)
        if not any(run_dir.iterdir()):
            wait_for(lambda: not any("(_work)" in each.name for each in threading.enumerate()))

    return choosing


def test_without_engines_the_graphs_answer_at_once_and_say_so(chosen, right) -> None:
    with chosen() as looking:
        assert looking.answers_as(right)
        assert looking.mind.problem is None
        assert looking.mind.silent is None
        assert looking.mind.backend.endswith("(CPU)")
        looking.until(lambda: "PyCUDA" in looking.mind.why or "TensorRT" in looking.mind.why)


def test_engines_that_come_take_over_and_say_so(
    chosen, bundle, data, right, run_dir, capsys
) -> None:
    with chosen() as looking:
        before = looking.mind.backend
        folder = build_engines(bundle, data / "engines")
        looking.changes_over()
        assert looking.mind.backend == f"{before}, engines {folder.name[:8]}"
        assert looking.mind.why == f"built for this machine: {folder}"
        assert looking.answers_as(right)
        assert looking.mind.problem is None
        # They are in memory: nobody needs the files any more.
        shutil.rmtree(folder)
        looking.look()
        assert looking.answers_as(right)
        assert ", engines " in looking.mind.backend
    assert list(run_dir.iterdir()) == []
    told = capsys.readouterr().err
    assert f"answered by {before}: " in told
    assert f"engines {folder.name[:8]}: built for this machine: {folder}" in told


def test_whoever_stands_there_is_answered_while_engines_are_loaded(
    chosen, bundle, data, right, monkeypatch
) -> None:
    tried = threading.Event()
    monkeypatch.setattr("ytm_device.engines.search.check_golden", lambda *_: tried.wait(HANG_S))
    build_engines(bundle, data / "engines")
    with chosen() as looking:
        looking.until(lambda: "being loaded" in looking.mind.why)
        for _ in range(50):
            looking.look(seconds=1 / 30)
            assert looking.answers_as(right)
            assert looking.mind.backend.endswith("(CPU)")
        tried.set()
        answers = 0

        def changes_over() -> bool:
            nonlocal answers
            looking.look(seconds=1 / 30)
            # Every picture has its answer, the one at the change too.
            answers += looking.answers_as(right)
            return ", engines " in looking.mind.backend

        wait_for(changes_over)
        assert answers >= 1
        assert looking.answers_as(right)


def test_engines_of_a_bundle_that_is_to_come_are_loaded_before_anybody_looks(
    chosen, bundle, data
) -> None:
    build_engines(bundle, data / "engines")
    with chosen() as looking:
        wait_for(lambda: looking.mind._loading.thread.made.done())
        looking.look()
        assert ", engines " in looking.mind.backend


def test_engines_in_the_bundle_are_found(chosen, bundle, tmp_path, right) -> None:
    shutil.copytree(bundle.folder, tmp_path / "bundle")
    with open_bundle(tmp_path / "bundle") as copy:
        folder = build_engines(copy, tmp_path / "bundle/engines")
        with chosen(of=copy) as looking:
            looking.changes_over()
            assert looking.mind.why.endswith(str(folder))
            assert looking.answers_as(right)


@pytest.mark.parametrize("name", ["image_encoder.engine", "key.json", "report.json", "SHA256SUMS"])
def test_damaged_engines_are_named_and_sound_ones_used_once_they_come(
    chosen, bundle, data, right, name
) -> None:
    path = build_engines(bundle, data / "engines") / name
    spoiled = bytearray(path.read_bytes())
    spoiled[len(spoiled) // 2] ^= 4
    path.write_bytes(spoiled)
    with chosen() as looking:
        looking.until(lambda: looking.mind.problem)
        assert str(path) in looking.mind.problem
        assert looking.mind.problem.endswith("; these engines are not used")
        assert looking.mind.why == looking.mind.problem
        assert looking.mind.backend.endswith("(CPU)")
        assert looking.answers_as(right)
        for _ in range(3):
            looking.look()
        build_engines(bundle, data / "engines")
        looking.changes_over()
        assert looking.mind.problem is None
        assert looking.answers_as(right)


def test_engines_that_give_something_else_are_never_shown(
    chosen, bundle, make_bundle, data, tmp_path, right
) -> None:
    with open_bundle(make_bundle(tmp_path / "other", seed=1)) as other:
        wrong = optimised(other.graph_path("sound_decoder"))
    build_engines(bundle, data / "engines", instead={"sound_decoder": wrong})
    with chosen() as looking:
        looking.until(lambda: looking.mind.problem)
        assert "sound_decoder: off by" in looking.mind.problem
        assert "0.005 is allowed" in looking.mind.problem
        assert looking.answers_as(right)


def test_a_file_that_is_no_engine_is_named(chosen, bundle, data, right) -> None:
    build_engines(bundle, data / "engines", instead={"image_decoder": b"no engine"})
    with chosen() as looking:
        looking.until(lambda: looking.mind.problem)
        assert "image_decoder.engine: ONNX Runtime cannot load" in looking.mind.problem
        assert looking.answers_as(right)


def test_what_is_not_a_number_is_answered_by_the_graphs_instead(
    chosen, bundle, data, faulty, right, run_dir
) -> None:
    build_engines(bundle, data / "engines", instead={"image_to_sound": faulty.read_bytes()})
    with chosen() as looking:
        looking.changes_over()
        assert looking.answers_as(right)
        assert np.isfinite(looking.mind.answer(BLACK, NOISE).mel).all()
        assert "sound_decoder: its answer is not finite" in looking.mind.problem
        assert looking.mind.backend.endswith("(CPU)")
        looking.look()
        looking.look()
        assert looking.mind.backend.endswith("(CPU)"), "the same engines are asked again"
        assert looking.answers_as(right)
    assert list(run_dir.iterdir()) == []


def test_engines_that_hang_while_they_are_tried_are_left_behind(
    chosen, bundle, data, faulty, right, run_dir, make_bundle, tmp_path, monkeypatch
) -> None:
    """Whoever looks at a mirror does not notice; whoever starts it again does not ask them."""
    build_engines(bundle, data / "engines", instead={"image_to_sound": faulty.read_bytes()})
    hanging = threading.Event()
    # Where a GPU would hang: in a call that never comes back.
    monkeypatch.setattr("ytm_device.engines.search.check_golden", lambda *_: hanging.wait(60))
    monkeypatch.setattr("ytm_device.engines.own_thread.CLOSE_WITHIN_S", 0.1)
    with chosen() as looking:
        looking.until(lambda: [*run_dir.iterdir()])
        assert looking.answers_as(right)
        looking.look(seconds=choice.LOAD_WITHIN_S + 1)
        assert "no answer within 120 s" in looking.mind.problem
        assert looking.answers_as(right)
    (mark,) = run_dir.iterdir()
    with chosen() as looking:
        looking.until(lambda: looking.mind.problem)
        assert f"{mark}: a process has not come back from these engines" in looking.mind.problem
        assert looking.answers_as(right)
        # Built again, they are others.
        hanging.set()
        build_engines(bundle, data / "engines")
        looking.changes_over()
    assert list(run_dir.iterdir()) in ([], [mark])


def test_a_start_that_is_cut_short_leaves_no_mark(
    chosen, bundle, data, run_dir, monkeypatch
) -> None:
    build_engines(bundle, data / "engines")
    busy = threading.Event()
    monkeypatch.setattr("ytm_device.engines.search.check_golden", lambda *_: busy.wait(60))
    monkeypatch.setattr("ytm_device.engines.own_thread.CLOSE_WITHIN_S", 0.1)
    with chosen() as looking:
        looking.until(lambda: [*run_dir.iterdir()])
        busy.set()
    assert list(run_dir.iterdir()) == []


def test_engines_for_anything_else_are_not_even_seen(chosen, bundle, data, right) -> None:
    key = onnx_key(bundle)
    others = [
        {"backend": "other"},
        {"version": key.version + "1"},
        {"cuda": "12.6"},
        {"gpu": "another CPU"},
        {"compute_capability": "riscv64"},
        {"l4t": "36.4.3"},
        *({"options": key.options | {name: "other"}} for name in key.options),
        *({"graphs": key.graphs | {name: "0" * 64}} for name in key.graphs),
    ]
    built = build_engines(bundle, data / "engines")
    for changed in others:
        other = key.model_copy(update=changed)
        copy = shutil.copytree(built, data / "engines" / other.folder)
        (copy / KEY_NAME).write_text(other.model_dump_json(), encoding="utf-8")
        write_sums(copy)
        assert find_engines([data / "engines"], other) is not None
    shutil.rmtree(built)
    assert len(list((data / "engines").iterdir())) == len(others) == 6 + len(key.options) + 6
    with chosen() as looking:
        for _ in range(20):
            looking.look()
            time.sleep(0.01)
        assert looking.mind.backend.endswith("(CPU)")
        assert looking.mind.problem is None
        build_engines(bundle, data / "engines")
        looking.changes_over()
        assert looking.answers_as(right)


def test_a_mind_that_is_too_slow_is_silent_until_engines_come(
    chosen, bundle, data, right, monkeypatch
) -> None:
    monkeypatch.setattr(choice, "FRAME_S", 0.0)
    with chosen() as looking:
        assert "ms for a picture, more than the 0 ms of a mirror" in looking.mind.silent
        assert looking.mind.backend == "none"
        with pytest.raises(AnswerError, match="for a picture"):
            looking.mind.answer(IMAGE, NOISE)
        build_engines(bundle, data / "engines")
        looking.changes_over()
        assert looking.mind.silent is None
        assert looking.answers_as(right)


def test_the_settings_may_change_what_answers_while_it_runs(chosen, bundle, data, right) -> None:
    build_engines(bundle, data / "engines")
    with chosen() as looking:
        looking.changes_over()
        only_gpu = Wish("tensorrt")
        looking.until(lambda: "cannot be imported" in (looking.mind.silent or ""), only_gpu)
        assert "only TensorRT may answer" in looking.mind.silent
        with pytest.raises(AnswerError):
            looking.mind.answer(IMAGE, NOISE)
        looking.until(lambda: ", engines " in looking.mind.backend, Wish("onnxruntime"))
        assert looking.answers_as(right)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    gpu = FakeGpu()
    plug_in(monkeypatch, gpu)
    return gpu


def for_gpu(bundle: Bundle) -> dict[str, bytes]:
    return {name: str(bundle.graph_path(name)).encode() for name in bundle.manifest.graphs}


def build_for_gpu(bundle: Bundle, data: Path) -> Path:
    key = tensorrt_key(bundle)
    assert key is not None
    return build_engines(bundle, data / "engines", key=key, instead=for_gpu(bundle))


@pytest.mark.parametrize("wish", [AUTO, Wish("tensorrt"), Wish("tensorrt", cuda_graph=True)])
def test_a_gpu_takes_over_from_onnx_runtime_and_its_engines(
    chosen, bundle, data, right, gpu, wish, run_dir
) -> None:
    build_engines(bundle, data / "engines")
    with chosen(wish) as looking:
        if wish == AUTO:
            looking.changes_over()
        build_for_gpu(bundle, data)
        looking.until(lambda: looking.mind.backend.startswith("TensorRT 10.3.0.30 (GPU)"), wish)
        assert looking.answers_as(right)
        assert looking.answers_as(right)
    assert (gpu.current, gpu.contexts, gpu.memories) == (0, 0, {})
    assert threading.get_ident() not in gpu.threads
    assert len(gpu.threads) == 1
    assert list(run_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("null engine", "TensorRT cannot load this engine"),
        ("null context", "out of memory?"),
        ("half", "is not float32"),
        ("refuses", "TensorRT cannot run this engine"),
        ("memory", "out of memory"),
    ],
)
def test_a_gpu_that_fails_is_named_and_onnx_runtime_answers(
    chosen, bundle, data, right, gpu, fault, says
) -> None:
    build_for_gpu(bundle, data)
    gpu.faults.add(fault)
    gpu.memory_bytes = 1000 if fault == "memory" else gpu.memory_bytes
    with chosen() as looking:
        looking.until(lambda: looking.mind.problem)
        assert says in looking.mind.problem
        assert looking.answers_as(right)
        assert looking.mind.backend.endswith("(CPU)")
    assert (gpu.current, gpu.contexts, gpu.memories) == (0, 0, {})


def test_what_only_a_library_knows_is_named_too(
    chosen, bundle, data, right, gpu, monkeypatch
) -> None:
    build_for_gpu(bundle, data)

    def surprise(self, image, noise):
        raise RuntimeError("pybind: no such overload")

    with chosen() as looking:
        looking.changes_over()
        monkeypatch.setattr("ytm_device.engines.tensorrt.TensorRtMind.answer", surprise)
        assert looking.answers_as(right)
        assert "RuntimeError('pybind: no such overload')" in looking.mind.problem
        assert looking.mind.backend.endswith("(CPU)")


def test_a_machine_that_cannot_be_understood_is_said(chosen, right, monkeypatch) -> None:
    def surprise(bundle, reasons):
        raise RuntimeError("half a driver")

    monkeypatch.setattr("ytm_device.engines.search.tensorrt_key", surprise)
    with chosen() as looking:
        looking.until(lambda: "half a driver" in looking.mind.why)
        assert looking.answers_as(right)


def test_a_gpu_that_fails_later_is_left_between_two_pictures(
    chosen, bundle, data, right, gpu
) -> None:
    build_for_gpu(bundle, data)
    with chosen() as looking:
        looking.changes_over()
        gpu.faults.add("wait")
        assert looking.answers_as(right)
        assert "an illegal memory access" in looking.mind.problem
        assert looking.mind.backend.endswith("(CPU)")
        looking.look()
        assert looking.answers_as(right)


def test_with_a_gpu_and_no_engines_the_reason_is_said(chosen, gpu, right) -> None:
    with chosen() as looking:
        looking.look()
        wait_for(lambda: looking.mind._search._keys.done())
        looking.look()
        assert looking.mind.why == "there are no engines for this machine yet"
        assert looking.answers_as(right)


def test_graphs_that_do_not_answer_are_an_error_at_once(
    bundle, faulty, data, run_dir, monkeypatch
) -> None:
    golden = bundle.golden("image_encoder")
    golden.inputs["image"][:] = 0
    monkeypatch.setattr(type(bundle), "golden", lambda self, name: golden)
    with open_bundle(faulty.parents[1]) as spoiled, pytest.raises(DeviceError, match="not finite"):
        ChosenMind(spoiled, AUTO, data, run_dir)
