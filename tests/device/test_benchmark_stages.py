"""The stages one by one: on real GStreamer, ONNX Runtime and SDL, and flashes in made-up notes."""

from __future__ import annotations

import io
import json
import sys
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from built_engines import build_engines
from fake_framebuffer import FakeFramebuffer
from fake_gpu import FakeGpu, plug_in
from small_videos import moving
from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import GRAPH_NAMES
from ytm_device.benchmark import command
from ytm_device.benchmark.budgets import BUDGETS
from ytm_device.benchmark.flash import LOUD, Flashed, change_ns, onset_after, painted
from ytm_device.benchmark.flash_camera import FlashCamera
from ytm_device.benchmark.measuring import Found, note_flashes
from ytm_device.benchmark.minds import candidates, open_mind
from ytm_device.benchmark.reflecting import Reflecting
from ytm_device.benchmark.screening import Shown, WatchedDisplay, WatchedEnlarger, measure, opened
from ytm_device.benchmark.stages import STAGES, Times
from ytm_device.benchmark.writing import SILENCE_S, Watch
from ytm_device.bus.channel import Publisher
from ytm_device.camera.demo import DemoCamera
from ytm_device.camera.file import FileCamera
from ytm_device.engines.platform import onnx_key, tensorrt_key
from ytm_device.engines.search import Wish
from ytm_device.frame import Reflection
from ytm_device.run_dirs import endpoint
from ytm_device.screen import framebuffer
from ytm_device.screen.picture import Enlarger
from ytm_device.settings.model import ScreenSettings

SHORT_S = 0.3
MS = 1_000_000
RATE_HZ, PERIOD = 48000, 256
REFLECT = [stage.name for stage in STAGES if stage.part == "reflect"]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def _json(*arguments: object) -> dict[str, Any]:
    """What `ytm-benchmark --json` prints, whatever the budgets say of this machine."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ytm-benchmark", *map(str, arguments), "--json"])
        with redirect_stdout(out), redirect_stderr(io.StringIO()), pytest.raises(SystemExit):
            command.main()
    return dict(json.loads(out.getvalue()))


def test_without_devices_only_computing_is_measured(tiny_bundle_path: Path, tmp_path: Path) -> None:
    found = _json(
        "all",
        "--no-devices",
        "--bundle",
        tiny_bundle_path,
        "--seconds",
        SHORT_S,
        "--data",
        tmp_path,
    )
    left_out = {"flip", "write", "frame to photon", "frame to sample"}
    names = [stage.name for stage in STAGES if stage.name not in left_out]
    # In the order of a frame's way.
    assert list(found["stages"]) == names
    assert {name: found["left_out"][name] for name in left_out} == dict.fromkeys(
        left_out, "--no-devices"
    )
    assert found["devices"] == {
        "camera": "demo (no device is opened)",
        "screen": "memory, 1080x1920",
    }
    assert found["counts"]["frames"] >= 1
    assert found["counts"]["frames dropped"] >= 0
    assert found["mind"]["backend"].startswith("ONNX Runtime")
    assert found["mind"]["key"] is None
    for stage in found["stages"].values():
        ms = stage["ms"]
        assert 0 < ms["p50"] <= ms["p95"] <= ms["p99"] <= ms["max"]
        assert stage["within"] is (ms[stage["budget"]["at"]] <= stage["budget"]["ms"])


def test_a_budget_that_is_broken_is_named_and_fails(
    tiny_bundle_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    budgets = tmp_path / "budgets.toml"
    usual = BUDGETS.read_text(encoding="utf-8")
    text = usual.replace('"enlarge" = { p95_ms = 8 }', '"enlarge" = { p50_ms = 1e-6 }')
    assert text != usual
    budgets.write_text(text, encoding="utf-8")
    words = ["ytm-benchmark", "screen", "--no-devices", "--bundle", str(tiny_bundle_path)]
    words += ["--seconds", str(SHORT_S), "--budgets", str(budgets)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert "enlarge: p50 is" in printed.err
    assert "at most 0.00 ms is wanted" in printed.err
    assert "over" in printed.out


def test_every_frame_of_a_film_is_measured_and_by_turns_graph_by_graph(
    tiny_bundle: Bundle, tmp_path: Path, run_dir: Path
) -> None:
    film = moving(tmp_path / "film.mp4", 60)
    times = Times()
    mind, _ = open_mind(tiny_bundle, Wish(), tmp_path, run_dir)
    with (
        closing(mind),
        Publisher(endpoint(run_dir)) as publisher,
        FileCamera(film, tiny_bundle.manifest.image) as camera,
    ):
        counts = Reflecting(tiny_bundle, mind, publisher, times).measure(camera, 1.0)
    assert set(times.ns) == set(REFLECT)
    assert len(times.ns["camera read"]) == counts["frames"] >= 2
    assert counts["CPU ms a reflection"] > 0
    assert len(times.ns["encode"]) == counts["frames"] // 2
    assert len(times.ns["frame to reflection"]) == counts["frames"] - counts["frames"] // 2


def test_engines_for_this_machine_are_measured_and_named(
    tiny_bundle: Bundle, tmp_path: Path, run_dir: Path
) -> None:
    folder = build_engines(tiny_bundle, tmp_path / "engines")
    mind, name = open_mind(tiny_bundle, Wish(), tmp_path, run_dir)
    mind.close()
    assert name.key == onnx_key(tiny_bundle).folder
    assert name.reason == f"built for this machine: {folder}"


def test_engines_of_a_gpu_are_preferred_and_measured_graph_by_graph(
    tiny_bundle: Bundle, tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The GPU is a fake; its engines are run by ONNX Runtime."""
    plug_in(monkeypatch, FakeGpu())
    build_engines(tiny_bundle, tmp_path / "engines")
    graphs = {name: str(tiny_bundle.graph_path(name)).encode() for name in GRAPH_NAMES}
    key = tensorrt_key(tiny_bundle)
    folder = build_engines(tiny_bundle, tmp_path / "engines", key=key, instead=graphs)
    times = Times()
    mind, name = open_mind(tiny_bundle, Wish(), tmp_path, run_dir)
    with (
        closing(mind),
        Publisher(endpoint(run_dir)) as publisher,
        DemoCamera(tiny_bundle.manifest.image) as camera,
    ):
        Reflecting(tiny_bundle, mind, publisher, times).measure(camera, SHORT_S)
    assert name.backend.startswith("TensorRT")
    assert name.reason == f"built for this machine: {folder}"
    assert "encode" in times.ns


def test_engines_that_a_process_never_came_back_from_are_not_asked(
    tiny_bundle: Bundle, tmp_path: Path, run_dir: Path
) -> None:
    build_engines(tiny_bundle, tmp_path / "engines")
    (found,) = candidates(tiny_bundle, Wish("onnxruntime"), tmp_path, [])
    with found.asked(run_dir).asking():
        mind, name = open_mind(tiny_bundle, Wish(), tmp_path, run_dir)
    mind.close()
    assert name.key is None
    assert "a process has not come back from these engines" in name.reason


def test_engines_that_cannot_be_used_are_named_and_not_measured(
    tiny_bundle: Bundle, tmp_path: Path, run_dir: Path
) -> None:
    build_engines(tiny_bundle, tmp_path / "engines", instead={"image_decoder": b"no engine"})
    mind, name = open_mind(tiny_bundle, Wish(), tmp_path, run_dir)
    mind.close()
    assert name.key is None
    assert name.reason.endswith("these engines are not used")


def test_only_what_the_settings_allow_is_measured(
    tiny_bundle: Bundle, tmp_path: Path, run_dir: Path
) -> None:
    with pytest.raises(DeviceError, match="only TensorRT may answer, and cannot"):
        open_mind(tiny_bundle, Wish("tensorrt"), tmp_path, run_dir)
    mind, name = open_mind(tiny_bundle, Wish("onnxruntime"), tmp_path, run_dir)
    mind.close()
    assert name.reason == "the settings say so"


def test_a_watched_enlarger_gives_the_same_picture(tiny_bundle: Bundle) -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    watched = WatchedEnlarger(tiny_bundle.manifest.image, 90, 160, 90, 4)
    plain = Enlarger(tiny_bundle.manifest.image, 90, 160, 90, 4)
    shown = watched.render(image, (2, -3))
    assert np.array_equal(shown, plain.render(image, (2, -3)))
    assert watched.level == shown[80].mean()
    assert watched.took_ns >= 1


def test_the_screens_memory_is_read_back(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    times, image = Times(), tiny_bundle.manifest.image
    with WatchedDisplay(image, ScreenSettings(), headless=True) as display:
        assert opened(display) == "offscreen, 1080x1920"
        measure(tiny_bundle, display, SHORT_S, times)
        turns = round(SHORT_S * 60)
        assert len(times.ns["enlarge"]) == len(times.ns["flip"]) == turns
        for level in (0, 200):
            assert display.show(np.full((32, 32, 3), level, np.uint8), (0, 0))
        # Of four bytes of a pixel, three are colours.
        assert display.shown.levels[-2:] == [0, 150]
        assert display.shown.times_ns == sorted(display.shown.times_ns)


@pytest.mark.parametrize("bits", [32, 16])
def test_a_framebuffer_is_drawn_into_and_read_back(
    bits: int, tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The framebuffer is emulated."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dev").mkdir()
    starts = (16, 8, 0) if bits == 32 else (11, 5, 0)
    fake = FakeFramebuffer(tmp_path / "dev/fb0", bits=bits, starts=starts)
    fake.plug()
    monkeypatch.setattr(framebuffer.fcntl, "ioctl", fake.ioctl)
    flags = ["--bundle", tiny_bundle_path, "--seconds", SHORT_S, "--data", tmp_path]
    found = _json("screen", "--root", tmp_path, *flags)
    assert found["devices"] == {"screen": "framebuffer, 60x80"}
    assert list(found["stages"]) == ["enlarge", "flip"]
    assert found["stages"]["flip"]["count"] == round(SHORT_S * 60)
    # What is seen of its memory was drawn into, and given back dark; what is not is as it was.
    assert set(fake.path.read_bytes()) == {0, 7}


def test_half_of_the_way_to_light_is_when_a_flash_is_seen() -> None:
    at_ms = [0, 10, 20, 30, 40, 600]
    shown = Shown([each * MS for each in at_ms], [10, 10, 60, 110, 210, 255])
    assert change_ns(shown, 5 * MS, 0.5) == 30 * MS
    # Half of what is shown within the time that is looked at.
    assert change_ns(shown, 5 * MS, 0.03) == 20 * MS


@pytest.mark.parametrize("levels", [[10, 10, 10], [10, 12, 20], [200, 10, 5]])
def test_a_screen_that_grows_no_lighter_shows_no_flash(levels: list[float]) -> None:
    assert change_ns(Shown([1, 2, 3], levels), 2, 1.0) is None


def test_nothing_shown_is_no_flash() -> None:
    assert change_ns(Shown(), 0, 1.0) is None
    assert change_ns(Shown([5], [255.0]), 6, 1.0) is None


def _period(loud_from: int | None) -> np.ndarray:
    samples = np.zeros(PERIOD, np.float32)
    if loud_from is not None:
        samples[loud_from:] = -0.5
    return samples


def test_a_sound_begins_with_the_first_loud_sample_after_a_silence() -> None:
    watch, first_ns = Watch(), 0
    silent = round(SILENCE_S * RATE_HZ / PERIOD) + 1
    for loud_from in [*[None] * silent, 48, 0, None, 0, *[None] * silent, 96]:
        watch.wrote(_period(loud_from), 7, first_ns, RATE_HZ)
        first_ns += PERIOD * 1_000_000_000 // RATE_HZ
    one = silent * PERIOD + 48
    other = (2 * silent + 4) * PERIOD + 96
    assert watch.onsets_ns == pytest.approx([n * 1e9 / RATE_HZ for n in (one, other)], abs=1e3)
    assert watch.took_ns == [7] * (2 * silent + 5)


def test_of_onsets_the_first_after_the_flash_is_its_own() -> None:
    assert onset_after([10, 20, 30], 15, 1.0) == 20
    assert onset_after([10], 15, 1.0) is None
    assert onset_after([2_000_000_000], 15, 1.0) is None
    assert Flashed([1, 5], [None, 9], [3, 6], 0).late_ns([None, 9]) == [4]


def test_a_flash_that_is_never_found_is_a_failure_and_no_figure() -> None:
    found = Found()
    note_flashes(Flashed([1, 5], [None, 9], [None, None], 3), found)
    assert found.times.ns == {"frame to photon": [4]}
    assert found.failed == {"frame to sample": "none of 2 flashes was found in time"}
    assert found.counts == {
        "flashes": 2,
        "flash underruns": 3,
        "flashes found, photon": 1,
        "flashes found, sample": 0,
    }


def test_an_answer_is_painted_over_and_keeps_its_times() -> None:
    answer = Reflection(
        image=np.full((2, 2, 3), 77, np.uint8),
        mel=np.full((3, 4), 0.3, np.float32),
        presence=False,
        presence_since_ns=5,
        taken_ns=9,
        sequence=2,
        bundle_id="00",
        moved_ns=9,
    )
    light, dark = painted(answer, True), painted(answer, False)
    assert (light.image.min(), light.mel.min()) == (255, np.float32(LOUD))
    assert (dark.image.max(), dark.mel.max()) == (0, 0)
    assert light.presence
    assert (light.taken_ns, light.sequence, light.moved_ns) == (9, 2, 9)


def test_flashes_come_through_gstreamer(tiny_bundle: Bundle) -> None:
    with FlashCamera(tiny_bundle.manifest.image) as camera:
        frames, lights = [], []
        while len(camera.flashes_ns) < 1 or camera.is_light:
            if (frame := camera.next_frame(0.05)) is not None:
                frames.append(frame)
                lights.append(camera.is_light)
    for frame, light in zip(frames, lights, strict=True):
        assert frame.pixels.shape == (32, 32, 3)
        assert (frame.pixels == (255 if light else 0)).all()
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    assert camera.flashes_ns == [frames[lights.index(True)].taken_ns]
