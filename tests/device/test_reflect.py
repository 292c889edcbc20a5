"""What the mirror answers, how late it says it was, and that it stops when told."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from small_videos import moving
from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import MediaError
from ytm_device.bus.channel import Subscriber
from ytm_device.camera.choice import choose_camera
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.frame import Frame
from ytm_device.latency import BIN_MS
from ytm_device.reflecting import service
from ytm_device.reflecting.reflector import Reflector, encoder_input, picture
from ytm_device.reflecting.statistics import ReflectStatistics
from ytm_device.status import read_status

HANG_S = 60.0


def frame(seed: int = 0, sequence: int = 3) -> Frame:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
    return Frame(pixels, taken_ns=1000 + sequence, sequence=sequence, source="test")


def test_encoder_input_and_picture_are_inverse():
    pixels = frame().pixels
    tensor = encoder_input(pixels)
    assert tensor.shape == (1, 3, 32, 32)
    assert tensor.dtype == np.float32
    assert tensor[0, 1, 2, 3] == np.float32(pixels[2, 3, 1]) / np.float32(255)
    assert np.array_equal(picture(tensor), pixels)


def run_graph(bundle, name, **inputs):
    engine = OnnxEngine(bundle.graph_path(name))
    try:
        return engine.run(**inputs)
    finally:
        engine.close()


@pytest.mark.parametrize(
    "taken", [("latent",), ("image",), ("latent", "image"), ("latent", "image", "noise")]
)
def test_a_reflection_is_what_the_graphs_give(taken, make_bundle, tmp_path):
    path = make_bundle(tmp_path / "bundle", inputs={"image_to_sound": taken})
    with open_bundle(path) as bundle, Reflector(bundle) as reflector:
        reflection = reflector.reflect(frame())
        image = encoder_input(frame().pixels)
        latent = run_graph(bundle, "image_encoder", image=image)
        offered = {"image": image, "latent": latent, "noise": np.zeros((1, 8), np.float32)}
        sound = run_graph(bundle, "image_to_sound", **{name: offered[name] for name in taken})
        mel = run_graph(bundle, "sound_decoder", latent=sound)[0]
        shown = run_graph(bundle, "image_decoder", latent=latent)[0]
    assert np.array_equal(reflection.mel, mel)
    expected = np.rint(shown * 255).transpose(1, 2, 0)
    assert np.abs(reflection.image.astype(int) - expected).max() <= 1
    assert reflection.image.dtype == np.uint8
    assert reflection.bundle_id == bundle.id
    assert (reflection.sequence, reflection.taken_ns) == (3, 1003)


def test_the_answer_follows_the_picture_and_nothing_else(tiny_bundle):
    with Reflector(tiny_bundle) as reflector:
        first, other, again = (reflector.reflect(frame(seed)) for seed in (0, 1, 0))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.mel, again.mel)
    assert np.abs(first.image.astype(int) - other.image).mean() > 1
    assert np.abs(first.mel - other.mel).mean() > 0.01


def test_presence_begins_with_the_first_frame(tiny_bundle):
    with Reflector(tiny_bundle) as reflector:
        reflections = [reflector.reflect(frame(sequence=n)) for n in (5, 6)]
    assert [each.presence_since_ns for each in reflections] == [1005, 1005]
    assert all(each.presence for each in reflections)


def test_a_picture_that_is_suddenly_another_is_said_to_be(tiny_bundle):
    """As far as the manifest says; without a word of it nothing is sudden."""
    manifest = tiny_bundle.manifest.model_copy(update={"sudden_change": 0.01})
    pictures = [frame(seed, sequence=n) for n, seed in enumerate((0, 0, 0, 1, 1))]
    taken = [replace(each, taken_ns=10**9 + n * 10**8) for n, each in enumerate(pictures)]
    for bundle, expected in (
        (tiny_bundle, [0] * 5),
        (replace(tiny_bundle, manifest=manifest), [0, 0, 0, 1_300_000_000, 1_300_000_000]),
    ):
        with Reflector(bundle) as reflector:
            assert [reflector.reflect(each).moved_ns for each in taken] == expected


def test_nothing_measured_is_no_figure():
    assert ReflectStatistics().fields()["reflections_per_s"] is None
    assert ReflectStatistics().fields()["latency_p50_ms"] is None


def test_statistics_count_what_was_dropped():
    statistics = ReflectStatistics()
    for index, sequence in enumerate((0, 1, 4, 5, 9)):
        statistics.add(sequence, index * 10**8, index * 10**8 + 5_000_000)
    fields = statistics.fields()
    assert fields["frames"] == 10
    assert fields["reflections"] == 5
    assert fields["dropped"] == 5
    assert fields["reflections_per_s"] == 10
    assert fields["latency_p50_ms"] == pytest.approx(5, abs=BIN_MS)


def test_the_service_publishes_until_told_to_stop(tiny_bundle, tmp_path):
    camera = choose_camera(str(moving(tmp_path / "ball.mp4", frames=10)))
    endpoint, stop = f"ipc://{tmp_path}/bus", threading.Event()
    arguments = (tiny_bundle, camera, endpoint, tmp_path, stop)
    thread = threading.Thread(target=service.run, args=arguments)
    thread.start()
    try:
        seen = []
        deadline = time.monotonic() + HANG_S
        with Subscriber(endpoint) as subscriber:
            while len(seen) < 12 and time.monotonic() < deadline:
                reflection = subscriber.newest()
                if reflection is not None:
                    seen.append(reflection)
                stop.wait(0.002)
    finally:
        stop.set()
        thread.join(HANG_S)
    assert not thread.is_alive()
    sequences = [reflection.sequence for reflection in seen]
    assert len(seen) == 12
    assert sequences == sorted(set(sequences))
    assert {reflection.bundle_id for reflection in seen} == {tiny_bundle.id}
    status = read_status(tmp_path, "reflect")
    assert status["reflections"] >= 12
    assert status["frames"] == status["reflections"] + status["dropped"]
    assert 0 <= status["latency_p50_ms"] <= status["latency_p95_ms"] <= status["latency_p99_ms"]


def test_the_service_fails_when_its_camera_does(tiny_bundle, tmp_path):
    broken = tmp_path / "text.mp4"
    broken.write_text("no video\n" * 100)
    with pytest.raises(MediaError, match=r"text\.mp4"):
        service.run(
            tiny_bundle,
            choose_camera(str(broken)),
            f"ipc://{tmp_path}/bus",
            tmp_path,
            threading.Event(),
        )


def test_nothing_of_a_visitor_is_left_in_the_run_folder(tiny_bundle, tmp_path):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    stop = threading.Event()
    timer = threading.Timer(1.0, stop.set)
    timer.start()
    service.run(tiny_bundle, choose_camera("demo"), f"ipc://{tmp_path}/bus", run_dir, stop)
    timer.join()
    assert [path.name for path in run_dir.iterdir()] == ["reflect.json"]
    values = read_status(run_dir, "reflect").values()
    assert all(isinstance(value, (int, float, str, type(None))) for value in values)
    assert max(len(str(value)) for value in values) <= 64
