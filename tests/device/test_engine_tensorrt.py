"""What is asked of TensorRT and of the GPU, and in which order. The GPU is a fake that records."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from built_engines import write_graph_with_state
from fake_gpu import FIRST_ADDRESS, FakeGpu, engines_for, plug_in
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.errors import DeviceError
from ytm_device.engines.golden import check_golden, expected_of
from ytm_device.engines.mind import ANSWERING, OnnxMind
from ytm_device.engines.tensorrt import TensorRtEngine, TensorRtMind

FLOAT_BYTES = 4
IMAGE, LATENT, MEL = 3 * 32 * 32, 8, 16 * 10
NOISE = np.random.default_rng(3).random((1, 8), np.float32)


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((1, 3, 32, 32), np.float32)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    gpu = FakeGpu()
    plug_in(monkeypatch, gpu)
    return gpu


@pytest.fixture
def paths(tiny_bundle: Bundle, tmp_path: Path) -> dict[str, Path]:
    return engines_for(tiny_bundle, tmp_path)


def test_an_engine_gives_what_its_graph_gives(
    gpu: FakeGpu, paths: dict[str, Path], tiny_bundle: Bundle
) -> None:
    golden = tiny_bundle.golden("image_encoder")
    with TensorRtEngine(paths["image_encoder"]) as engine:
        assert engine.backend == "TensorRT 10.3.0.30 (GPU)"
        assert engine.inputs == ("image",)
        assert gpu.sizes == [FLOAT_BYTES * IMAGE, FLOAT_BYTES * LATENT]
        # Two rows, one after the other: an engine takes a batch of one.
        found = engine.run(**golden.inputs)
        assert np.allclose(found, golden.output, atol=1e-6)
        again = engine.run(image=image(1))
    assert not np.shares_memory(found, again)
    assert [what for what, *_ in gpu.asked] == ["upload", "run", "download", "wait"] * 3
    assert (gpu.current, gpu.contexts, gpu.memories) == (0, 0, {})


def test_several_outputs_have_their_names_and_may_be_given_again(
    gpu: FakeGpu, tmp_path: Path
) -> None:
    write_graph_with_state(tmp_path / "inverter.onnx")
    (tmp_path / "inverter.engine").write_text(str(tmp_path / "inverter.onnx"))
    past = np.ones((1, 2, 3), np.float32)
    with TensorRtEngine(tmp_path / "inverter.engine") as engine:
        for turn in range(3):
            found = engine.run_all(power=np.full((1, 4), 5, np.float32), past=past)
            assert list(found) == ["hop", "next_past"]
            assert (found["hop"] == 5 + 6 * 2**turn).all()
            past = found["next_past"]
    assert (gpu.current, gpu.contexts, gpu.memories) == (0, 0, {})


@pytest.mark.parametrize("cuda_graph", [False, True])
@pytest.mark.parametrize(
    "taken", [("latent",), ("image",), ("latent", "image"), ("latent", "image", "noise")]
)
def test_a_mind_answers_as_that_of_onnx_runtime(
    gpu: FakeGpu,
    make_bundle: Callable[..., Path],
    tmp_path: Path,
    taken: tuple[str, ...],
    cuda_graph: bool,
) -> None:
    path = make_bundle(tmp_path / "bundle", inputs={"image_to_sound": taken})
    with open_bundle(path) as bundle:
        graphs = OnnxMind({name: bundle.graph_path(name) for name in ANSWERING})
        mind = TensorRtMind(engines_for(bundle, tmp_path), cuda_graph)
        with closing(graphs), closing(mind):
            check_golden(mind, expected_of(bundle))
            for seed in range(4):
                found, right = (each.answer(image(seed), NOISE) for each in (mind, graphs))
                for one, other in zip(vars(found).values(), vars(right).values(), strict=True):
                    assert one.shape == other.shape
                    assert np.allclose(one, other, atol=1e-5)
    assert (gpu.current, gpu.contexts, gpu.memories) == (0, 0, {})
    assert gpu.threads == {threading.get_ident()}


def test_what_one_graph_gives_another_stays_on_the_gpu(
    gpu: FakeGpu, paths: dict[str, Path]
) -> None:
    with TensorRtMind(paths) as mind:
        # image, latent, sound's latent, mel and image: no second buffer for what is passed on.
        elements = [IMAGE, LATENT, LATENT, MEL, IMAGE]
        assert gpu.sizes == [FLOAT_BYTES * each for each in elements]
        first, latent, _, mel, picture = gpu.memories
        assert first == FIRST_ADDRESS
        mind.answer(image(0), NOISE)
    assert gpu.asked == [
        ("upload", first),
        ("run", "image_encoder"),
        ("run", "image_to_sound"),
        ("run", "sound_decoder"),
        ("run", "image_decoder"),
        ("download", latent),
        ("download", picture),
        ("download", mel),
        ("wait",),
    ]


def test_a_recorded_answer_is_asked_for_at_once(gpu: FakeGpu, paths: dict[str, Path]) -> None:
    with TensorRtMind(paths, cuda_graph=True) as mind:
        mind.answer(image(0), NOISE)
        before = len(gpu.asked)
        mind.answer(image(1), NOISE)
        assert gpu.asked[before:] == [("replay", None), ("wait",)]
    assert gpu.asked[-2:] == [("release", 2), ("release", 1)]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("null engine", r"image_encoder\.engine: TensorRT cannot load this engine"),
        ("null context", r"image_encoder\.engine: TensorRT cannot prepare this engine"),
        ("half", r"image_encoder\.engine: \w+ is not float32"),
        ("shape", r"image_encoder\.engine: takes no image of shape \(1, 3, 32, 32\)"),
        ("address", r"image_encoder\.engine: TensorRT takes no memory for image"),
    ],
)
def test_an_engine_that_cannot_be_loaded_is_named(
    gpu: FakeGpu, paths: dict[str, Path], fault: str, says: str
) -> None:
    gpu.faults.add(fault)
    for load in (TensorRtMind, lambda paths: TensorRtEngine(paths["image_encoder"])):
        with pytest.raises(DeviceError, match=says):
            load(paths)
        assert (gpu.current, gpu.contexts, gpu.memories) == (0, 0, {})


def test_whatever_happens_no_context_stays_current_in_the_thread(
    gpu: FakeGpu, paths: dict[str, Path]
) -> None:
    """PyCUDA ends the process where one does."""
    gpu.faults.add("surprise")
    for load in (TensorRtMind, lambda paths: TensorRtEngine(paths["image_encoder"])):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            load(paths)
        assert (gpu.current, gpu.contexts, gpu.memories) == (0, 0, {})
    gpu.faults = {"free"}
    for load in (TensorRtMind, lambda paths: TensorRtEngine(paths["image_encoder"])):
        with pytest.raises(DeviceError, match=r"the GPU cannot be left \(cuMemFree failed"):
            load(paths).close()
        assert (gpu.current, gpu.contexts) == (0, 0)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("refuses", r"image_encoder\.engine: TensorRT cannot run this engine"),
        ("copy", r"copying to the GPU \(cuMemcpyHtoDAsync failed\)"),
        ("wait", r"the GPU failed \(.*an illegal memory access\)"),
    ],
)
def test_a_run_that_fails_is_named(
    gpu: FakeGpu, paths: dict[str, Path], fault: str, says: str
) -> None:
    with TensorRtMind(paths) as mind:
        gpu.faults.add(fault)
        with pytest.raises(DeviceError, match=says):
            mind.answer(image(0), NOISE)
        gpu.faults.clear()


@pytest.mark.parametrize("fault", ["capture", "instantiate"])
def test_what_cannot_be_recorded_is_named(gpu: FakeGpu, paths: dict[str, Path], fault: str) -> None:
    gpu.faults.add(fault)
    mind = TensorRtMind(paths, cuda_graph=True)
    with closing(mind), pytest.raises(DeviceError, match=r"cu\w+: CUDA error [89]01"):
        mind.answer(image(0), NOISE)
    assert (gpu.current, gpu.contexts, gpu.memories) == (0, 0, {})


@pytest.mark.parametrize("room", range(5))
def test_too_little_memory_is_named_and_everything_given_back(
    gpu: FakeGpu, paths: dict[str, Path], room: int
) -> None:
    sizes = [FLOAT_BYTES * each for each in (IMAGE, LATENT, LATENT, MEL, IMAGE)]
    gpu.memory_bytes = sum(sizes[: room + 1]) - 1
    with pytest.raises(DeviceError, match=r"bytes on the GPU: out of memory"):
        TensorRtMind(paths)
    assert (gpu.current, gpu.contexts, gpu.memories) == (0, 0, {})


def test_a_file_that_is_no_engine_or_is_gone_is_named(gpu: FakeGpu, paths: dict[str, Path]) -> None:
    paths["sound_decoder"].write_bytes(b"damaged")
    with pytest.raises(DeviceError, match=r"sound_decoder\.engine: TensorRT cannot load"):
        TensorRtMind(paths)
    paths["sound_decoder"].unlink()
    with pytest.raises(DeviceError, match=r"sound_decoder\.engine: cannot be read"):
        TensorRtMind(paths)
    assert (gpu.current, gpu.contexts, gpu.memories) == (0, 0, {})


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"sound": image(0)},
        {"image": image(0)[:, :, :31]},
        {"image": image(0).astype(np.float64)},
    ],
    ids=["none", "name", "shape", "type"],
)
def test_an_input_that_the_engine_does_not_take_is_refused(
    gpu: FakeGpu, paths: dict[str, Path], inputs: dict[str, np.ndarray]
) -> None:
    engine = TensorRtEngine(paths["image_encoder"])
    with closing(engine), pytest.raises(DeviceError, match=r"image_encoder\.engine: "):
        engine.run(**inputs)
    assert gpu.asked == []
