"""What the mirror answers, how late it says it was, and that it stops when told."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from built_engines import build_engines
from small_videos import moving
from waiting import wait_for
from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import AnswerError, DeviceError, MediaError
from ytm_device import wall_clock
from ytm_device.bus.channel import Subscriber
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.frame import Frame
from ytm_device.latency import BIN_MS
from ytm_device.reflecting import service
from ytm_device.reflecting.reflector import Reflector, encoder_input, picture
from ytm_device.reflecting.statistics import ReflectStatistics
from ytm_device.run_dirs import endpoint
from ytm_device.settings.source import SettingsSource
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


def test_a_reflection_says_who_is_there_and_since_when(tiny_bundle):
    with Reflector(tiny_bundle) as reflector:
        somebody, nobody = (
            reflector.reflect(frame(), True, 77),
            reflector.reflect(frame(), False, 88),
        )
    assert (somebody.presence, somebody.presence_since_ns) == (True, 77)
    assert (nobody.presence, nobody.presence_since_ns) == (False, 88)


@pytest.mark.parametrize("graph", ["image_decoder", "sound_decoder"])
def test_an_answer_that_is_not_finite_is_never_given(tiny_bundle, graph, monkeypatch):
    run = OnnxEngine.run

    def spoiled(self, **inputs):
        answer = run(self, **inputs).copy()
        if self._name.startswith(graph):
            answer.flat[7] = np.nan
        return answer

    monkeypatch.setattr(OnnxEngine, "run", spoiled)
    with Reflector(tiny_bundle) as reflector, pytest.raises(AnswerError, match=graph):
        reflector.reflect(frame())


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


def test_the_rate_is_that_of_late():
    statistics = ReflectStatistics()
    for index in range(100):
        statistics.add(index, index * 10**8, index * 10**8)
    morning_ns = 12 * 3600 * 10**9
    for index in range(21):
        statistics.add(100 + index, 0, morning_ns + index * 5 * 10**7)
    assert statistics.fields()["reflections_per_s"] == 20


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


def settings(folder, camera, bundle):
    """Of no files, and what was typed."""
    flags = {"camera.device": str(camera), "bundle": str(bundle)}
    return SettingsSource(folder / "none.toml", folder, flags)


@contextmanager
def running(source, run_dir):
    """The service in a thread, which is stopped and joined at the end."""
    stop = threading.Event()
    thread = threading.Thread(target=service.run, args=(source, run_dir, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(HANG_S)
        assert not thread.is_alive()


def collect(run_dir, count):
    """Reflections that are published, `count` of them."""
    seen = []
    with Subscriber(endpoint(run_dir)) as subscriber:

        def look():
            reflection = subscriber.newest()
            if reflection is not None:
                seen.append(reflection)
            return len(seen) >= count

        wait_for(look)
    return seen


def test_the_service_publishes_until_told_to_stop(tiny_bundle, tiny_bundle_path, tmp_path):
    video = moving(tmp_path / "ball.mp4", frames=10)
    with running(settings(tmp_path, video, tiny_bundle_path), tmp_path):
        seen = collect(tmp_path, 12)
    sequences = [reflection.sequence for reflection in seen]
    assert sequences == sorted(set(sequences))
    assert {reflection.bundle_id for reflection in seen} == {tiny_bundle.id}
    status = read_status(tmp_path, "reflect")
    assert status["reflections"] >= 12
    assert status["frames"] == status["reflections"] + status["dropped"]
    assert 0 <= status["latency_p50_ms"] <= status["latency_p95_ms"] <= status["latency_p99_ms"]
    assert status["bundle"] == tiny_bundle.id
    assert status["progress_ns"] > status["started_ns"]


def status_when(run_dir, condition):
    def find():
        status = read_status(run_dir, "reflect")
        return status if status and condition(status) else None

    return wait_for(find)


def test_a_film_that_cannot_be_played_is_an_error_since_no_waiting_helps(
    tiny_bundle_path, tmp_path
):
    broken = tmp_path / "text.mp4"
    broken.write_text("no video\n" * 100)
    with pytest.raises(MediaError, match=r"text\.mp4"):
        service.run(settings(tmp_path, broken, tiny_bundle_path), tmp_path, threading.Event())


def test_a_camera_that_is_no_camera_is_a_problem_and_no_end(tiny_bundle_path, tmp_path):
    with running(settings(tmp_path, tmp_path / "none.mp4", tiny_bundle_path), tmp_path):
        status = status_when(tmp_path, lambda status: status["problem"])
    assert "none.mp4: no such device or video file" in status["problem"]


def test_only_bad_answers_are_an_error_after_a_while(tiny_bundle_path, tmp_path, monkeypatch):
    def spoiled(self, frame, presence=True, since_ns=0):
        raise AnswerError("sound_decoder: its answer is not finite")

    monkeypatch.setattr(Reflector, "reflect", spoiled)
    monkeypatch.setattr(service, "ONLY_BAD_S", 0.5)
    with pytest.raises(DeviceError, match=r"not finite; nothing else for 0\.5 s"):
        service.run(settings(tmp_path, "demo", tiny_bundle_path), tmp_path, threading.Event())


def test_it_rests_in_closed_hours_and_opens_again(tiny_bundle_path, tmp_path, monkeypatch):
    hours = {"open": True}
    monkeypatch.setattr(wall_clock, "is_open", lambda _hours: hours["open"])
    with running(settings(tmp_path, "demo", tiny_bundle_path), tmp_path):
        status_when(tmp_path, lambda status: status["reflections"] > 3)
        hours["open"] = False
        resting = status_when(tmp_path, lambda status: status["mode"] == "idle")
        later = status_when(tmp_path, lambda each: each["written_ns"] > resting["written_ns"])
        assert later["reflections"] == resting["reflections"]
        assert later["progress_ns"] > resting["progress_ns"]
        hours["open"] = True
        status_when(tmp_path, lambda status: status["reflections"] > resting["reflections"])


def test_engines_that_come_answer_from_the_next_frame_on(tiny_bundle, tiny_bundle_path, tmp_path):
    with running(settings(tmp_path, "demo", tiny_bundle_path), tmp_path):
        before = status_when(tmp_path, lambda status: status["reflections"] > 3)
        assert before["backend"].endswith("(CPU)")
        assert before["backend_why"]
        assert before["engine_key"] is None
        folder = build_engines(tiny_bundle, tmp_path / "engines")
        after = status_when(tmp_path, lambda status: ", engines " in status["backend"])
        later = status_when(tmp_path, lambda each: each["reflections"] > after["reflections"])
    assert later["engine_key"].startswith(folder.name)
    assert later["backend_why"] == f"built for this machine: {folder}"[: service.MAX_WHY]
    assert (later["problem"], later["bad_answers"]) == (None, 0)


def test_a_mind_that_is_too_slow_leaves_the_replay_on_and_says_so(
    tiny_bundle_path, tmp_path, monkeypatch
):
    monkeypatch.setattr("ytm_device.engines.choice.FRAME_S", 0.0)
    with running(settings(tmp_path, "demo", tiny_bundle_path), tmp_path):
        status = status_when(tmp_path, lambda status: status["problem"])
        later = status_when(tmp_path, lambda each: each["progress_ns"] > status["progress_ns"])
    assert "ms for a picture, more than" in status["problem"]
    assert status["backend"] == "none"
    assert later["reflections"] == 0


def test_nothing_of_a_visitor_is_left_in_the_run_folder(tiny_bundle_path, tmp_path):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    with running(settings(tmp_path, "demo", tiny_bundle_path), run_dir):
        collect(run_dir, 5)
    left = {path.name for path in run_dir.iterdir() if not path.is_socket()}
    assert left == {"reflect.json"}
    values = read_status(run_dir, "reflect").values()
    assert all(isinstance(value, (int, float, str, type(None))) for value in values)
    assert max(len(str(value)) for value in values) <= 200
