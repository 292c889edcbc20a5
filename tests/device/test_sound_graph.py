"""The streaming inverter as a graph: it says what the reference says, and behaves as it does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import onnx
import pytest

from ytm_build.inverter_graph import inverter_model
from ytm_bundle.bundle import Bundle, MelMatrices, open_bundle
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import INVERTER, SoundSpec, StreamInversion
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.sound.modes import STREAM, ZERO
from ytm_device.sound.player import Player
from ytm_device.sound.streaming.choice import HopTimes, choose, compare, hop_times
from ytm_device.sound.streaming.chosen import GRAPH, KERNEL
from ytm_device.sound.streaming.compiled import CompiledStream
from ytm_device.sound.streaming.graph import GraphStream
from ytm_device.sound.streaming.reference import ReferenceStream
from ytm_device.sound.streaming.stream import MelStream, play_once
from ytm_device.sound.streaming.tables import StreamTables
from ytm_training.media import open_video

RATE_HZ, N_FFT, HOP = 48000, 1024, 256
QUALITY = StreamInversion(look_ahead_frames=3, iterations=4, updates=2)
NO_UPDATES = StreamInversion(look_ahead_frames=2, iterations=3, updates=0)
VIDEOS = Path(__file__).resolve().parents[3] / "shared/data/videos"
RECORDINGS = ("vggsound_harp.mp4", "vggsound_baby_cry.mp4", "vas_drummer.mp4", "vas_cough.mp4")


def _tables(inversion: StreamInversion, n_fft: int = N_FFT) -> StreamTables:
    n_mels = n_fft // 8
    bank = librosa.filters.mel(sr=RATE_HZ, n_fft=n_fft, n_mels=n_mels)
    matrices = MelMatrices(bank, np.linalg.pinv(bank, rcond=1e-6).astype(np.float32))
    sound = SoundSpec(
        analysis_rate_hz=RATE_HZ,
        playback_rate_hz=RATE_HZ,
        n_fft=n_fft,
        hop=n_fft // 4,
        n_mels=n_mels,
        frames=188,
        floor_db=-50,
        ceiling_db=30,
        loudness_lufs=-23,
        inversion=inversion,
    )
    return StreamTables(sound, inversion, matrices)


def _engine(tables: StreamTables, folder: Path) -> OnnxEngine:
    path = folder / "inverter.onnx"
    onnx.save(inverter_model(tables), str(path))
    return OnnxEngine(path)


@pytest.fixture(scope="module")
def tables() -> StreamTables:
    return _tables(STREAM)


@pytest.fixture(scope="module")
def engine(tables: StreamTables, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnnxEngine]:
    with closing(_engine(tables, tmp_path_factory.mktemp("graph"))) as engine:
        yield engine


def _mel(samples: np.ndarray, tables: StreamTables) -> np.ndarray:
    """Mel power, float32 (frames, n_mels)."""
    spectrum = librosa.stft(samples, n_fft=tables.n_fft, hop_length=tables.hop)
    return np.ascontiguousarray((tables.forward @ np.abs(spectrum) ** 2).T, np.float32)


def _distance(wanted: np.ndarray, stream: MelStream, tables: StreamTables) -> float:
    """Spectral convergence of the magnitudes of what `stream` makes of mel power `wanted`."""
    found = np.sqrt(_mel(play_once(wanted, stream, tables), tables))
    magnitudes = np.sqrt(wanted[: len(found)])
    return float(np.linalg.norm(found - magnitudes) / np.linalg.norm(magnitudes))


def _lively(frames: int, n_mels: int, seed: int) -> np.ndarray:
    """Mel power, float32 (frames, n_mels), that wanders and falls silent for a while."""
    rng = np.random.default_rng(seed)
    levels = np.cumsum(rng.normal(0, 0.5, (frames, n_mels)), axis=0) + rng.normal(0, 1, n_mels)
    power = np.exp(np.clip(levels, -12, 5)).astype(np.float32)
    power[frames // 3 : frames // 3 + 6] = 0
    return power


@pytest.mark.parametrize(
    "inversion", [ZERO, STREAM, QUALITY, NO_UPDATES], ids=["zero", "stream", "quality", "plain"]
)
@pytest.mark.parametrize("n_fft", [64, 128, 1024])
def test_hops_agree_with_the_references_until_rounding_grows(
    inversion: StreamInversion, n_fft: int, tmp_path: Path
) -> None:
    """Both sweeps are exact: a wrong way would show at once, as a phase that is another."""
    tables = _tables(inversion, n_fft)
    reference = ReferenceStream(tables)
    power = _lively(9, tables.n_mels, seed=n_fft)[:3]
    with closing(_engine(tables, tmp_path)) as engine:
        graph = GraphStream(tables, engine)
        hops = np.zeros((2, tables.look_ahead + 3, tables.hop), np.float32)
        for index in range(tables.look_ahead + 3):
            for stream, row in zip((graph, reference), hops, strict=True):
                stream.push(power[index % 3], row[index])
    assert np.abs(hops[1]).max() > 0
    assert np.abs(hops[0] - hops[1]).max() < 1e-3 * np.abs(hops[1]).max()


def _drawn_sounds() -> dict[str, np.ndarray]:
    """Half a second of each kind, float32."""
    t_s = np.arange(RATE_HZ // 2) / RATE_HZ
    noise = np.random.default_rng(0).normal(0, 0.1, t_s.size)
    clicks = np.zeros(t_s.size)
    clicks[::4000] = 1
    voice = sum(np.sin(2 * np.pi * k * (180 * t_s + 60 * t_s**2)) / k for k in range(1, 20))
    sounds = {
        "noise": noise,
        "sine": 0.3 * np.sin(2 * np.pi * 1000 * t_s),
        "glide": 0.3 * np.sin(2 * np.pi * (100 * t_s + 2000 * t_s**2)),
        "clicks": clicks,
        "gaps": noise * (np.sin(2 * np.pi * 6 * t_s) > 0),
        "voice": 0.1 * voice + 0.02 * noise,
    }
    return {name: samples.astype(np.float32) for name, samples in sounds.items()}


def _recorded_sounds() -> dict[str, np.ndarray]:
    if not VIDEOS.is_dir():
        return {}
    sounds = {}
    for name in RECORDINGS:
        with open_video(VIDEOS / name) as video:
            sounds[name] = video.sound(1.0, 0.5, RATE_HZ)
    return sounds


def test_sounds_come_as_near_to_their_mel_as_the_references(
    tables: StreamTables, engine: OnnxEngine
) -> None:
    """Rounding takes both apart within some hops; what is reached in the end is the same.

    Of single sounds the distance varies with rounding alone, of the compiled kernel as well.
    """
    kinds = (ReferenceStream(tables), GraphStream(tables, engine), CompiledStream(tables))
    found = []
    for samples in (_drawn_sounds() | _recorded_sounds()).values():
        power = _mel(samples, tables)
        for stream in kinds:
            stream.restart()
        found.append([_distance(power, stream, tables) for stream in kinds])
    reference, graph, compiled = np.array(found).T
    assert abs(np.mean(graph - reference)) < 0.005
    worse = np.sort(graph - reference)
    assert worse[len(worse) // 2] < 0.005
    assert worse[-1] < max(0.005, 2 * np.abs(compiled - reference).max())


def test_silence_is_silence_and_the_phase_survives_it(
    tables: StreamTables, engine: OnnxEngine
) -> None:
    t_s = np.arange(RATE_HZ // 2) / RATE_HZ
    sine = _mel((0.3 * np.sin(2 * np.pi * 1000 * t_s)).astype(np.float32), tables)
    gap = np.zeros((20, tables.n_mels), np.float32)
    stream = GraphStream(tables, engine)
    found = play_once(np.concatenate([gap, sine, gap, sine]), stream, tables)
    assert not np.any(found[: 15 * HOP])
    again = found[-60 * HOP : -4 * HOP]
    assert np.sqrt(np.mean(again**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_a_long_silence_wears_no_phase_out(tables: StreamTables, engine: OnnxEngine) -> None:
    stream, out = GraphStream(tables, engine), np.empty(HOP, np.float32)
    for _ in range(500):
        stream.push(np.zeros(tables.n_mels, np.float32), out)
    phasors = stream._state["phasors"]
    assert np.abs(np.hypot(phasors[:, :, 0], phasors[:, :, 1]) - 1).max() < 1e-6


def test_a_revised_frame_is_the_references(tables: StreamTables, engine: OnnxEngine) -> None:
    powers = np.random.default_rng(1).random((4, tables.n_mels), np.float32)
    powers[3] *= 100
    hops = []
    for stream in (ReferenceStream(tables), GraphStream(tables, engine)):
        out = np.zeros((3, HOP), np.float32)
        stream.push(powers[0], out[0])
        stream.push(powers[1], out[1])
        stream.revise(0, powers[3])
        stream.push(powers[2], out[2])
        hops.append(out)
    assert np.abs(hops[0] - hops[1]).max() < 1e-3 * np.abs(hops[0]).max()
    plain, never = GraphStream(tables, engine), np.zeros((3, HOP), np.float32)
    for power, hop in zip(powers, never, strict=False):
        plain.push(power, hop)
    assert np.array_equal(never[:2], hops[1][:2])
    assert np.abs(never[2] - hops[1][2]).max() > 0.1 * np.abs(never[2]).max()


def test_what_is_not_finite_ends_with_a_restart(tables: StreamTables, engine: OnnxEngine) -> None:
    """As with the others: it is heard in the hop, and a restart is a new beginning."""
    power = _lively(12, tables.n_mels, seed=5)
    stream, out = GraphStream(tables, engine), np.zeros(HOP, np.float32)
    once = play_once(power, stream, tables)
    for _ in range(3):
        stream.push(np.full(tables.n_mels, np.nan, np.float32), out)
    assert not np.isfinite(out).all()
    stream.restart()
    assert np.array_equal(play_once(power, stream, tables), once)


def test_a_player_follows_changing_mels_on_the_graph_and_begins_again_after_a_fault(
    tables: StreamTables, engine: OnnxEngine, continuous: Any
) -> None:
    """Gestures that fade over, and state that has been spoilt: heard as with the kernel."""
    pulled = []
    for stream in (CompiledStream(tables), GraphStream(tables, engine)):
        player = Player(continuous.sound, continuous.matrices)
        player._inverter._stream = stream
        levels = []
        for turn in range(8):
            player.follow(np.roll(continuous.mel, 9 * turn, axis=0))
            levels.append(float(np.sqrt(np.mean(player.pull(RATE_HZ // 20) ** 2))))
        pulled.append(levels)
        assert player.restarts == 0
    assert pulled[1] == pytest.approx(pulled[0], rel=0.2)
    stream._state["past"][:] = np.nan
    assert np.isfinite(player.pull(4 * HOP)).all()
    assert player.restarts == 1
    assert np.sqrt(np.mean(player.pull(RATE_HZ // 5)[RATE_HZ // 10 :] ** 2)) > 0.3 * levels[-1]


def test_an_input_of_another_shape_is_an_error(tables: StreamTables, engine: OnnxEngine) -> None:
    with pytest.raises(DeviceError, match="ONNX Runtime failed"):
        GraphStream(tables, engine).push(np.zeros(7, np.float32), np.zeros(HOP, np.float32))


def _times(median_s: float, slow_s: float) -> HopTimes:
    return HopTimes(median_s, slow_s)


@pytest.mark.parametrize(
    ("graph", "chosen", "why"),
    [
        (_times(2e-3, 3e-3), KERNEL, "not faster: it takes 2.00 ms a hop, the kernel 0.10 ms"),
        (_times(1e-4, 1e-4), KERNEL, "not faster"),
        (_times(5e-5, 4e-3), KERNEL, "not steady.*4.00 ms of a hop's 5.33 ms"),
        (_times(5e-5, 1e-4), GRAPH, "is faster: it takes 0.05 ms"),
    ],
)
def test_the_faster_way_is_chosen_if_it_is_steady(graph: HopTimes, chosen: str, why: str) -> None:
    choice = choose({KERNEL: _times(1e-4, 2e-4), GRAPH: graph}, HOP / RATE_HZ)
    assert choice.chosen == chosen
    assert re.search(why, choice.why)


def test_hops_are_timed_in_turn_and_all_of_them_play(
    tables: StreamTables, engine: OnnxEngine
) -> None:
    steps = _lively(20, tables.n_mels, seed=3)
    streams = {KERNEL: CompiledStream(tables), GRAPH: GraphStream(tables, engine)}
    times = hop_times(streams, steps, tables.hop, hops=30)
    assert times.keys() == streams.keys()
    assert all(0 < each.median_s <= each.slow_s for each in times.values())


@pytest.fixture(scope="module")
def demo() -> Iterator[Bundle]:
    with open_bundle(DEMO_BUNDLE) as bundle:
        yield bundle


def test_the_demo_bundle_says_which_way_this_machine_streams(demo: Bundle) -> None:
    """With ONNX Runtime on a processor it is the kernel, by a factor that no load hides."""
    assert compare(demo, None).why == "there is no graph to compare it with"
    with closing(OnnxEngine(demo.graph_path(INVERTER))) as engine:
        choice = compare(demo, engine, hops=40)
    assert choice.chosen == KERNEL
    assert choice.times[GRAPH].median_s > choice.times[KERNEL].median_s


def test_grains_have_nothing_to_compare(tiny_bundle: Bundle) -> None:
    with pytest.raises(DeviceError, match="plays grains"):
        compare(tiny_bundle, None)
